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
from dwiser.prepare.shells import shells
from dwiser.prepare.volume_sums import volume_sum
from dwiser.scan import Gradients, Scan

MARGIN = 2  # voxels of dilation: a mask for denoising should rather be too wide
FLAT = 1e-5  # of the brightest: values this close to each other have no histogram
DIM = 0.15  # of the object: a brighter "background" must be noise and nothing else; 12 scans: 0.14
LEAST_DIM = 0.4  # of the object: so dim a "background" is one if it does not decay with b
MOST_CHANNELS = 40.0  # behind a background: 32 and the estimate's error; tissue at an SNR of 9
DECAY = 1.1  # mean at the lowest b over that at the highest: noise has 1, tissue 1.6 at b = 500
SOME = 4000  # voxels of a background that are looked at
STEADY = 1.5  # variance between neighbours' means over what noise alone gives


def object_mask(scan: Scan, *, threads: int = 1) -> Bool[np.ndarray, "x y z"]:
    """The scan's own mask, or an Otsu mask (Otsu 1979, as in DIPY) dilated by two voxels.

    What is bright in the DWIs' mean or in the b0s' is the object: fluid is dark in DWIs and no
    background. A mean is thresholded on the square-root scale, holes are filled and specks
    dropped. Where either has no background (a crop from inside the object, in which Otsu tells
    fluid from tissue) the whole field is taken. A background that is not dim counts if it does
    not decay with b, or if there is noise in it and nothing else; a second threshold finds dim
    tissue before such a background. Voxels that were set to zero, or to any one value, in every
    volume are excluded.
    """
    if scan.mask is not None:
        return scan.mask
    dwis, b0s = (np.flatnonzero(kind) for kind in (~scan.gradients.is_b0, scan.gradients.is_b0))
    measured = varying(scan.data)
    mean = _mean(scan, dwis, threads) * measured
    if not mean.any():  # no DWIs, or empty ones
        dwis, b0s = np.arange(scan.shape[3]), b0s[:0]
        mean = _mean(scan, dwis, threads) * measured
    undecayed = _mean(scan, b0s, threads) * measured
    means = [(mean, len(dwis))] + ([(undecayed, len(b0s))] if undecayed.any() else [])
    bright, *fluid_too = side_by_side(partial(_bright, scan), means, threads)
    everywhere = mean > 0
    if not fluid_too:
        return everywhere if bright is None else bright
    (fluid,) = fluid_too
    if fluid is not None and bright is not None:
        return fluid | bright
    if fluid is not None and _only_noise(scan, everywhere & ~fluid, mean, len(dwis)):
        return fluid
    return everywhere


def _bright(
    scan: Scan, of_volumes: tuple[Float[np.ndarray, "x y z"], int]
) -> Bool[np.ndarray, "x y z"] | None:
    """The object in the mean of so many volumes; None if no background separates it."""
    mean, count = of_volumes
    alive, bright = mean > 0, np.sqrt(mean)
    above = _above(bright, np.ones_like(alive))
    if above is None:
        return None
    wide, least = _widened(above) & alive, DIM * mean[above].mean()
    dark = mean.sum() - mean[above].sum() <= least * (above.size - above.sum())
    behind = alive & ~above
    if not dark and _only_noise(scan, behind, mean, count):
        return wide
    dim = _above(bright, alive & ~wide)
    if (
        dim is not None
        and (not dark or mean[dim].mean() > least)
        and _only_noise(scan, alive & ~(wide | dim), mean, count)
    ):
        return (wide | _widened(dim)) & alive
    return wide if dark or _steady(scan, behind, mean, above) else None


def _above(
    bright: Float[np.ndarray, "x y z"], where: Bool[np.ndarray, "x y z"]
) -> Bool[np.ndarray, "x y z"] | None:
    """What of ``where`` lies above Otsu's threshold; None where there are no two classes."""
    values = bright[where]
    if not len(values) or np.ptp(values) <= FLAT * values.max():
        return None
    above = where & (bright > otsu(values))
    return above if above.any() and above.sum() < len(values) else None


def _widened(above: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """Without specks, wider by the margin, and filled slice by slice."""
    wide = ndimage.binary_dilation(_solid_parts(above), iterations=MARGIN)
    filled = [ndimage.binary_fill_holes(wide[..., k]) for k in range(wide.shape[2])]
    return np.stack(filled, axis=2)


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


def _only_noise(scan: Scan, where: Bool[np.ndarray, "x y z"], mean: np.ndarray, count: int) -> bool:
    """Whether a magnitude's noise is all that there is: its law, at any b and in any place.

    Anatomy may have the law of many channels' noise, but it decays, and its mean, of ``count``
    volumes, differs between neighbours.
    """
    where = ndimage.binary_erosion(where, iterations=MARGIN, border_value=1)
    if where.sum() < FEWEST:
        return False
    values = some_voxels(scan, where, SOME)
    channels = noise_channels(values)
    if channels is None or channels > MOST_CHANNELS or _decays(values, scan.gradients):
        return False
    volumes = np.flatnonzero(~scan.gradients.is_b0)
    volumes = volumes if len(volumes) else np.arange(scan.shape[3])
    expected = values[:, volumes].var(1, ddof=1).mean() / count
    pairs = where[:-1] & where[1:]
    return bool(np.square(np.diff(mean, axis=0)[pairs]).mean() / 2 < STEADY * expected)


def _steady(
    scan: Scan, where: Bool[np.ndarray, "x y z"], mean: np.ndarray, above: np.ndarray
) -> bool:
    """Whether a background, dim but of any law (rounded values), has the same mean at any b."""
    inside = ndimage.binary_erosion(where, iterations=MARGIN, border_value=1)
    if not inside.any() or len(shells(scan.gradients)) < 2:
        return False
    dim = mean[inside].mean() <= LEAST_DIM * mean[above].mean()
    return bool(dim) and not _decays(some_voxels(scan, inside), scan.gradients)


def _decays(values: Float[np.ndarray, "n v"], gradients: Gradients) -> bool:
    """Whether the mean signal is lower at the highest b-value than at the lowest."""
    by_shell = shells(gradients)
    lowest, highest = (values[:, by_shell[k].volumes].mean() for k in (0, -1))
    return bool(lowest > DECAY * highest)


def _solid_parts(above: np.ndarray) -> np.ndarray:
    """Components that hold a voxel with all its neighbours, or are a tenth of the largest.

    A tube or an eye beside the head is solid; the specks of noise are not.
    """
    labels, count = ndimage.label(above)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    chosen = sizes >= 0.1 * sizes[1:].max()
    chosen[labels[ndimage.binary_erosion(above, border_value=1)]] = True
    chosen[0] = False
    return chosen[labels]
