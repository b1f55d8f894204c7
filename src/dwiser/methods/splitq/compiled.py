"""The compiled part of splitq, where it was built; None where there was no compiler.

Without it everything works with NumPy's arrays and LAPACK, and takes longer.
"""

from importlib import import_module
from typing import Any


def _load() -> Any:
    try:
        return import_module("dwiser.methods.splitq.patches")
    except ImportError:
        return None


patches = _load()
