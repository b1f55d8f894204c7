"""Against the truth: error, and bias apart from variance, by group of volumes and by tissue."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from dwiser import lazy
from dwiser.evaluation.records import CannotMeasure, measured

skimage_metrics = lazy.module("skimage.metrics")

SSIM_WINDOW = 7  # voxels; scikit-image's default, a uniform window (Wang et al. 2004)

_EXACT = "the denoised image equals the truth, so its PSNR is infinite"
_THIN = "the image is thinner than 3 voxels along one axis"
_ONE = "bias and variance can be separated only over two or more volumes"


@dataclass(frozen=True)
class Fidelity:
    """Error of a group of volumes in the mask.

    nrmse: sqrt(mean((a−t)²)/mean(t²)). psnr: 10·log10(range²/mean((a−t)²)). ssim: mean of
    the SSIM map over the mask's voxels and the volumes. The data range of both is the
    truth's maximum over the mask and the group; voxels outside the mask are 0 in both images.
    """

    nrmse: float = measured("")
    psnr: float | None = measured("dB", _EXACT)
    ssim: float | None = measured("", _THIN)
    data_range: float = measured("signal")


@dataclass(frozen=True)
class ErrorComponents:
    """Bias apart from variance, for the voxels of one tissue (or the mask) in one group.

    With e(x, v) the error at voxel x of volume v, V volumes, s²(x) its variance over v:

    - bias: mean of e, in the data's units; bias_share: bias / mean truth;
    - systematic: sqrt(max(0, mean_x(ē(x)² − s²(x)/V))): the error that repeats in every
      volume of a voxel (blurred edges, wrong contrast, a Rician floor);
    - random: sqrt(mean_x s²(x)): what changes from volume to volume, which is the
      remaining noise plus directional contrast that was lost.

    The mean squared error is systematic² + random², where nothing was clipped at 0.
    """

    bias: float = measured("signal")
    bias_share: float | None = measured("", "the truth is zero here")
    systematic: float | None = measured("signal", _ONE)
    random: float | None = measured("signal", _ONE)


@dataclass(frozen=True, eq=False)
class BiasVariance:
    """Voxelwise bias and sd over repeated noise draws, and their RMS over all values."""

    bias: Float[np.ndarray, "*s"]
    sd: Float[np.ndarray, "*s"]
    rms_bias: float = measured("signal")
    rms_sd: float = measured("signal")


def fidelity(
    denoised: Float[np.ndarray, "x y z n"],
    truth: Float[np.ndarray, "x y z n"],
    mask: Bool[np.ndarray, "x y z"],
) -> Fidelity:
    """NRMSE, PSNR and SSIM of one group of volumes; definitions at `Fidelity`.

    Raises
    ------
    CannotMeasure
        Where the truth is zero in the mask.
    """
    a, t = denoised[mask].astype(float), truth[mask].astype(float)
    power, error, span = float((t**2).mean()), float(((a - t) ** 2).mean()), float(t.max())
    if power == 0 or span <= 0:
        raise CannotMeasure("the truth is zero in the mask")
    psnr = (
        float(skimage_metrics.peak_signal_noise_ratio(t, a, data_range=span)) if error > 0 else None
    )
    ssim = masked_ssim(denoised, truth, mask, span)
    return Fidelity(float(np.sqrt(error / power)), psnr, ssim, span)


def masked_ssim(
    image: Float[np.ndarray, "x y z n"],
    truth: Float[np.ndarray, "x y z n"],
    mask: Bool[np.ndarray, "x y z"],
    data_range: float,
) -> float | None:
    """Mean over the mask and the volumes of scikit-image's 3-D SSIM map.

    None for an image thinner than 3 voxels along an axis; a thin one gets a smaller window.
    """
    window = min(SSIM_WINDOW, min(mask.shape) - 1 + min(mask.shape) % 2)
    if window < 3:
        return None
    reach = window // 2
    box = tuple(
        slice(max(0, int(held.min()) - reach), int(held.max()) + 1 + reach)
        for held in np.nonzero(mask)
    )
    if min(mask[box].shape) < window:
        box = (slice(None),) * 3
    inside, total = mask[box], 0.0
    for v in range(truth.shape[3]):
        pair = [np.where(inside, im[..., v][box], 0).astype(np.float32) for im in (truth, image)]
        _, ssim_map = skimage_metrics.structural_similarity(
            *pair, data_range=data_range, win_size=window, full=True
        )
        total += float(ssim_map[inside].mean())
    return total / truth.shape[3]


def error_components(
    denoised: Float[np.ndarray, "n v"], truth: Float[np.ndarray, "n v"]
) -> ErrorComponents:
    """Bias apart from variance for n voxels of v volumes; definitions at `ErrorComponents`.

    Raises
    ------
    CannotMeasure
        Without a voxel.
    """
    if not truth.size:
        raise CannotMeasure("no voxel belongs to this tissue")
    e = denoised.astype(float) - truth
    level = float(truth.mean(dtype=float))
    bias = float(e.mean())
    share = bias / level if level else None
    count = e.shape[1]
    if count < 2:
        return ErrorComponents(bias, share, None, None)
    variance = e.var(1, ddof=1)
    systematic = float((e.mean(1) ** 2 - variance / count).mean())
    return ErrorComponents(bias, share, max(0.0, systematic) ** 0.5, float(variance.mean()) ** 0.5)


def bias_variance(draws: Float[np.ndarray, "r *s"], truth: Float[np.ndarray, "*s"]) -> BiasVariance:
    """Exact bias and sd where the same truth was denoised under r independent noise draws.

    rms_bias is corrected for the r draws' own noise: sqrt(max(0, mean(bias² − sd²/r))).

    Raises
    ------
    CannotMeasure
        For fewer than two noise draws.
    """
    if len(draws) < 2:
        raise CannotMeasure("two or more noise draws are needed to separate bias from variance")
    bias = draws.mean(0, dtype=float) - truth
    variance = draws.var(0, ddof=1, dtype=float)
    systematic = float((bias**2 - variance / len(draws)).mean())
    return BiasVariance(
        bias, np.sqrt(variance), max(0.0, systematic) ** 0.5, float(variance.mean()) ** 0.5
    )
