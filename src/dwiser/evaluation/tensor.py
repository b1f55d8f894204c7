"""The diffusion tensor of a denoised scan against the truth's: FA, MD, RD, AD and V1."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from dwiser import lazy
from dwiser.b_delta import is_linear, is_spherical
from dwiser.evaluation.fidelity import masked_ssim
from dwiser.evaluation.groups import in_mask
from dwiser.evaluation.records import CannotMeasure, measured
from dwiser.prepare.shells import b_tolerance, contrasts, shells
from dwiser.prepare.tensor_fit import UNKNOWNS, tensor_rows
from dwiser.scan import Gradients

dipy_gradients = lazy.module("dipy.core.gradients")
dti = lazy.module("dipy.reconst.dti")
skimage_metrics = lazy.module("skimage.metrics")

B_MAX = 1500.0  # s/mm²; above it the Gaussian tensor no longer holds
AT_ONCE = 20_000  # voxels fitted
FA_RANGE = 1.0
DIFFUSIVITY_RANGE = 3e-3  # mm²/s; free water at 37 °C
ANISOTROPIC = 0.2  # true FA above which V1 has a meaning
SIGNAL_FLOOR = 1e-4  # of the largest signal; logarithms need a positive number

RANGES = {
    "fa": FA_RANGE,
    "md": DIFFUSIVITY_RANGE,
    "rd": DIFFUSIVITY_RANGE,
    "ad": DIFFUSIVITY_RANGE,
}
UNITS = {"fa": "", "md": "mm²/s", "rd": "mm²/s", "ad": "mm²/s"}


@dataclass(frozen=True, eq=False)
class TensorMaps:
    """FA, diffusivities in mm²/s and the main direction; 0 outside the mask."""

    fa: Float[np.ndarray, "x y z"]
    md: Float[np.ndarray, "x y z"]
    rd: Float[np.ndarray, "x y z"]
    ad: Float[np.ndarray, "x y z"]
    v1: Float[np.ndarray, "x y z 3"]


@dataclass(frozen=True)
class MapFidelity:
    """One scalar map against the truth's, in the mask; bias = mean(map − truth).

    PSNR and SSIM use the range 1 for FA and 3e-3 mm²/s for diffusivities.
    """

    psnr: float | None = measured("dB", "the map equals the truth's, so its PSNR is infinite")
    ssim: float | None = measured("", "the image is thinner than 3 voxels along one axis")
    rmse: float = measured("")
    bias: float = measured("")


@dataclass(frozen=True)
class AngularError:
    """Angle between V1 and the true V1, in degrees, where the true FA exceeds 0.2."""

    median: float = measured("°")
    p95: float = measured("°")
    voxels: int = 0


def dipy_table(gradients: Gradients) -> Any:
    """DIPY's ``GradientTable``; with b-tensors where they are not all linear."""
    tensors = None if is_linear(gradients.shapes).all() else b_tensors(gradients)
    return dipy_gradients.gradient_table(
        gradients.bvals, bvecs=gradients.bvecs, b0_threshold=gradients.b0_threshold, btens=tensors
    )


def b_tensors(gradients: Gradients) -> Float[np.ndarray, "v 3 3"]:
    """b [(1 − Δ) I/3 + Δ g gᵀ] of each volume, s/mm²."""
    shapes, bvecs = gradients.shapes[:, None, None], gradients.bvecs
    axes = bvecs[:, :, None] * bvecs[:, None, :]
    return gradients.bvals[:, None, None] * ((1 - shapes) / 3 * np.eye(3) + shapes * axes)


def pick(gradients: Gradients, volumes: np.ndarray) -> Gradients:
    """The table of some volumes only."""
    return gradients.take(volumes)


def tensor_volumes(gradients: Gradients, b_max: float = B_MAX) -> np.ndarray:
    """Volumes with b up to ``b_max`` s/mm², if they determine a tensor.

    They are of one echo and one shape of b-tensor: of the first, linear ones before others, that
    determines one.

    Raises
    ------
    CannotMeasure
        When b0s or directions are too few or lie on a cone that leaves the tensor open.
    """
    reasons = []
    for shells_of_one in contrasts(shells(gradients)):
        one = np.sort(np.concatenate([shell.volumes for shell in shells_of_one]))
        try:
            return one[_determining(gradients.take(one), b_max)]
        except CannotMeasure as why:
            reasons.append(why)
    raise reasons[0] if reasons else CannotMeasure("there are no volumes")


