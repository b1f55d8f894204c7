"""SNR and CNR in the corpus callosum, and repeatability. A blur improves both: never judge by
them alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Bool, Float
from scipy.ndimage import binary_dilation, convolve, generate_binary_structure, label

from dwiser.evaluation.records import CannotMeasure, measured
from dwiser.evaluation.tensor import TensorMaps

RED, OTHERS = 0.6, 0.1  # colour-FA limits of DIPY's corpus-callosum example: R above, G, B below
MIDDLE = 1 / 3  # share of the mask's box, around its centre, along each axis
AROUND = 1.5  # the box is this much longer along front-back, where the callosum extends
ENOUGH = 10  # voxels in the corpus callosum
RING = 2  # voxels around it, for the contrast
AWAY = 3  # voxels from the mask, for the background's noise


@dataclass(frozen=True)
class Snr:
    """mean/noise and |mean − surround|/noise in a region, averaged over a group's volumes.

    The noise is what the denoised image still shows: in its background (`background_noise`) or
    between neighbours in the region (`local_noise`).
    """

    snr: float = measured("")
    cnr: float = measured("")
    noise: float = measured("signal")


@dataclass(frozen=True)
class Repeatability:
    """How much a result changes when it is repeated.

    sd: within-voxel standard deviation over the repeats, sqrt(mean_x var_x), in the data's
    units; cv: sd over the mean; correlation: mean Pearson correlation over the voxels
    between pairs of repeats.
    """

    sd: float = measured("signal")
    cv: float | None = measured("", "the mean is zero")
    correlation: float | None = measured("", "a repeat is constant in the mask")


def corpus_callosum(
    tensor: TensorMaps, mask: Bool[np.ndarray, "x y z"], affine: Float[np.ndarray, "4 4"]
) -> Bool[np.ndarray, "x y z"]:
    """The largest left-right (red) bundle in the middle of the mask, by colour FA.

    Red is the voxel axis nearest to the world's left-right axis, so a scan stored in
    another orientation is handled correctly.

    Raises
    ------
    CannotMeasure
        When fewer than 10 voxels are found, as in a phantom or a crop without one.
    """
    left_right = int(np.abs(affine[0, :3]).argmax())
    front_back = int(np.abs(affine[1, :3]).argmax())
    colour = np.abs(tensor.v1) * tensor.fa[..., None]
    red = colour[..., left_right] > RED
    for axis in {0, 1, 2} - {left_right}:
        red &= colour[..., axis] < OTHERS
    box = np.zeros(mask.shape, bool)
    window = []
    for axis, at in enumerate(np.nonzero(mask)):
        low, high = at.min(), at.max() + 1
        half = (high - low) * MIDDLE / 2 * (AROUND if axis == front_back else 1.0)
        centre = (low + high) / 2
        window.append(slice(int(centre - half), int(np.ceil(centre + half))))
    box[tuple(window)] = True
    parts, count = label(red & box & mask)
    if count:
        sizes = np.bincount(parts.ravel())[1:]
        if sizes.max() >= ENOUGH:
            return np.asarray(parts == 1 + int(sizes.argmax()))
    raise CannotMeasure("no corpus callosum was found: too few left-right fibres in the middle")


def background_noise(
    denoised: Float[np.ndarray, "x y z n"],
    raw: Float[np.ndarray, "x y z n"],
    mask: Bool[np.ndarray, "x y z"],
) -> float:
    """Gaussian σ from the sd of the denoised background, 3 or more voxels from the mask.

    Raises
    ------
    CannotMeasure
        When there is no background, it is zero, or it was passed through unchanged while the
        object was not (a scan returned as it is shows its own noise).
    """
    air = ~binary_dilation(mask, iterations=AWAY) & (raw != 0).all(-1)
    if air.sum() < ENOUGH:
        raise CannotMeasure("there is no background outside the mask (cut off or set to zero)")
    unchanged = np.array_equal(denoised[air], raw[air])
    if unchanged and not np.array_equal(denoised[mask], raw[mask]):
        raise CannotMeasure("the background was passed through undenoised, so it shows no noise")
    sd = float(denoised[air].std(0, dtype=float).mean())
    if sd == 0:
        raise CannotMeasure("the background of the denoised image is constant")
    return sd / (2 - np.pi / 2) ** 0.5


def local_noise(denoised: Float[np.ndarray, "x y z n"], region: Bool[np.ndarray, "x y z"]) -> float:
    """Noise between neighbours: MAD of voxel − mean of its six, scaled to white noise's σ.

    The kernel is that of DIPY's `estimate_sigma` (Coupé et al. 2010), here in a region. Where
    the background was not denoised nothing else shows the noise. Structure finer than a voxel or
    two counts as noise, and a smoothed image has none.

    Raises
    ------
    CannotMeasure
        When the region is flat to the last bit.
    """
    kernel = -generate_binary_structure(3, 1).astype(float)
    kernel[1, 1, 1] = 6.0
    kernel /= np.sqrt((kernel**2).sum())
    sds = [
        scipy.stats.median_abs_deviation(convolve(volume, kernel)[region], scale="normal")
        for volume in np.moveaxis(denoised.astype(float), -1, 0)
    ]
    noise = float(np.mean(sds))
    if noise == 0:
        raise CannotMeasure("the denoised image is flat in the region, so it shows no noise")
    return noise


def region_snr(
    data: Float[np.ndarray, "x y z n"],
    region: Bool[np.ndarray, "x y z"],
    mask: Bool[np.ndarray, "x y z"],
    noise: float,
) -> Snr:
    """SNR of a region and its CNR to the ring of two voxels around it in the mask.

    Raises
    ------
    CannotMeasure
        Where the region fills the mask, so that nothing is around it.
    """
    ring = binary_dilation(region, iterations=RING) & mask & ~region
    if not ring.any():
        raise CannotMeasure("the region fills the mask: there is no surround to compare with")
    inside, around = data[region].mean(0, dtype=float), data[ring].mean(0, dtype=float)
    return Snr(float(inside.mean()) / noise, float(np.abs(inside - around).mean()) / noise, noise)


def repeatability(
    repeats: Sequence[Float[np.ndarray, "x y z *v"]], mask: Bool[np.ndarray, "x y z"]
) -> Repeatability:
    """Agreement of two or more results of one object: seeds, split halves, or scan and rescan.

    The results may be series or maps (say FA), on one grid. Noise that a denoiser removes
    makes this better, and so does any bias that is the same each time.

    Raises
    ------
    CannotMeasure
        For fewer than two results.
    """
    if len(repeats) < 2:
        raise CannotMeasure("two or more results are needed to see how they repeat")
    stack = np.stack([r[mask].ravel() for r in repeats]).astype(float)
    sd = float(stack.var(0, ddof=1).mean()) ** 0.5
    mean = float(stack.mean())
    correlation = None
    if (stack.std(1) > 0).all():
        pairs = np.corrcoef(stack)[np.triu_indices(len(stack), 1)]
        correlation = float(pairs.mean())
    return Repeatability(sd, sd / abs(mean) if mean else None, correlation)
