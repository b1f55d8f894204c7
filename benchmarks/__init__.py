"""Measurements that are too long for the tests: ``python -m benchmarks.NAME``, run by hand.

One module a measurement, started in the repository's folder. It writes its figures with versions,
seed and kind of machine to ``benchmarks/results/NAME.json`` (``record.py``); ``scripts/`` fill the
tables of the documentation from these files. What needs data that is not packaged takes its place
from the command line or from DWISER_DATA.
"""
