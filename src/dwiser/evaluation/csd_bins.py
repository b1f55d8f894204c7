"""Fibre orientations by bins of FA: peaks and apparent fibre density of CSD."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser import lazy
from dwiser.evaluation.bins import ENOUGH, fa_bins
from dwiser.evaluation.crossing import APART, PEAK, SIGNAL_FLOOR
from dwiser.evaluation.csd import csd_volumes, single_fibre_response
from dwiser.evaluation.heldout import training_fa
from dwiser.evaluation.records import Absent, CannotMeasure, Row, measured, rows_of
from dwiser.evaluation.tensor import angles, dipy_table, pick
from dwiser.scan import Gradients
from dwiser.seeds import stream

dipy_data = lazy.module("dipy.data")
dipy_direction = lazy.module("dipy.direction")
csdeconv = lazy.module("dipy.reconst.csdeconv")

VOXELS = 100  # drawn from a bin, at about 2 ms each
ABOVE_FLOOR = 2.0  # σ; the mean DWI of a voxel without signal is 1.25 σ


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


@dataclass(frozen=True)
class FibreValues:
    """CSD of one series in one bin: no errors, since no truth is known.

    peaks: mean number of peaks. density: mean apparent fibre density. crossings: share of voxels
    with two peaks or more. crossing: median angle between the two largest, where there are two.
    """

    peaks: float = measured("")
    density: float = measured("")
    crossings: float = measured("")
    crossing: float | None = measured("°", "no voxel has two peaks")


@dataclass(frozen=True)
class FibreTurn:
    """Median angle between the largest peaks of the denoised and of the raw scan."""

    turn: float | None = measured("°", "no voxel has a peak in both")


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
    fibres = _deconvolution(truth, gradients, mask)
    places = np.argwhere(mask)
    for group, voxels in _drawn(fa[mask], seed):
        if isinstance(voxels, str):
            yield Absent("csd", group, voxels)
            continue
        estimate, true = (fibres(image, places[voxels]) for image in (denoised, truth))
        yield from rows_of(_compared(estimate, true), group, "csd.")


def csd_value_rows(
    denoised: Float[np.ndarray, "x y z v"],
    raw: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    *,
    seed: int = 0,
) -> Iterator[Row]:
    """The same without a truth: values of both series by bins of the raw scan's FA.

    Voxels and response are the raw scan's, so that results of several methods can be compared.
    Only voxels whose raw DWIs have a mean above 2 σ count: below, FA and peaks are those of noise.

    Raises
    ------
    CannotMeasure
        Where no tensor or CSD can be fitted, or fewer than 30 such voxels are in the mask.
    """
    chosen, _ = csd_volumes(gradients)
    dwis = chosen[~gradients.is_b0[chosen]]
    bright = mask & (raw[..., dwis].mean(-1) > ABOVE_FLOOR * sigma)
    if bright.sum() < ENOUGH:
        raise CannotMeasure(f"fewer than {ENOUGH} voxels have a mean DWI above {ABOVE_FLOOR:g} σ")
    fibres = _deconvolution(raw, gradients, bright)
    places = np.argwhere(bright)
    fa = training_fa(raw, gradients, bright, np.arange(len(gradients)))
    for name, voxels in _drawn(fa, seed):
        group = f"raw {name}"
        if isinstance(voxels, str):
            yield Absent("fibres", group, voxels)
            continue
        after, before = (fibres(image, places[voxels]) for image in (denoised, raw))
        yield from rows_of(_values(after), group, "fibres.")
        yield from rows_of(_values(before), group, "fibres.raw.")
        yield from rows_of(FibreTurn(_turn(after, before)), group, "fibres.")


def _deconvolution(
    image: np.ndarray, gradients: Gradients, mask: np.ndarray
) -> Callable[[np.ndarray, np.ndarray], _Fibres]:
    """CSD at some places of any series, with the response that ``image`` has in the mask."""
    chosen, order = csd_volumes(gradients)
    table = pick(gradients, chosen)

    def signals(series: np.ndarray, places: np.ndarray) -> np.ndarray:
        rows = series[tuple(places.T)][:, chosen].astype(float)
        return np.maximum(rows, SIGNAL_FLOOR)[:, None, None, :]

    response = single_fibre_response(signals(image, np.argwhere(mask)), table)
    model = csdeconv.ConstrainedSphericalDeconvModel(
        dipy_table(table), response, sh_order_max=order
    )
    return lambda series, places: _fibres(model, signals(series, places))


def _drawn(
    fa: Float[np.ndarray, "n"], seed: int
) -> Iterator[tuple[str, Int[np.ndarray, "m"] | str]]:
    """Up to 100 voxels of each bin, or why it has none."""
    for i, (group, voxels) in enumerate(fa_bins(fa).items()):
        if len(voxels) < ENOUGH:
            yield group, f"{len(voxels)} voxels of the mask have such an FA, fewer than {ENOUGH}"
        else:
            yield group, np.sort(stream(seed, "csd", i).permutation(voxels)[:VOXELS])


def _fibres(model: Any, data: np.ndarray) -> _Fibres:
    fit = model.fit(data)
    axes, count = np.zeros((len(data), 2, 3)), np.zeros(len(data), int)
    for i, odf in enumerate(fit.odf(dipy_data.default_sphere)[:, 0, 0]):
        peaks, _, _ = dipy_direction.peak_directions(
            odf, dipy_data.default_sphere, relative_peak_threshold=PEAK, min_separation_angle=APART
        )
        count[i] = len(peaks)
        axes[i, : min(2, len(peaks))] = peaks[:2]
    density = fit.shm_coeff[:, 0, 0, 0] * np.sqrt(4 * np.pi)
    return _Fibres(axes, count, density)


def _compared(estimate: _Fibres, true: _Fibres) -> FibreError:
    two = (estimate.count >= 2) & (true.count >= 2)
    between = [angles(f.axes[two, 0], f.axes[two, 1]) for f in (estimate, true)]
    error, mean = estimate.density - true.density, true.density.mean()
    return FibreError(
        _turn(estimate, true),
        float((estimate.count - true.count).mean()),
        float((estimate.count == true.count).mean()),
        float(error.mean() / mean),
        float(np.sqrt((error**2).mean()) / mean),
        float(np.median(np.abs(between[0] - between[1]))) if two.any() else None,
    )


def _turn(a: _Fibres, b: _Fibres) -> float | None:
    one = (a.count >= 1) & (b.count >= 1)
    return float(np.median(angles(a.axes[one, 0], b.axes[one, 0]))) if one.any() else None


def _values(fibres: _Fibres) -> FibreValues:
    two = fibres.count >= 2
    return FibreValues(
        float(fibres.count.mean()),
        float(fibres.density.mean()),
        float(two.mean()),
        float(np.median(angles(fibres.axes[two, 0], fibres.axes[two, 1]))) if two.any() else None,
    )
