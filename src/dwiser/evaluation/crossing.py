"""Crossing-angle error: CSD peaks of the denoised scan against the truth's. Takes its time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from dwiser import lazy
from dwiser.evaluation.csd import csd_volumes, single_fibre_response
from dwiser.evaluation.records import CannotMeasure, measured
from dwiser.evaluation.tensor import angles, dipy_table, pick
from dwiser.scan import Gradients
from dwiser.seeds import stream

dipy_data = lazy.module("dipy.data")
dipy_direction = lazy.module("dipy.direction")
csdeconv = lazy.module("dipy.reconst.csdeconv")

VOXELS = 500  # at about 2 ms each; the median's error is then some 5 %
PEAK, APART = 0.3, 25.0  # a peak's share of the largest, and degrees between two
SIGNAL_FLOOR = 1e-6


@dataclass(frozen=True)
class CrossingError:
    """Where the truth has two fibres: does the denoised scan show both, and at which angle?

    angle: median |crossing angle − true one| in degrees; found: share of the true crossings
    that have two peaks in the denoised scan; peak: median angle between the peaks and the
    nearest true ones, in degrees.
    """

    angle: float | None = measured("°", "no crossing was found in the denoised scan")
    found: float = measured("")
    peak: float | None = measured("°", "no crossing was found in the denoised scan")
    voxels: int = 0


def crossing_error(
    denoised: Float[np.ndarray, "x y z v"],
    truth: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    *,
    voxels: int = VOXELS,
    seed: int = 0,
) -> CrossingError:
    """Peaks of DIPY's CSD (highest shell) of both in up to ``voxels`` voxels of the mask.

    Give a mask of the white matter, best of known crossings: the truth's peaks decide which
    of its voxels count. Both scans are deconvolved with the truth's response.

    Raises
    ------
    CannotMeasure
        Where the truth has no crossing fibres in the voxels that are examined.
    """
    chosen, order = csd_volumes(gradients)
    table = pick(gradients, chosen)
    places = np.argwhere(mask)
    some = stream(seed, "crossing").permutation(len(places))[:voxels]
    where = tuple(places[np.sort(some)].T)
    true = _voxels(truth[where][:, chosen])
    everywhere = _voxels(truth[mask][:, chosen])
    response = single_fibre_response(everywhere, table)
    model = csdeconv.ConstrainedSphericalDeconvModel(
        dipy_table(table), response, sh_order_max=order
    )
    true_peaks = _two_peaks(model, true)
    crossing = (true_peaks != 0).any(-1).all(-1)
    if not crossing.any():
        raise CannotMeasure("the truth has no crossing fibres in the voxels examined")
    peaks = _two_peaks(model, _voxels(denoised[where][:, chosen])[crossing])
    return _compare(peaks, true_peaks[crossing])


def _voxels(signals: np.ndarray) -> np.ndarray:
    return np.maximum(signals.astype(float), SIGNAL_FLOOR)[:, None, None, :]


def _two_peaks(model: Any, data: np.ndarray) -> np.ndarray:
    """(n, 2, 3) directions, zeros where there is no second peak."""
    peaks = dipy_direction.peaks_from_model(
        model, data, dipy_data.default_sphere, PEAK, APART, npeaks=2, return_sh=False
    )
    return np.asarray(peaks.peak_dirs)[:, 0, 0]


def _compare(peaks: np.ndarray, true: np.ndarray) -> CrossingError:
    both = (peaks != 0).any(-1).all(-1)
    if not both.any():
        return CrossingError(None, 0.0, None, len(true))
    p, t = peaks[both], true[both]
    change = np.abs(angles(p[:, 0], p[:, 1]) - angles(t[:, 0], t[:, 1]))
    straight = (angles(p[:, 0], t[:, 0]) + angles(p[:, 1], t[:, 1])) / 2
    swapped = (angles(p[:, 0], t[:, 1]) + angles(p[:, 1], t[:, 0])) / 2
    return CrossingError(
        float(np.median(change)),
        float(both.mean()),
        float(np.median(np.minimum(straight, swapped))),
        len(true),
    )
