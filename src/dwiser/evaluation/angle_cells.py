"""Means in cells of FA and of the angle to the fibre, their errors, and summary statistics."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dwiser.evaluation.noise_floor import FLOOR_DOUBT
from dwiser.evaluation.records import Absent, Metric, Row
from dwiser.seeds import stream

FA_EDGES = (0.15, 0.3, 0.45, 0.6, 0.8, 1.0)
COS_BINS = 5  # of |cos(v1, g)| from 0 to 1: as many directions in each, if they are even
COS_EDGES = np.linspace(0, 1, COS_BINS + 1)
FEWEST_VOXELS = 100  # in a row of FA
DRAWS = 200  # of the bootstrap: its standard errors are good to 5 %
SELECTION = 3.0  # sd subtracted from a cell: the largest of a hundred is large by chance too
PRECISE = 0.03  # σ; a cell with a larger standard error is shown, not judged
ROWS = len(FA_EDGES) - 1
CELLS = (ROWS + 1) * COS_BINS  # with a row in front for lower FA


@dataclass(frozen=True, eq=False)
class AngleCells:
    """Mean residual of one shell in cells of FA × |cos(v1, g)|, in σ; above 0 the raw is brighter.

    The residual is raw − the magnitude that the denoised signal would show (by its reading,
    `Residual`), over σ. Rows are bins of FA (``FA_EDGES``), columns of |cos| from 0, across the
    fibre, to 1, along it. NaN where a row has fewer than 100 voxels or a cell no sample.

    Parameters
    ----------
    group, bval : the shell; b in s/mm².
    voxels : (5,) of each row.
    mean, error : (5, 5) FA and v1 from the denoised scan; the error is the standard error by a
        bootstrap over directions.
    floor : (5, 5) mean of the magnitude's expectation less the denoised value, σ.
    crossed, crossed_error : (5, 5) the same with FA and v1 from the raw volumes of the *other*
        half of the directions, whose noise is independent of the raw volumes averaged; noise in
        v1 blurs them.
    confirmed, confirmed_error : (5,) by row: how much of ``mean`` the cross-fitted value
        confirms. 1: it shows all that this blur lets through of it; 0: none of it. The slope
        of ``crossed`` over what ``mean``, assigned to each voxel and volume, gives in the
        cells of the cross-fitted FA and angle.
    """

    group: str
    bval: float
    voxels: Int[np.ndarray, "f"]
    mean: Float[np.ndarray, "f c"]
    error: Float[np.ndarray, "f c"]
    floor: Float[np.ndarray, "f c"]
    crossed: Float[np.ndarray, "f c"]
    crossed_error: Float[np.ndarray, "f c"]
    confirmed: Float[np.ndarray, "f"]
    confirmed_error: Float[np.ndarray, "f"]

    @property
    def sure(self) -> Float[np.ndarray, "f c"]:
        """How much of each cell's mean is no chance and no noise in v1, σ; 0 where unknown.

        Its distance from the mean of all cells, each row weighing as many voxels as it has (a
        shift of the whole tissue has no shape), times the share that is confirmed (0 if that may
        be chance), less 3 of its standard errors and a fifth of the noise floor. Cells of an
        error above 0.03 σ count as 0.
        """
        beyond_chance = self.confirmed - SELECTION * self.confirmed_error > 0
        share = np.where(beyond_chance, self.confirmed.clip(0, 1), 0)[:, None]
        chance = SELECTION * self.error + FLOOR_DOUBT * np.abs(self.floor)
        sure = np.abs(self.mean - self.shift) * share - chance
        return np.where((self.error <= PRECISE) & (sure > 0), sure, 0)

    @property
    def shift(self) -> float:
        """Mean of the cells that are known, by the voxels of their rows, σ."""
        known = np.isfinite(self.mean)
        weights = np.where(known, self.voxels[:, None], 0)
        total = float(weights.sum())
        return float((np.where(known, self.mean, 0) * weights).sum() / total) if total else 0.0

    def rows(self) -> Iterator[Row]:
        """Every cell that has a value: ``residual.angle.cos1`` (across the fibre) to ``cos5``."""
        for f, voxels in enumerate(self.voxels):
            group = f"{self.group} FA {FA_EDGES[f]:.2f}-{FA_EDGES[f + 1]:.2f}"
            if not np.isfinite(self.mean[f]).any():
                reason = f"fewer than {FEWEST_VOXELS} voxels have this FA"
                yield Absent("residual.angle", group, reason)
                continue
            yield Metric("residual.angle.voxels", group, float(voxels), "")
            for name, values in (
                ("angle", self.mean), ("angle.se", self.error),
                ("angle_crossed", self.crossed), ("angle_crossed.se", self.crossed_error),
            ):  # fmt: skip
                for c, value in enumerate(values[f]):
                    if np.isfinite(value):
                        yield Metric(f"residual.{name}.cos{c + 1}", group, float(value), "σ")
            if np.isfinite(self.confirmed[f]):
                share = float(self.confirmed[f])
                yield Metric("residual.angle_crossed.confirmed", group, share, "")


class CellSums:
    """Sums over the voxels of each volume of a shell, by cell: (v, cells), a volume at a time.

    ``crossed``: by the cells of the cross-fitted FA and v1. ``together``: how many samples are
    in both of two cells, one of each kind.
    """

    def __init__(self, volumes: int) -> None:
        self.counts, self.totals, self.floors = np.zeros((3, volumes, CELLS))
        self.crossed_counts, self.crossed_totals = np.zeros((2, volumes, CELLS))
        self.together = np.zeros((CELLS, CELLS))

    def add(
        self, i: int, cell: np.ndarray, other: np.ndarray, residual: np.ndarray, floor: np.ndarray
    ) -> None:
        """The i-th volume: its voxels' cells, residuals and noise floors, both in σ."""
        self.counts[i] = np.bincount(cell, minlength=CELLS)
        self.totals[i] = np.bincount(cell, residual, CELLS)
        self.floors[i] = np.bincount(cell, floor, CELLS)
        self.crossed_totals[i] = np.bincount(other, residual, CELLS)
        both = np.bincount(cell * CELLS + other, minlength=CELLS**2).reshape(CELLS, CELLS)
        self.crossed_counts[i] = both.sum(0)
        self.together += both


