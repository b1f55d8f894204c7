"""Places where a volume holds no data: slices that were not acquired, edges that a step zeroed."""

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy import ndimage

from dwiser.machine import side_by_side
from dwiser.prepare.box import Box
from dwiser.prepare.volume_sums import count_above_zero, volume_sum

SQUARE = 5  # voxels on an edge: as many zeros side by side in a slice are no noise
USUAL = 0.5  # of the other volumes that have data at a voxel of the object
MOST = 20_000  # voxels that a prediction is learned on
BRIGHT = 0.15  # of the brightest voxels' mean; air whose noise some volumes lack is no object
RIDGE = 1e-3  # of the predictors' mean square


def empty_regions(
    data: Float[np.ndarray, "x y z v"], volumes: Int[np.ndarray, "m"], *, threads: int = 1
) -> dict[int, Bool[np.ndarray, "x y z"]]:
    """Of ``volumes``, those with zeros in the object where most others have data, and where.

    A single zero may be rounded noise; what counts are squares of 5×5 of them in a slice (or the
    object's width), and what touches them.
    """
    total = volume_sum(data, volumes, np.float32, threads=threads)
    if not total.any():
        return {}
    usual = count_above_zero(data, volumes, threads=threads) > USUAL * len(volumes)
    bright = usual & (total > BRIGHT * np.percentile(total[total > 0], 95))
    box = Box.around(bright).index if bright.any() else ()
    wide = bright[box].shape
    square = np.ones((min(SQUARE, wide[0]), min(SQUARE, wide[1]), 1), bool)

    def region(v: int) -> Bool[np.ndarray, "x y z"] | None:
        empty = bright[box] & (data[..., v][box] == 0)
        if not _holds(empty, square.shape):
            return None
        seeds = np.zeros(usual.shape, bool)
        seeds[box] = ndimage.binary_opening(empty, square)
        return ndimage.binary_propagation(seeds, mask=usual & (data[..., v] == 0))

    regions = side_by_side(region, volumes.tolist(), threads)
    return {v: r for v, r in zip(volumes.tolist(), regions, strict=True) if r is not None}


def _holds(empty: Bool[np.ndarray, "x y z"], size: tuple[int, ...]) -> bool:
    """Whether a box of this size fits somewhere into the places: an erosion, axis by axis."""
    if empty.sum() < np.prod(size) or any(e < n for e, n in zip(empty.shape, size, strict=True)):
        return False
    for axis, n in enumerate(size):
        length = empty.shape[axis] - n + 1
        part = _window(empty, axis, 0, length).copy()
        for shift in range(1, n):
            part &= _window(empty, axis, shift, length)
        empty = part
    return bool(empty.any())


def _window(
    values: Bool[np.ndarray, "x y z"], axis: int, start: int, length: int
) -> Bool[np.ndarray, "x2 y2 z2"]:
    index = [slice(None)] * 3
    index[axis] = slice(start, start + length)
    return values[tuple(index)]


def filled(
    volume: Float[np.ndarray, "x y z"],
    region: Bool[np.ndarray, "x y z"],
    others: Float[np.ndarray, "x y z u"],
    generator: np.random.Generator,
) -> Float32[np.ndarray, "x y z"]:
    """The volume with a prediction from the others, and noise, in the region that has no data.

    Least squares (with a small ridge) where the volume has data; the noise has the sd of what
    the prediction leaves there at like brightness, less the share of the others' noise in it. So
    neither the patches nor the covariances of a method meet an edge that the object lacks.
    """
    known = np.argwhere(~region & (volume > 0))
    known = known[:: max(1, -(-len(known) // MOST))]
    x, y, z = known.T
    predictors, values = others[x, y, z].astype(float), volume[x, y, z].astype(float)
    gram = predictors.T @ predictors
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram)) / len(gram)
    shares = np.linalg.solve(gram, predictors.T @ values)
    # the prediction takes a share of the others' noise along
    residual = (values - predictors @ shares) / np.sqrt(1 + shares @ shares)
    predicted = others[region].astype(float) @ shares
    order = np.argsort(predictors @ shares)
    parts = np.array_split(order, 8)
    levels = [float((predictors[p] @ shares).mean()) for p in parts if len(p)]
    spreads = [float(np.median(np.abs(residual[p]))) * 1.4826 for p in parts if len(p)]
    sd = np.interp(predicted, levels, spreads)
    complete = volume.astype(np.float32, copy=True)
    noisy = predicted + sd * generator.standard_normal(len(predicted))
    complete[region] = np.abs(noisy).clip(np.finfo(np.float32).tiny)
    return complete
