"""Denoisers of other people, from DIPY, programs and packages, each behind the one door."""
