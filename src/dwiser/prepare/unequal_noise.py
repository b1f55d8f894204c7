"""Volumes whose noise differs from the others': averages beside single ones, another gain.

To all that compares volumes, noise of one size is taken for granted: a Marchenko–Pastur spectrum
follows its quietest direction. The finest detail of a volume is almost noise, and what is not is
the same anatomy in each volume of a shell: its size tells a gain, or averages among the DWIs. b0s
hold more anatomy than DWIs do, so that their noise is read from their differences.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.prepare.mask import object_mask
from dwiser.prepare.measured_scan import divided, replace_quietly, selected
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.shells import shells
from dwiser.scan import Scan

UNEQUAL = 1.7  # times the noise of others, below which it counts as the same
SLICES = 16  # of the middle, that are looked at
FEWEST_BLOCKS = 100  # of 2³ voxels; fewer do not tell a size to 10 %
FEWEST = 4  # volumes
FEWEST_DWIS = 12  # for a σ of theirs
CLEAN = 90.0  # mean b0 over its noise, above which what differs between DWIs is no noise
GAP = 1.3  # between the volumes of more noise and the others; sizes without one are anatomy's
ALIKE = 0.15  # of a brightness, within which it is the same, or as much more as the noise is
FEWEST_BEHIND = 400  # blocks of background
UNTOUCHED = 0.5  # share of what is dark that no volume has set to 0
GHOST = 0.2  # correlation of shells' details, which are noise's where it is lower
SAME = 1.1  # times the noise of the most volumes, up to which a shell's is the same
CLIP, CLIPPED = 3.0, 0.7922  # of the mean size; a normal's mean size of what is cut there, over sd


def unequal_noise(scan: Scan, volumes: Int[np.ndarray, "m"]) -> dict[int, float]:
    """The noise of some of ``volumes`` over that of the others; nothing where all is alike.

    Notes
    -----
    In a shell whose largest detail is 1.7 times its smallest or more, with a gap between, the
    volumes below it are the measure, 1; among b0s, whose detail is anatomy, only another gain
    counts. b0s that differ by less than the DWIs' σ over 1.7 are averages. Shells whose details
    in the background are 1.7 times apart or more are compared with the shell of the most volumes,
    unless these details repeat, as a ghost's do. Of a single b0 before a background of zeros
    nothing can be said.
    """
    if len(volumes) < FEWEST:
        return {}
    detail, level, bright, behind = _details(scan.data, volumes)
    if int(bright.sum()) < FEWEST_BLOCKS:
        return {}
    unequal = _in_object(scan, volumes, detail, level, bright)
    for shell, ratio in _between_shells(scan, volumes, detail, behind, unequal):
        unequal |= {v: ratio * unequal.get(v, 1.0) for v in shell}
    return unequal


def _in_object(
    scan: Scan, volumes: Int[np.ndarray, "m"], detail: Mapping[int, np.ndarray],
    level: Mapping[int, float], bright: Bool[np.ndarray, "n"],
) -> dict[int, float]:  # fmt: skip
    """The noise of volumes over that of their shell's others, and of averaged b0s over DWIs'."""
    size = {v: _sd(d[bright]) for v, d in detail.items()}
    unequal: dict[int, float] = {}
    for shell in shells(scan.gradients):
        own = {int(v): size[int(v)] for v in shell.volumes if int(v) in size}
        unequal |= _louder(own, level, gain_alone=shell.is_b0)
    b0s = [int(v) for v in volumes if scan.gradients.is_b0[v]]
    dwis = np.array([v for v in volumes if int(v) not in b0s], int)
    if len(b0s) < 2 or len(dwis) < FEWEST_DWIS:
        return unequal
    even = {v: detail[v][bright] / unequal.get(v, 1.0) for v in b0s}
    between = _typical([_sd(even[u] - even[v]) / 2**0.5 for u, v in pairwise(b0s)])
    among = float(np.median([size[int(v)] / unequal.get(int(v), 1.0) for v in dwis]))
    if 0 < UNEQUAL * between < among:  # or the DWIs' detail is their anatomy: σ tells
        ratio = _b0_noise(scan, b0s, dwis, unequal)
        if 0 < UNEQUAL * ratio < 1:
            unequal |= {v: ratio * unequal.get(v, 1.0) for v in b0s}
    return unequal


def _between_shells(
    scan: Scan, volumes: Int[np.ndarray, "m"], detail: Mapping[int, np.ndarray],
    behind: Bool[np.ndarray, "n"], unequal: Mapping[int, float],
) -> list[tuple[list[int], float]]:  # fmt: skip
    """Shells, and their noise in the background over that of the shell of the most volumes."""
    if int(behind.sum()) < FEWEST_BEHIND:
        return []
    own = [[v for v in s.volumes.tolist() if v in detail] for s in shells(scan.gradients)]
    own = [shell for shell in own if shell]
    means = [sum(detail[v][behind] for v in shell) for shell in own]
    repeated = np.corrcoef(np.stack(means)) if len(own) > 1 else np.ones((1, 1))
    if len(own) < 2 or not (np.abs(repeated[np.triu_indices(len(own), 1)]) < GHOST).all():
        return []
    sizes = [_typical([_sd(detail[v][behind]) / unequal.get(v, 1.0) for v in s]) for s in own]
    usual = sizes[max(range(len(own)), key=lambda k: len(own[k]))]
    if not 0 < UNEQUAL * min(sizes) < max(sizes):
        return []
    apart = ((shell, size / usual) for shell, size in zip(own, sizes, strict=True))
    return [(shell, ratio) for shell, ratio in apart if max(ratio, 1 / ratio) > SAME]


def _louder(
    size: Mapping[int, float], level: Mapping[int, float], *, gain_alone: bool
) -> dict[int, float]:
    """The volumes of a shell whose detail is far above the others', and how far.

    Either they are as bright as the others, or brighter by as much: ``gain_alone`` says that
    only the latter counts.
    """
    low, high = min(size.values(), default=0.0), max(size.values(), default=0.0)
    if not 0 < UNEQUAL * low < high:
        return {}
    upper = {v: s for v, s in size.items() if s * s > low * high}
    lower = [s for v, s in size.items() if v not in upper]
    if min(upper.values()) < GAP * max(lower) or (not gain_alone and len(upper) == 1):
        return {}  # a single bright DWI may be a b0 with the wrong b-value
    usual, base = _typical(lower), _typical([level[v] for v in size if v not in upper])
    ratios = {v: s / usual for v, s in upper.items()}

    def explained(v: int) -> bool:
        brighter = level[v] / base
        of_gain = abs(brighter / ratios[v] - 1) < ALIKE
        return of_gain or (not gain_alone and abs(brighter - 1) < ALIKE)

    return {v: ratio for v, ratio in ratios.items() if explained(v)}


def _details(
    data: Float[np.ndarray, "x y z v"], volumes: Int[np.ndarray, "m"]
) -> tuple[dict[int, np.ndarray], dict[int, float], Bool[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
    """Each volume's finest detail by blocks of 2³ voxels and its mean; the object's blocks.

    Fourth, the darker half of the others, none if most of them have been set to 0.
    """
    first = max(0, (data.shape[2] - SLICES) // 2)
    detail: dict[int, np.ndarray] = {}
    level: dict[int, float] = {}
    mean, alive = None, np.ones(0, bool)
    for v in volumes.tolist():
        block: np.ndarray = data[:, :, first : first + SLICES, v].astype(np.float32)
        sums = block
        for axis, n in enumerate(block.shape):
            if n > 1:
                low, high = (
                    np.take(part, range(start, n - n % 2, 2), axis)
                    for part, start in ((block, 0), (block, 1))
                )
                low_sum, high_sum = (
                    np.take(sums, range(start, n - n % 2, 2), axis) for start in (0, 1)
                )
                block, sums = (low - high) / 2**0.5, (low_sum + high_sum) / 2
        detail[v], level[v] = block.ravel(), float(sums.mean())
        alive = sums.ravel() > 0 if mean is None else alive & (sums.ravel() > 0)
        mean = sums.ravel() if mean is None else mean + sums.ravel()
    assert mean is not None
    bright = mean > mean.mean()
    behind = ~bright & alive
    if behind.sum() < max(1, UNTOUCHED * (~bright).sum()):
        return detail, level, bright, np.zeros_like(bright)
    return detail, level, bright, behind & (mean <= np.median(mean[behind]))


def _b0_noise(
    scan: Scan, b0s: list[int], dwis: Int[np.ndarray, "m"], unequal: dict[int, float]
) -> float:
    """The b0s' noise over the DWIs', at most: what else changes between b0s counts as noise.

    0 where there is none, or too little to tell.
    """
    even = selected(scan, dwis)
    ratios = {place: unequal[v] for place, v in enumerate(dwis.tolist()) if v in unequal}
    even = replace_quietly(even, data=divided(even.data, ratios))
    mask = object_mask(even)
    sigma = float(np.median(sigma_map(even, mask)[mask]))
    values = [scan.data[..., v][mask] / np.float32(unequal.get(v, 1.0)) for v in b0s]
    between = _typical([_sd(a - b) / 2**0.5 for a, b in pairwise(values)])
    clean = float(np.mean([v.mean() for v in values])) > CLEAN * between
    return 0.0 if clean or sigma == 0 else between / sigma


def _sd(values: Float[np.ndarray, "n"]) -> float:
    """sd of what is normal with mean 0 but for a few values; whole numbers have no fine median."""
    size = np.abs(values)
    return float(np.minimum(size, CLIP * size.mean()).mean()) / CLIPPED


def _typical(values: list[float]) -> float:
    return float(np.median(values))
