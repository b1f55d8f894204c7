"""Denoisers, one file each, behind one door: ``registry``."""