def _determining(gradients: Gradients, b_max: float) -> np.ndarray:
    without = gradients.without_direction
    chosen = np.flatnonzero((gradients.bvals <= b_max) & ~without)
    dwis = int((~gradients.is_b0[chosen]).sum())
    if dwis < UNKNOWNS - 1:
        spherical = without.any() and is_spherical(gradients.shapes[without]).all()
        kind = (
            "are spherical b-tensors, which have no direction" if spherical else "have no direction"
        )
        also = f" ({without.sum()} DWIs {kind})" if without.any() else ""
        raise CannotMeasure(
            f"a tensor needs 6 DWIs with b up to {b_max:g} s/mm², there are {dwis}{also}"
        )
    b = gradients.bvals[chosen]
    one_shell = np.ptp(b) <= b_tolerance(b.max())
    design = tensor_rows(pick(gradients, chosen))
    if np.linalg.matrix_rank(design / np.abs(design).max(0).clip(1e-12)) < UNKNOWNS or one_shell:
        raise CannotMeasure("the gradient table does not determine a tensor and a b0 signal")
    return chosen


def fit_tensor(
    data: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    *,
    method: str = "WLS",
    b_max: float = B_MAX,
) -> TensorMaps:
    """DIPY's tensor fit (WLS, Chung et al. 2006) of the volumes with b ≤ 1500 s/mm²."""
    parts = [_maps(fit) for fit in _fits(data, gradients, mask, method, b_max)]
    maps = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return TensorMaps(**{name: _fill(values, mask) for name, values in maps.items()})


def _fits(
    data: np.ndarray,
    gradients: Gradients,
    mask: np.ndarray,
    method: str,
    b_max: float,
) -> Iterator[Any]:
    """Some voxels of the mask at a time, for memory."""
    chosen = tensor_volumes(gradients, b_max)
    signals = in_mask(data, mask, chosen)
    floor = SIGNAL_FLOOR * float(signals.max())
    if floor <= 0:
        raise CannotMeasure("the image is zero in the mask")
    model = dti.TensorModel(
        dipy_table(pick(gradients, chosen)), fit_method=method, min_signal=floor
    )
    for low in range(0, len(signals), AT_ONCE):
        yield model.fit(signals[low : low + AT_ONCE].astype(float, order="C"))


def _maps(fit: Any) -> dict[str, np.ndarray]:
    return {
        "fa": fit.fa,
        "md": fit.md,
        "rd": dti.radial_diffusivity(fit.evals),
        "ad": dti.axial_diffusivity(fit.evals),
        "v1": fit.evecs[..., 0],
    }


def _fill(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    out = np.zeros(mask.shape + values.shape[1:])
    out[mask] = np.nan_to_num(values)
    return out


def map_fidelity(
    image: Float[np.ndarray, "x y z"],
    truth: Float[np.ndarray, "x y z"],
    mask: Bool[np.ndarray, "x y z"],
    data_range: float,
) -> MapFidelity:
    """PSNR, SSIM, RMSE and bias of a scalar map in the mask."""
    e = image[mask] - truth[mask]
    mse = float((e**2).mean())
    psnr = None
    if mse > 0:
        psnr = float(
            skimage_metrics.peak_signal_noise_ratio(truth[mask], image[mask], data_range=data_range)
        )
    ssim = masked_ssim(image[..., None], truth[..., None], mask, data_range)
    return MapFidelity(psnr, ssim, mse**0.5, float(e.mean()))


def angles(a: Float[np.ndarray, "*s 3"], b: Float[np.ndarray, "*s 3"]) -> Float[np.ndarray, "*s"]:
    """Angle in degrees between axes (sign does not count); arctan2 keeps small ones exact."""
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.degrees(np.arctan2(cross, np.abs((a * b).sum(-1))))


def angular_error(
    v1: Float[np.ndarray, "x y z 3"],
    true_v1: Float[np.ndarray, "x y z 3"],
    true_fa: Float[np.ndarray, "x y z"],
    mask: Bool[np.ndarray, "x y z"],
) -> AngularError:
    """Median and 95th percentile of the V1 angle where the true FA exceeds 0.2.

    Raises
    ------
    CannotMeasure
        Where no voxel of the mask has a true FA above 0.2.
    """
    where = mask & (true_fa > ANISOTROPIC)
    if not where.any():
        raise CannotMeasure(f"no voxel of the mask has a true FA above {ANISOTROPIC}")
    angle = angles(v1[where], true_v1[where])
    return AngularError(float(np.median(angle)), float(np.percentile(angle, 95)), int(where.sum()))
