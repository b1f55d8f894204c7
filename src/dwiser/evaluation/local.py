"""The strongest spot of the residual: a small structure that was erased or invented."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int
from scipy.ndimage import correlate1d, find_objects, gaussian_filter

from dwiser.evaluation.groups import Group, volume_groups
from dwiser.evaluation.records import measured
from dwiser.evaluation.residual import Residual
from dwiser.scan import Gradients

SPOT_SD = 1.0  # voxels: matched to things two to four voxels wide
NEAREST = 6  # directions pooled: an effect along one fibre direction shows in its neighbours
TRUNCATE = 3.0  # sd at which the smoothing kernel is truncated
SELECTION = 3.0  # sd subtracted from the largest effect
AT_ONCE = 4  # windows
MOST_BYTES, THINNEST = 2**24, 24  # of the smoothed residual at once; planes, for its rims' sake
FOR_SCALE = 400_000  # scores that their scale is taken from
_NO_SCANS = "the two scans were not available"
ALARM = 0.01  # chance that pure noise passes the limit anywhere in the scan


@dataclass(frozen=True)
class ResidualSpot:
    """The largest smoothed mean of the standardised residual over space and volume windows.

    effect: weighted mean residual in the spot, in σ; above 0 the denoised image is darker
    than the raw. score: its size over the robust sd of such means. limit: what pure noise
    exceeds once in a hundred scans (Bonferroni over all places and windows). doubt: how
    far the Rician bias may be off there (`floor_doubt`); score is of the effect's size less
    this. sure: the same less three of its sd too, since the largest of many is large by chance.
    place: voxel. volumes: which volumes the window pools. raw, denoised: the mean signal of each
    scan in the spot, with the same weights; their difference contains the Rician bias too.
    """

    group: str
    place: tuple[int, int, int]
    volumes: tuple[int, ...]
    effect: float = measured("σ")
    score: float = measured("sd")
    limit: float = measured("sd")
    doubt: float = measured("σ", default=0.0)
    raw: float | None = measured("signal", _NO_SCANS, default=None)
    denoised: float | None = measured("signal", _NO_SCANS, default=None)

    @property
    def sure(self) -> float:
        size = max(0.0, abs(self.effect) - self.doubt)
        return size * max(0.0, 1 - SELECTION / self.score) if self.score else 0.0


@dataclass(frozen=True, eq=False)
class _Windows:
    """Pools of the m volumes of one group, as an (m, windows) matrix of equal weights."""

    name: str
    volumes: Int[np.ndarray, "m"]
    weights: Float[np.ndarray, "m w"]


def spots(
    residual: Residual,
    gradients: Gradients,
    doubts: Mapping[str, Float[np.ndarray, "n"]] | None = None,
) -> tuple[ResidualSpot, ...]:
    """The strongest spot of b0s, each shell, its neighbouring directions, its single volumes.

    At every place x and window of volumes W the score is Σ_y k(x−y) z̄_W(y) over its sd under
    white noise, √(Σ_y k²/|W|), rescaled by the median absolute deviation of all scores of
    the same windows: noise that is correlated in space, or only partly removed, changes the
    scale and not the test. Sums run over the mask only. ``doubts``, `floor_doubt` by group, are
    how far the expectation may be off: they are subtracted from the sum's size first.
    """
    box = find_objects(residual.mask.astype(np.int8))[0]  # outside it all is zero
    mask = residual.mask[box]
    inside = mask.astype(np.float32)
    weight = _smooth(inside)[mask]
    spread = np.sqrt(_smooth_squared(inside)[mask])
    voxels = np.argwhere(residual.mask).astype(np.int32)
    groups = volume_groups(gradients, pooled=False)
    of_group = [(_pooled(g), *_parts(g, gradients)) for g in groups]
    tests = len(voxels) * sum(w.weights.shape[1] for kinds in of_group for w in kinds)
    limit = float(-scipy.special.ndtri(ALARM / 2 / tests))
    together, parts = [], []
    for group, kinds in zip(groups, of_group, strict=True):
        volume = np.zeros(mask.shape, np.float32)
        volume[mask] = 0 if doubts is None else doubts[group.name]
        places = _Places(voxels, weight, spread, _smooth(volume)[mask])
        del volume
        searches = [_Search(windows, places) for windows in kinds]
        for rows, smooth in _smoothed(residual.standard, mask, group.volumes):
            for search in searches:
                search.add(smooth, rows)
        pooled, *others = (search.strongest(limit) for search in searches)
        together.append(pooled)
        parts += others
    return (*together, *parts)


def _smoothed(
    standard: Float[np.ndarray, "n v"], mask: Bool[np.ndarray, "x y z"], volumes: np.ndarray
) -> Iterator[tuple[slice, Float[np.ndarray, "k m"]]]:
    """The smoothed residual in the voxels between two planes of x at a time, for memory."""
    first = np.concatenate([[0], np.cumsum(np.count_nonzero(mask, (1, 2)))])  # voxel of a plane
    reach, width = int(TRUNCATE * SPOT_SD + 0.5), len(mask)
    thick = max(THINNEST, int(width * MOST_BYTES / (4 * len(standard) * len(volumes))))
    for low in range(0, width, thick):
        high = min(low + thick, width)
        wide = slice(max(0, low - reach), min(high + reach, width))
        inner = slice(low - wide.start, high - wide.start)
        rows, around = slice(first[low], first[high]), slice(first[wide.start], first[wide.stop])
        where, volume = mask[wide], np.zeros(mask[wide].shape, np.float32)
        smooth = np.empty((len(volumes), rows.stop - rows.start), np.float32)
        for row, v in zip(smooth, volumes, strict=True):
            volume[where] = standard[around, v]
            row[:] = _smooth(volume)[inner][where[inner]]
        yield rows, smooth.T


def with_signals(
    spot: ResidualSpot,
    raw: Float[np.ndarray, "x y z v"],
    denoised: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
) -> ResidualSpot:
    """The same with the mean signal of both scans in the spot, over its volumes."""
    reach = int(TRUNCATE * SPOT_SD + 0.5)
    box = tuple(slice(max(0, i - reach), i + reach + 1) for i in spot.place)
    weight = np.zeros(mask.shape, np.float32)
    weight[spot.place] = 1
    kernel = _smooth(weight)[box] * mask[box]
    kernel /= kernel.sum()
    means = [
        float(np.mean([(data[..., v][box] * kernel).sum() for v in spot.volumes]))
        for data in (raw, denoised)
    ]
    return replace(spot, raw=means[0], denoised=means[1])


@dataclass(frozen=True, eq=False)
class _Places:
    """The n voxels, the kernel's sum in the mask and root of squares, the sum's doubt."""

    voxels: Int[np.ndarray, "n 3"]
    weight: Float[np.ndarray, "n"]
    spread: Float[np.ndarray, "n"]
    doubt: Float[np.ndarray, "n"]


class _Search:
    """The strongest of some windows, over voxels that come some at a time."""

    def __init__(self, windows: _Windows, places: _Places) -> None:
        self.windows, self.places = windows, places
        self.best, self.at, self.window, self.effect = -np.inf, 0, 0, 0.0
        self.some: list[np.ndarray] = []  # scores that their scale is taken from

    def add(self, smooth: Float[np.ndarray, "k m"], rows: slice) -> None:
        """The smoothed residual of the group's m volumes, in the voxels ``rows``."""
        every = max(1, len(self.places.voxels) * self.windows.weights.shape[1] // FOR_SCALE)
        spread = self.places.spread[rows]
        unsure = (self.places.doubt[rows] / spread).astype(np.float32)
        precision = (1 / spread).astype(np.float32)
        for low in range(0, self.windows.weights.shape[1], AT_ONCE):  # some windows, for memory
            weights = self.windows.weights[:, low : low + AT_ONCE]
            score = weights.T @ smooth.T  # a row for each window
            np.abs(score, out=score)
            score *= precision
            sd = np.sqrt(np.square(weights).sum(0))
            self.some.append((score[:, -rows.start % every :: every] / sd[:, None]).ravel())
            score -= unsure
            places = score.argmax(1)
            highest = score[np.arange(len(score)), places] / sd
            column = int(highest.argmax())
            if highest[column] > self.best:
                self.best, self.window = float(highest[column]), low + column
                self.at = rows.start + int(places[column])
                self.effect = float(smooth[places[column]] @ weights[:, column])

    def strongest(self, limit: float) -> ResidualSpot:
        """What was found; pure noise exceeds ``limit`` once in a hundred scans."""
        scale = 1.4826 * float(np.median(np.concatenate(self.some)))
        x, y, z = (int(i) for i in self.places.voxels[self.at])
        pooled = np.flatnonzero(self.windows.weights[:, self.window])
        return ResidualSpot(
            self.windows.name,
            (x, y, z),
            tuple(int(v) for v in self.windows.volumes[pooled]),
            self.effect / float(self.places.weight[self.at]),
            max(self.best, 0.0) / (scale if scale > 0 else 1.0),
            limit,
            float(self.places.doubt[self.at] / self.places.weight[self.at]),
        )


def _pooled(group: Group) -> _Windows:
    return _pool(group.name, group, np.arange(len(group.volumes))[None])


def _parts(group: Group, gradients: Gradients) -> Iterator[_Windows]:
    """Each direction with its nearest ones, and each volume alone."""
    count = len(group.volumes)
    vectors = gradients.bvecs[group.volumes]
    order = np.argsort(-np.abs(vectors @ vectors.T), axis=1, kind="stable")
    order[:, 0] = np.arange(count)
    if not group.is_b0 and count >= 2 * NEAREST:
        yield _pool(f"{group.name} neighbours", group, order[:, :NEAREST])
    if count > 1:
        yield _pool(f"{group.name} single", group, np.arange(count)[:, None])


def _pool(name: str, group: Group, members: np.ndarray) -> _Windows:
    windows, each = members.shape
    weights = np.zeros((len(group.volumes), windows), np.float32)
    weights[members.T, np.arange(windows)] = 1 / each
    return _Windows(name, group.volumes, weights)


def _smooth(volume: np.ndarray) -> np.ndarray:
    return gaussian_filter(volume, SPOT_SD, mode="constant", truncate=TRUNCATE)


def _smooth_squared(inside: np.ndarray) -> np.ndarray:
    """Σ_y k²(x−y) over the mask; the kernel is separable, so its square is too."""
    reach = int(TRUNCATE * SPOT_SD + 0.5)
    line = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SPOT_SD) ** 2)
    line = (line / line.sum()) ** 2
    out = inside
    for axis in range(3):
        out = correlate1d(out, line, axis, mode="constant")
    return np.maximum(out, 0)
