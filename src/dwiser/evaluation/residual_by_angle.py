"""The residual by angle to the fibre: was the signal's shape in q-space removed?

White noise has mean 0 in every gradient direction. Signal that a denoiser removes from the shape
of a fibre's signal differs between directions across the fibre and along it, and shows as a row
of means that are not 0; a loss of the fourth order is P4-shaped, + . - - +. Maps of the residual
over space, and its correlation with FA, do not show it: over the directions of a voxel it sums
to 0.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.evaluation.anatomy import halves
from dwiser.evaluation.angle_cells import (
    COS_BINS,
    FA_EDGES,
    FEWEST_VOXELS,
    ROWS,
    AngleCells,
    CellSums,
    angle_cells,
)
from dwiser.evaluation.groups import directed_shells
from dwiser.evaluation.main_direction import main_direction
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.residual import expected_raw
from dwiser.evaluation.tensor import B_MAX
from dwiser.prepare.moments import magnitude_floor
from dwiser.prepare.volume_sums import volume_sum
from dwiser.scan import Gradients

BRIGHT = 0.35  # of the object's median b0: tissue with enough signal
CLEAR = 1.5  # σ of a single b0 above noise alone: voxels that may tell what the object's b0 is
FEWEST_DIRECTIONS = 12  # in a shell: each half must determine a tensor
MOST_VOXELS = 100_000  # of tissue that are used: errors are then far below any limit


@dataclass(frozen=True, eq=False)
class _Axes:
    """FA's row (0: below all) and v1 of the n voxels."""

    row: Int[np.ndarray, "n"]
    v1: Float[np.ndarray, "n 3"]

    @property
    def voxels(self) -> Int[np.ndarray, "r"]:
        """How many are in each row."""
        return np.bincount(self.row, minlength=ROWS + 1)

    def cell(self, bvec: Float[np.ndarray, "3"]) -> Int[np.ndarray, "n"]:
        """Which cell each voxel is in for a volume of this direction."""
        column = (np.abs(self.v1 @ bvec.astype(np.float32)) * COS_BINS).astype(np.intp)
        return self.row * COS_BINS + np.minimum(column, COS_BINS - 1)


def residual_by_angle(
    raw: Float[np.ndarray, "x y z v"],
    denoised: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    reading: str,
    coils: float | int = 1,
    *,
    seed: int = 0,
) -> tuple[AngleCells, ...]:
    """The cells of every shell of 12 directions or more; definitions at `AngleCells`.

    ``reading`` says what the denoised value stands for (`Residual`), ``coils`` are the channels
    behind the raw magnitude. Only tissue with enough signal counts: voxels of the mask whose
    mean raw b0 exceeds 0.35 times the median of those that are 1.5 σ above noise alone, and
    that are so themselves. Beyond 100 000 such voxels every nth is used.

    Raises
    ------
    CannotMeasure
        Without a b0 or a shell of 12 directions, and where fewer than 100 voxels have an FA
        above 0.15.
    """
    shells = directed_shells(gradients)
    enough = [g for g in shells if len(g.volumes) >= FEWEST_DIRECTIONS]
    if not enough:
        raise CannotMeasure(f"no shell has {FEWEST_DIRECTIONS} directions")
    tissue = _tissue(raw, gradients, mask & (sigma > 0), sigma, coils)
    b_max = max(B_MAX, float(gradients.bvals[shells[0].volumes].max()))
    axes = _axes(*main_direction(denoised, gradients, tissue, b_max=b_max))
    if axes.voxels[1:].max() < FEWEST_VOXELS:
        raise CannotMeasure(f"fewer than {FEWEST_VOXELS} voxels have an FA above {FA_EDGES[0]}")
    other_axes = _other_axes(raw, gradients, tissue, b_max)
    noise = sigma[tissue].astype(np.float32)
    cells = []
    for group in enough:
        sums = CellSums(len(group.volumes))
        for i, v in enumerate(group.volumes):  # a volume at a time, for memory
            snr = denoised[..., v][tissue] / noise
            expected = expected_raw(snr, reading, coils)[0]
            residual, bvec = raw[..., v][tissue] / noise - expected, gradients.bvecs[v]
            sums.add(i, axes.cell(bvec), other_axes[v].cell(bvec), residual, expected - snr)
        crossed = np.minimum(*(other_axes[v].voxels for v in group.volumes[:2]))
        bval = float(gradients.bvals[group.volumes].mean())
        cells.append(angle_cells(group.name, bval, sums, axes.voxels, crossed, seed))
    return tuple(cells)


def _tissue(
    raw: np.ndarray, gradients: Gradients, mask: np.ndarray, sigma: np.ndarray, coils: float | int
) -> np.ndarray:
    """Voxels of the mask with enough signal, every nth of them beyond `MOST_VOXELS`.

    Enough is a share of the median, which neither fluid, several times as bright as tissue, nor
    the mask's rim of background decides.
    """
    b0s = np.flatnonzero(gradients.is_b0)
    if not len(b0s):
        raise CannotMeasure("there is no b0, which tells tissue from background")
    b0 = volume_sum(raw, b0s) / len(b0s)
    clear = mask & (b0 > (magnitude_floor(coils) + CLEAR) * sigma.astype(float))
    tissue = clear & (b0 > BRIGHT * np.median(b0[clear])) if clear.any() else clear
    places = np.flatnonzero(tissue)
    some = np.zeros(tissue.size, bool)
    some[places[:: max(1, -(-len(places) // MOST_VOXELS))]] = True
    if not some.any():
        raise CannotMeasure("no voxel of the mask has enough signal")
    return some.reshape(tissue.shape)


def _axes(fa: np.ndarray, v1: np.ndarray) -> _Axes:
    row = np.searchsorted(FA_EDGES[:-1], fa, side="right").astype(np.int8)
    return _Axes(row, v1.astype(np.float32))


def _other_axes(
    raw: np.ndarray, gradients: Gradients, tissue: np.ndarray, b_max: float
) -> dict[int, _Axes]:
    """For each DWI the axes that the raw volumes of the other half of the directions show."""
    b0s, (first, second) = np.flatnonzero(gradients.is_b0), halves(gradients)
    axes: dict[int, _Axes] = {}
    for half, rest in ((first, second), (second, first)):
        used = np.sort(np.concatenate([b0s, rest]))
        fit = main_direction(raw, gradients, tissue, used, b_max=b_max, weighted=False)
        axes |= dict.fromkeys(half.tolist(), _axes(*fit))
    return axes
