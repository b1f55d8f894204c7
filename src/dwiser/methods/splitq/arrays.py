"""The arrays that splitq computes with, NumPy's or torch's, by the same code.

Both have the names and the arguments that are used here (``axis``, ``keepdims``, ``clip``); what
they have not is in this file. On a GPU they are torch's; on a CPU NumPy's, for torch takes 1.7 s
and 170 MiB to import.
"""

from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int, Shaped

from dwiser import lazy

torch = lazy.module("torch")

Array: TypeAlias = Any  # numpy.ndarray or torch.Tensor


def namespace(values: Array) -> Any:
    """The module whose functions work on these: ``numpy`` or ``torch``."""
    return np if isinstance(values, np.ndarray) else torch


def on_device(values: np.ndarray, device: str) -> Array:
    """An array for work on a device; on a CPU it is itself, and nothing is copied."""
    return values if device == "cpu" else torch.from_numpy(values).to(device)


def as_numpy(values: Array) -> np.ndarray:
    """The inverse of `on_device`."""
    return values if isinstance(values, np.ndarray) else np.asarray(values.cpu())


def like(values: np.ndarray, other: Array) -> Array:
    """In single precision, on the device of another array."""
    values = values.astype(np.float32)
    return values if isinstance(other, np.ndarray) else torch.from_numpy(values).to(other.device)


def rows_at(values: Shaped[Array, "n *k"], index: Int[Array, "*i"]) -> Array:
    """The rows of these numbers."""
    return np.take(values, index, axis=0) if isinstance(values, np.ndarray) else values[index]


def add_to_rows(
    total: Float[Array, "n *k"], index: Int[Array, "c o"], values: Float[Array, "c o *k"]
) -> None:
    """Add to the rows of these numbers; but for the last row, none is twice in a column of them."""
    if isinstance(total, np.ndarray):
        for column in range(index.shape[1]):
            total[index[:, column]] += values[:, column]
    else:
        total.index_add_(0, index.reshape(-1), values.reshape(-1, *values.shape[2:]))


def slices(length: int, size: int) -> list[slice]:
    """All of a list of this length, so many rows at once."""
    return [slice(low, low + size) for low in range(0, length, size)]
