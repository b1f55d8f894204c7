"""A mask for scans that come without one: Otsu on the series' means, two voxels wider."""

from functools import partial

import numpy as np
from dipy.segment.threshold import otsu
from jaxtyping import Bool, Float, Float32, Int
from scipy import ndimage

from dwiser.machine import side_by_side
from dwiser.memmap import allocate_like
from dwiser.prepare.coils import FEWEST, noise_channels, some_voxels
from dwiser.prepare.constant_voxels import varying
from dwiser.prepare.volume_sums import volume_sum
from dwiser.scan import Scan

MARGIN = 2  # voxels of dilation: a mask for denoising should rather be too wide
FLAT = 1e-5  # of the brightest: values this close to each other have no histogram
BACKGROUND_SHARE = 0.4  # a "background" brighter than this share of the object is no background
MOST_CHANNELS = 32.0  # behind a background: beyond, (sd/mean)² is that of tissue at an SNR of 8
STEADY = 1.5  # variance between neighbours' means over what noise alone gives


def object_mask(scan: Scan, *, threads: int = 1) -> Bool[np.ndarray, "x y z"]:
    """The scan's own mask, or an Otsu mask (Otsu 1979, as in DIPY) dilated by two voxels.

    What is bright in the DWIs' mean or in the b0s' is the object: fluid is dark in DWIs and no
    background. A mean is thresholded on the square-root scale, holes are filled and specks
    dropped. Where Otsu finds no background in the DWIs (a crop from inside the object) the
    whole field is taken; a bright one counts if there is noise in it and nothing else. Voxels
    that were set to zero, or to any one value, in every volume are excluded.
    """
    if scan.mask is not None:
        return scan.mask
    dwis, b0s = (np.flatnonzero(kind) for kind in (~scan.gradients.is_b0, scan.gradients.is_b0))
    measured = varying(scan.data)
    mean = _mean(scan, dwis, threads) * measured
    if not mean.any():  # no DWIs, or empty ones
        dwis, b0s = np.arange(scan.shape[3]), b0s[:0]
        mean = _mean(scan, dwis, threads) * measured
    means = (mean, _mean(scan, b0s, threads) * measured) if len(b0s) else (mean,)
    bright, *fluid_too = side_by_side(partial(_bright, scan), means, threads)
    if bright is None:
        return mean > 0
    return bright | fluid_too[0] if fluid_too and fluid_too[0] is not None else bright


def _bright(scan: Scan, mean: Float[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"] | None:
    """The object in a mean image; None if there is no background to separate it from."""
    alive, bright = mean > 0, np.sqrt(mean)
    if np.ptp(bright) <= FLAT * bright.max():
        return None
    above = bright > otsu(bright)
    if not above.any() or above.all():
        return None
    bright_behind = mean[~above].mean() > BACKGROUND_SHARE * mean[above].mean()
    if bright_behind and not _only_noise(scan, alive & ~above, mean):
        return None
    wide = ndimage.binary_dilation(_main_parts(above), iterations=MARGIN)
    filled = np.stack(
        [ndimage.binary_fill_holes(wide[..., k]) for k in range(wide.shape[2])], axis=2
    )
    return filled & alive


def voxels_in(
    data: Float[np.ndarray, "x y z v"], mask: Bool[np.ndarray, "x y z"], threads: int = 1
) -> Float[np.ndarray, "n v"]:
    """The mask's voxels, read volume by volume: in memory, or mapped where ``data`` is."""
    voxels = allocate_like(data, (int(mask.sum()), data.shape[3]))

    def take(v: int) -> None:
        voxels[:, v] = data[..., v][mask]

    list(side_by_side(take, range(data.shape[3]), threads))
    return voxels


def on_grid(
    values: Float[np.ndarray, "n"], mask: Bool[np.ndarray, "x y z"]
) -> Float32[np.ndarray, "x y z"]:
    """A map from its values at the mask's voxels; 0 elsewhere."""
    image = np.zeros(mask.shape, np.float32)
    image[mask] = values
    return image


def _mean(scan: Scan, volumes: Int[np.ndarray, "m"], threads: int) -> Float[np.ndarray, "x y z"]:
    """The mean of some volumes, values below 0 taken as 0."""
    positive = volume_sum(scan.data, volumes, of=lambda part: np.maximum(part, 0), threads=threads)
    return positive / max(1, len(volumes))


def _only_noise(scan: Scan, where: Bool[np.ndarray, "x y z"], mean: np.ndarray) -> bool:
    """Whether a magnitude's noise is all that there is: its law, and nothing from place to place.

    Anatomy may have the law of many channels' noise, but its mean differs between neighbours.
    """
    where = ndimage.binary_erosion(where, iterations=MARGIN, border_value=1)
    if where.sum() < FEWEST:
        return False
    values = some_voxels(scan, where)
    channels = noise_channels(values)
    if channels is None or channels > MOST_CHANNELS:
        return False
    volumes = np.flatnonzero(~scan.gradients.is_b0)
    volumes = volumes if len(volumes) else np.arange(scan.shape[3])
    expected = values[:, volumes].var(1, ddof=1).mean() / len(volumes)
    pairs = where[:-1] & where[1:]
    return bool(np.square(np.diff(mean, axis=0)[pairs]).mean() / 2 < STEADY * expected)


def _main_parts(above: np.ndarray) -> np.ndarray:
    """Components at least a tenth of the largest, without the specks of noise."""
    labels, count = ndimage.label(above)
    sizes = ndimage.sum_labels(above, labels, np.arange(1, count + 1))
    return np.isin(labels, 1 + np.flatnonzero(sizes >= 0.1 * sizes.max()))
