"""Fibre-to-bundle coherency: how many streamlines of a bundle stray. Takes some minutes."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_dilation

from dwiser import lazy
from dwiser.evaluation.csd import csd_volumes, single_fibre_response
from dwiser.evaluation.records import CannotMeasure, measured
from dwiser.evaluation.tensor import dipy_table, fit_tensor, pick
from dwiser.scan import Gradients
from dwiser.seeds import stream

dipy_data = lazy.module("dipy.data")
enhancement_kernel = lazy.module("dipy.denoise.enhancement_kernel")
csdeconv = lazy.module("dipy.reconst.csdeconv")
fbcmeasures = lazy.module("dipy.tracking.fbcmeasures")
stopping_criterion = lazy.module("dipy.tracking.stopping_criterion")
streamline = lazy.module("dipy.tracking.streamline")
tracker = lazy.module("dipy.tracking.tracker")
tracking_utils = lazy.module("dipy.tracking.utils")

MAX_ANGLE, STEP = 30.0, 0.5  # degrees and mm: the poster's tracking
D33, D44, TIME = 1.0, 0.02, 1.0  # the poster's kernel: spatial, angular, time
COHERENT = 0.125  # the poster's cut on the relative coherency
STOP_FA = 0.15
SHORTEST = 10  # points; FBC is not defined on shorter streamlines
LONGEST_MM = 200.0
MOST = 1000  # streamlines: FBC takes time with their square
SEEDS_PER_VOXEL = (2, 2, 2)
STAYS = 0.9  # of a streamline's points: it stays in its bundle
NEAR = 0.9  # voxels from an end's voxel centre; half a voxel's diagonal


@dataclass(frozen=True)
class Coherency:
    """A bundle's streamlines, the share that is coherent (RFBC > 0.125), the RFBC's quartiles.

    found: streamlines of the bundle; streamlines: those measured, up to 1000 of them.
    Sources: Portegies et al. 2015, Meesters et al. 2016, as in DIPY.
    """

    found: int = measured("")
    streamlines: int = measured("")
    coherent: int = measured("")
    share: float = measured("")
    q1: float = measured("")
    median: float = measured("")
    q3: float = measured("")


@dataclass(frozen=True)
class Validity:
    """Streamlines of a known bundle: valid ones end in both of its ends and stay inside it.

    invalid: all others; share: valid over all. Source: the idea of the Tractometer
    (Côté et al. 2013), for one bundle.
    """

    valid: int = measured("")
    invalid: int = measured("")
    share: float = measured("")


def validity(
    streamlines: list[np.ndarray],
    affine: Float[np.ndarray, "4 4"],
    inside: Bool[np.ndarray, "x y z"],
    ends: tuple[Bool[np.ndarray, "x y z"], Bool[np.ndarray, "x y z"]],
) -> Validity:
    """Which streamlines (points in mm) run from one end of the bundle to the other inside it.

    "Inside" is the bundle's mask made one voxel wider, for at least 90 % of the points; an end
    counts if any point comes within half a voxel's diagonal of it.

    Raises
    ------
    CannotMeasure
        Without a streamline.
    """
    if not streamlines:
        raise CannotMeasure("there is no streamline to judge")
    valid = int(is_valid(streamlines, affine, inside, ends).sum())
    return Validity(valid, len(streamlines) - valid, valid / len(streamlines))


def is_valid(
    streamlines: list[np.ndarray],
    affine: Float[np.ndarray, "4 4"],
    inside: Bool[np.ndarray, "x y z"],
    ends: tuple[Bool[np.ndarray, "x y z"], Bool[np.ndarray, "x y z"]],
) -> Bool[np.ndarray, "n"]:
    """One answer a streamline, by the rule of `validity`."""
    wide = binary_dilation(inside)
    lines = list(streamline.transform_streamlines(streamlines, np.linalg.inv(affine)))
    stays = np.array([_share_inside(line, wide) >= STAYS for line in lines])
    return stays & reaches(streamlines, affine, ends[0]) & reaches(streamlines, affine, ends[1])


def reaches(
    streamlines: list[np.ndarray],
    affine: Float[np.ndarray, "4 4"],
    end: Bool[np.ndarray, "x y z"],
) -> Bool[np.ndarray, "n"]:
    """Which streamlines (points in mm) come within half a voxel's diagonal of a region."""
    lines = list(streamline.transform_streamlines(streamlines, np.linalg.inv(affine)))
    return np.asarray(tracking_utils.near_roi(lines, np.eye(4), end, tol=NEAR, mode="any"), bool)


