"""The compiled parts, where they were built; each None where there was no compiler.

Without them everything works with NumPy's arrays, SciPy and LAPACK, and takes longer.
"""

from importlib import import_module
from typing import Any


def _load(name: str) -> Any:
    try:
        return import_module(f"dwiser.compiled.{name}")
    except ImportError:
        return None


patches = _load("patches")  # local principal components: methods/splitq/local_pca.py
pointwise = _load("pointwise")  # functions of each voxel alone: prepare/lookup.py
tensors = _load("tensors")  # the tensor of every voxel: prepare/tensor_fit.py
