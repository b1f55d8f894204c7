"""Sums over volumes, voxel by voxel: some slices at a time, on all threads."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from dwiser.machine import side_by_side

SLICES = 8  # at once: the sum of so many stays in a core's cache


def volume_sum(
    data: Float[np.ndarray, "x y z v"],
    volumes: Int[np.ndarray, "m"],
    kind: type[Any] = float,
    *,
    of: Callable[[np.ndarray], np.ndarray] | None = None,
    threads: int = 1,
) -> Shaped[np.ndarray, "x y z"]:
    """The sum of some volumes; the same bits on any number of threads.

    Parameters
    ----------
    data : (X, Y, Z, V), in memory or mapped.
    volumes : which, added in this order.
    kind : of the sum.
    of : what of a volume's voxels is added; by default the voxels themselves.
    threads : share the slices.

    Returns
    -------
    (X, Y, Z), in the order of the data's axes; 0 where there are no volumes.
    """
    total = np.zeros_like(data[..., 0], kind)

    def add_up(slices: slice) -> None:
        for v in volumes:
            part = data[:, :, slices, v]
            total[:, :, slices] += part if of is None else of(part)

    parts = (slice(low, low + SLICES) for low in range(0, total.shape[2], SLICES))
    list(side_by_side(add_up, parts, threads))
    return total


def count_above_zero(
    data: Float[np.ndarray, "x y z v"], volumes: Int[np.ndarray, "m"], *, threads: int = 1
) -> Int[np.ndarray, "x y z"]:
    """In how many of some volumes each voxel is above 0."""
    return volume_sum(data, volumes, np.int32, of=_above_zero, threads=threads)


def _above_zero(part: np.ndarray) -> np.ndarray:
    return part > 0