def _share_inside(line: np.ndarray, mask: np.ndarray) -> float:
    """Share of a streamline's points, in voxel units, that lie in the mask."""
    at = np.rint(line).astype(int)
    within = ((at >= 0) & (at < mask.shape)).all(1)
    return float(mask[tuple(at[within].T)].sum() / len(at))


def bundle(
    denoised: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    affine: Float[np.ndarray, "4 4"],
    start: Bool[np.ndarray, "x y z"],
    through: Bool[np.ndarray, "x y z"] | None = None,
    *,
    seed: int = 0,
) -> list[np.ndarray]:
    """Probabilistic CSD streamlines (points in mm) seeded in ``start`` that pass ``through``.

    Raises
    ------
    CannotMeasure
        When CSD cannot be fitted or no streamline remains.
    """
    chosen, order = csd_volumes(gradients)
    table = pick(gradients, chosen)
    data = np.maximum(denoised[..., chosen].astype(float), 0)
    response = single_fibre_response(data[mask][:, None, None], table)
    model = csdeconv.ConstrainedSphericalDeconvModel(
        dipy_table(table), response, sh_order_max=order
    )
    fit = model.fit(data, mask=mask)
    fa = fit_tensor(denoised, gradients, mask, method="OLS").fa
    lines = tracker.probabilistic_tracking(
        tracking_utils.seeds_from_mask(start & mask, affine, density=SEEDS_PER_VOXEL),
        stopping_criterion.ThresholdStoppingCriterion(fa, STOP_FA),
        affine,
        sh=fit.shm_coeff,
        sphere=dipy_data.default_sphere,
        max_angle=MAX_ANGLE,
        step_size=STEP,
        max_len=LONGEST_MM,
        nbr_threads=1,
        random_seed=1 + seed,
        return_all=False,
    )
    selected = [line for line in lines if len(line) >= SHORTEST]
    if through is not None and selected:
        selected = list(tracking_utils.target(selected, affine, through))
    if not selected:
        raise CannotMeasure("no streamline of the bundle was found")
    return selected


def coherency(
    streamlines: list[np.ndarray], affine: Float[np.ndarray, "4 4"], *, seed: int = 0
) -> Coherency:
    """FBC of up to 1000 streamlines (in mm), drawn at random; in voxel units as DIPY does it.

    Raises
    ------
    CannotMeasure
        For fewer than two streamlines.
    """
    if len(streamlines) < 2:
        raise CannotMeasure("coherency needs two or more streamlines")
    picks = stream(seed, "coherency").permutation(len(streamlines))[:MOST]
    lines = list(
        streamline.transform_streamlines([streamlines[i] for i in picks], np.linalg.inv(affine))
    )
    kernel = enhancement_kernel.EnhancementKernel(D33, D44, TIME, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        fbc = fbcmeasures.FBCMeasures([np.asarray(x, float) for x in lines], kernel, num_threads=1)
    _, _, rfbc = fbc.get_points_rfbc_thresholded(0.0)
    values = np.asarray(rfbc, float)
    coherent = int((values > COHERENT).sum())
    q1, median, q3 = (float(q) for q in np.percentile(values, [25, 50, 75]))
    share = coherent / len(values)
    return Coherency(len(streamlines), len(values), coherent, share, q1, median, q3)