def angle_cells(
    group: str,
    bval: float,
    sums: CellSums,
    voxels: np.ndarray,
    crossed_voxels: np.ndarray,
    seed: int,
) -> AngleCells:
    """A shell's sums as means with their errors; ``voxels`` by row, a row for lower FA in front."""
    count = len(sums.counts)
    drawn = stream(seed, f"angle {group}").integers(0, count, (DRAWS, count))
    weights = np.stack([np.bincount(row, minlength=count) for row in drawn])
    mean, draws = _means(sums.totals, sums.counts, weights)
    crossed, crossed_draws = _means(sums.crossed_totals, sums.crossed_counts, weights)
    passed = np.nan_to_num(mean.ravel()) @ sums.together / sums.together.sum(0).clip(1)
    floor = _share(sums.floors.sum(0), sums.counts.sum(0)).reshape(-1, COS_BINS)
    with np.errstate(invalid="ignore", divide="ignore"):
        confirmed, confirmed_error = _slope(crossed, crossed_draws, passed.reshape(mean.shape))
    few, crossed_few = voxels < FEWEST_VOXELS, crossed_voxels < FEWEST_VOXELS
    by_row = (np.where(few | crossed_few, np.nan, a)[1:] for a in (confirmed, confirmed_error))
    direct = (np.where(few[:, None], np.nan, a)[1:] for a in (mean, draws.std(0), floor))
    crossed_ = (
        np.where(crossed_few[:, None], np.nan, a)[1:] for a in (crossed, crossed_draws.std(0))
    )
    return AngleCells(group, bval, voxels[1:], *direct, *crossed_, *by_row)


def _share(totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean of each cell, NaN where it has no sample."""
    return np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)


def _means(
    totals: np.ndarray, counts: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means of the cells (f, c) from (v, cells), and those of each bootstrap draw (d, f, c)."""
    mean = _share(totals.sum(0), counts.sum(0)).reshape(-1, COS_BINS)
    draws = _share(weights @ totals, weights @ counts).reshape(len(weights), -1, COS_BINS)
    return mean, np.where(np.isfinite(draws), draws, mean)


def _slope(
    crossed: np.ndarray, draws: np.ndarray, passed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Row by row the slope of what was measured over what would have passed, and its error."""
    weight = passed / np.square(draws.std(0))
    slope, slopes = (
        np.nansum(weight * a, -1) / np.nansum(weight * passed, -1) for a in (crossed, draws)
    )
    return slope, slopes.std(0)
