"""DIPY's patch filters in parallel: a scan is cut into slabs of slices, one process each."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from joblib import Parallel, delayed

from dwiser.errors import Code, InputError
from dwiser.methods.classical import TASK
from dwiser.scan import Scan
from dwiser.watch import Progress, Watch

WORTH_A_PROCESS = 5000  # voxels: below that, starting a process costs more than it saves

# (data, mask, σ map, patch radius by axis) of a slab → the filtered data and a σ map
SlabFilter = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[Any, Any]]


@dataclass(frozen=True)
class Slab:
    """Slices along z that one process answers for (``inner``), and those it needs (``outer``)."""

    inner: slice
    outer: slice

    @property
    def within(self) -> slice:
        """The inner slices, counted from the outer ones' first."""
        return slice(self.inner.start - self.outer.start, self.inner.stop - self.outer.start)


def slabs(mask: Bool[np.ndarray, "x y z"], radius: int, parts: int) -> list[Slab]:
    """Cut the mask's slices into about ``parts`` slabs of as many mask voxels each.

    A slab reaches two patch radii further than the slices it answers for, which is all that
    those depend on: the result is that of one call, to the bit.
    """
    voxels = mask.sum((0, 1))
    held = np.flatnonzero(voxels)
    first, last = int(held[0]), int(held[-1]) + 1
    share = np.cumsum(voxels) / voxels.sum()
    cuts = np.searchsorted(share, np.arange(1, parts) / parts) + 1
    edges = np.unique(np.concatenate([[first], cuts.clip(first, last), [last]])).tolist()
    depth = mask.shape[2]
    return [
        Slab(slice(a, b), slice(max(0, a - 2 * radius), min(depth, b + 2 * radius)))
        for a, b in pairwise(edges)
    ]


def radius_by_axis(name: str, radius: int, scan: Scan) -> Int[np.ndarray, "3"]:
    """The patch radius along x, y and z: it shrinks to fit along axes shorter than a patch.

    Raises
    ------
    InputError
        Where no axis has 3 voxels.
    """
    fitting = np.minimum(radius, (np.array(scan.shape[:3]) - 1) // 2)
    if not fitting.any():
        raise InputError(
            f"{name} needs at least 3 voxels along one axis: there is no patch.",
            code=Code.SCAN_TOO_SMALL,
        )
    return fitting


def filter_in_slabs(
    slab_filter: SlabFilter,
    data: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    radius: Int[np.ndarray, "3"],
    *,
    threads: int,
    watch: Watch,
) -> tuple[Float[np.ndarray, "x y z v"], Float[np.ndarray, "x y z"], int]:
    """The filtered data (NaN in slices without mask), the filter's σ map, and the processes."""
    most = max(1, int(mask.sum()) // WORTH_A_PROCESS)
    parts = slabs(mask, int(radius[2]), min(threads, most))
    filtered, noise = np.full_like(data, np.nan), np.zeros(mask.shape, np.float32)
    work = (
        delayed(slab_filter)(  # a copy: joblib sends the name of a mapped file, and ours has none
            np.array(data[:, :, part.outer]),
            mask[:, :, part.outer],
            sigma[:, :, part.outer],
            radius,
        )
        for part in parts
    )
    answers = Parallel(n_jobs=len(parts), return_as="generator")(work)
    for done, (part, (values, sd)) in enumerate(zip(parts, answers, strict=True), 1):
        filtered[:, :, part.inner] = values[:, :, part.within]
        noise[:, :, part.inner] = sd[:, :, part.within]
        watch(Progress(TASK, done, len(parts), "slabs"))
    return filtered, noise, len(parts)
