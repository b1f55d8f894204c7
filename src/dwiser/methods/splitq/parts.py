"""A mask's voxels some at a time, on all threads."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from dwiser.machine import side_by_side
from dwiser.methods.splitq.arrays import Array, like, namespace, slices

CHUNK = 8192  # voxels at once


def joined(
    of: Callable[[slice], Shaped[np.ndarray, "c *k"]], count: int, threads: int
) -> Shaped[np.ndarray, "n *k"]:
    """What ``of`` says of some voxels at a time, of all of them."""
    return np.concatenate(list(side_by_side(of, chunks(count), threads)))


def chunks(count: int) -> list[slice]:
    """Some voxels at a time."""
    return slices(count, CHUNK)


def gathered(
    values: Float[np.ndarray, "n v"],
    rows: Bool[np.ndarray, "n"],
    columns: Int[np.ndarray, "m"],
    threads: int,
) -> Float[np.ndarray, "r m"]:
    """A copy of some rows and columns; a column lies together, as in ``values``."""
    taken = np.empty((len(columns), int(rows.sum())), values.dtype)

    def take(place: int) -> None:
        taken[place] = values[:, columns[place]][rows]

    list(side_by_side(take, range(len(columns)), threads))
    return taken.T


def rows_times(
    values: Float[Array, "n k"], rows: Int[Array, "m"] | None, matrix: np.ndarray, threads: int
) -> Float[Array, "m j"]:
    """Some rows of the values (all: None) times a matrix, in parts."""
    turn = like(matrix, values)

    def of(part: slice) -> Array:
        return values[part if rows is None else rows[part]] @ turn

    parts = chunks(len(values) if rows is None else len(rows))
    return namespace(values).concatenate(list(side_by_side(of, parts, threads)))


def times(values: Float[Array, "n k"], matrix: Float[np.ndarray, "k j"]) -> Float[Array, "n j"]:
    """The product, on the values' device and in single precision."""
    return values @ like(matrix, values)
