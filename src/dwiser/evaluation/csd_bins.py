"""Fibre orientations by bins of the true FA: peaks and apparent fibre density of CSD."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from dipy.data import default_sphere
from dipy.direction import peak_directions
from dipy.reconst.csdeconv import ConstrainedSphericalDeconvModel
from jaxtyping import Bool, Float

from dwiser.evaluation.bins import ENOUGH, fa_bins
from dwiser.evaluation.crossing import APART, PEAK, SIGNAL_FLOOR
from dwiser.evaluation.csd import csd_volumes, single_fibre_response
from dwiser.evaluation.records import Absent, Row, measured, rows_of
from dwiser.evaluation.tensor import angles, dipy_table, pick
from dwiser.scan import Gradients
from dwiser.seeds import stream

VOXELS = 100  # drawn from a bin, at about 2 ms each


@dataclass(frozen=True)
class FibreError:
    """CSD of the denoised scan against the truth's in one bin, both with the truth's response.

    peak: median angle of the largest peaks. peaks: mean number of peaks less the true one.
    same: share of voxels with the true number. density, density_error: mean and root mean square
    of the error of the apparent fibre density (the integral of the fibre orientation
    distribution, Raffelt et al. 2012), over the mean true one. crossing: median change of the
    angle between the two largest peaks, where both have two.
    """

    peak: float | None = measured("°", "no peak was found")
    peaks: float = measured("")
    same: float = measured("")
    density: float = measured("")
    density_error: float = measured("")
    crossing: float | None = measured("°", "no voxel has two peaks in both")


@dataclass(frozen=True, eq=False)
class _Fibres:
    """Peaks (n, 2, 3), zeros where there is none, how many there are, and fibre density."""

    axes: np.ndarray
    count: np.ndarray
    density: np.ndarray


def csd_rows(
    denoised: Float[np.ndarray, "x y z v"],
    truth: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    fa: Float[np.ndarray, "x y z"],
    *,
    seed: int = 0,
) -> Iterator[Row]:
    """DIPY's CSD (highest shell) in up to 100 voxels of each bin of ``fa``; 100 take 0.5 s."""
    chosen, order = csd_volumes(gradients)
    table = pick(gradients, chosen)
    places = np.argwhere(mask)

    def signals(image: np.ndarray, where: np.ndarray) -> np.ndarray:
        rows = image[tuple(where.T)][:, chosen].astype(float)
        return np.maximum(rows, SIGNAL_FLOOR)[:, None, None, :]

    response = single_fibre_response(signals(truth, places), table)
    model = ConstrainedSphericalDeconvModel(dipy_table(table), response, sh_order_max=order)
    for i, (group, voxels) in enumerate(fa_bins(fa[mask]).items()):
        if len(voxels) < ENOUGH:
            words = f"{len(voxels)} voxels of the mask have such an FA, fewer than {ENOUGH}"
            yield Absent("csd", group, words)
            continue
        some = np.sort(stream(seed, "csd", i).permutation(voxels)[:VOXELS])
        found, true = (_fibres(model, signals(d, places[some])) for d in (denoised, truth))
        yield from rows_of(_compared(found, true), group, "csd.")


def _fibres(model: ConstrainedSphericalDeconvModel, data: np.ndarray) -> _Fibres:
    fit = model.fit(data)
    axes, count = np.zeros((len(data), 2, 3)), np.zeros(len(data), int)
    for i, odf in enumerate(fit.odf(default_sphere)[:, 0, 0]):
        peaks, _, _ = peak_directions(
            odf, default_sphere, relative_peak_threshold=PEAK, min_separation_angle=APART
        )
        count[i] = len(peaks)
        axes[i, : min(2, len(peaks))] = peaks[:2]
    density = fit.shm_coeff[:, 0, 0, 0] * np.sqrt(4 * np.pi)
    return _Fibres(axes, count, density)


def _compared(found: _Fibres, true: _Fibres) -> FibreError:
    one, two = ((found.count >= n) & (true.count >= n) for n in (1, 2))
    off = angles(found.axes[one, 0], true.axes[one, 0])
    between = [angles(f.axes[two, 0], f.axes[two, 1]) for f in (found, true)]
    error, mean = found.density - true.density, true.density.mean()
    return FibreError(
        float(np.median(off)) if one.any() else None,
        float((found.count - true.count).mean()),
        float((found.count == true.count).mean()),
        float(error.mean() / mean),
        float(np.sqrt((error**2).mean()) / mean),
        float(np.median(np.abs(between[0] - between[1]))) if two.any() else None,
    )
