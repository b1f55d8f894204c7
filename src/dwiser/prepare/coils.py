"""How many channels a magnitude was combined from, estimated where there is no signal.

There (sd/mean)² over the volumes is 0.273 for one channel and falls with more channels,
whatever σ is (Aja-Fernández & Tristán-Vega 2012, 10.1016/j.mri.2012.02.014).
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from dwiser.prepare.constant_voxels import varying
from dwiser.prepare.moments import magnitude_moments
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.shells import shells
from dwiser.scan import Scan

ASIDE = 2  # voxels between the mask and what counts as background
FEWEST = 500  # voxels of background
UNTOUCHED = 0.5  # share of it that is above 0 in all volumes
FEWEST_VOLUMES = 6
MOST = 20_000  # voxels used
QUARTILES = 1.93  # interquartile range over the median of (sd/mean)² from V volumes, times √V
TOLERANCE = 1.5  # of that range: ghosts and smoothed backgrounds spread wider
ONE = 1.2  # an estimate below this is one channel
HIGHEST = 64.0
DARKEST = 0.005  # of the object's voxels: fluid, whose signal is gone at a high b
NEAR_FLOOR = 0.65  # variance over σ²: 0.43 to 0.5 without signal, 1 with much
FEWEST_DARK = 50  # voxels
HIGH_B = 1500.0  # s/mm²: free water's signal is 1 % of its b0's
ROUNDS = 2  # of σ and channels in turn
_COILS = np.geomspace(0.5, HIGHEST, 300)


def effective_coils(scan: Scan, mask: Bool[np.ndarray, "x y z"], *, threads: int = 1) -> float:
    """The number of channels that the noise behaves like; 1 where it cannot be estimated.

    The scan's own number, if it has one. Estimated from the background, unless the scanner zeroed
    most of it (what remains was chosen by its brightness) or it contains ghosts or was filtered.
    Else from the darkest voxels of the object at a high b-value, if their variance is that of
    noise alone.
    """
    if scan.coils is not None:
        return scan.coils
    outside = ~ndimage.binary_dilation(mask, iterations=ASIDE)
    background_voxels = int(outside.sum())
    outside &= _alive(scan)
    if outside.sum() >= max(FEWEST, UNTOUCHED * background_voxels):
        return noise_channels(some_voxels(scan, outside)) or 1.0
    return _fluid_coils(scan, mask, threads) or 1.0


def _fluid_coils(scan: Scan, mask: Bool[np.ndarray, "x y z"], threads: int) -> float | None:
    """From the moments of the object's darkest voxels, which are chosen on other volumes."""
    top = shells(scan.gradients)[-1]
    chosen_by, used = top.volumes[::2], top.volumes[1::2]
    alive = mask & _alive(scan)
    dark = round(DARKEST * int(alive.sum()))
    if top.bval < HIGH_B or len(used) < FEWEST_VOLUMES or dark < FEWEST_DARK:
        return None
    places, channels = np.argwhere(alive), 1.0
    mean = sum(scan.data[..., v][alive] for v in chosen_by) / len(chosen_by)
    for _ in range(ROUNDS):
        sigma = sigma_map(scan, mask, coils=channels, threads=threads)[alive]
        if not (sigma > 0).all():
            return None
        darkest = np.argpartition(mean / sigma, dark)[:dark]
        values = scan.data[tuple(places[darkest].T)][:, used]
        values = values / sigma[darkest].astype(float)[:, None]
        variance = float(values.var(1, ddof=1).mean())
        if variance > NEAR_FLOOR:
            return None
        channels = max(1.0, moment_channels(variance, float(np.square(values).mean())))
    return 1.0 if channels < ONE else round(channels, 2)


def moment_channels(variance: float, square: float) -> float:
    """The channels n whose magnitudes have this variance and mean square, at σ = 1.

    The mean square is 2n + θ², whatever the signal θ; of the pairs (n, θ) that give it, the one
    whose variance is nearest.
    """
    coils = _COILS[square >= 2 * _COILS]
    if not len(coils):
        return float(_COILS[0])
    theta = np.sqrt(square - 2 * coils)
    law = [magnitude_moments(theta[k : k + 1], float(n))[1].item() for k, n in enumerate(coils)]
    return float(coils[np.abs(np.array(law) - variance).argmin()])


def _alive(scan: Scan) -> Bool[np.ndarray, "x y z"]:
    """Where no volume was set to zero, nor all to one value, read volume by volume."""
    alive = varying(scan.data)
    for v in range(scan.shape[3]):
        alive &= scan.data[..., v] > 0
    return alive


def some_voxels(
    scan: Scan, where: Bool[np.ndarray, "x y z"], most: int = MOST
) -> Float[np.ndarray, "n v"]:
    """About ``most`` of these voxels, all volumes."""
    places = np.flatnonzero(where)
    x, y, z = np.unravel_index(places[:: max(1, len(places) // most)], where.shape)
    volumes = (scan.data[x, y, z, v] for v in range(scan.shape[3]))  # for memory, if mapped
    return np.stack([volume.astype(float) for volume in volumes], 1)


def noise_channels(values: Float[np.ndarray, "n v"]) -> float | None:
    """The channels behind n voxels' magnitudes; None if there is more than noise in them."""
    volumes = values.shape[1]
    if volumes < FEWEST_VOLUMES:
        return None
    ratio = values.var(1, ddof=1) / values.mean(1) ** 2
    low, middle, high = np.percentile(ratio, [25, 50, 75])
    if (high - low) / middle > TOLERANCE * QUARTILES / np.sqrt(volumes):
        return None
    channels = channels_of_ratio(middle)
    return 1.0 if channels < ONE else round(channels, 2)


def channels_of_ratio(ratio: float) -> float:
    """The channels of a magnitude without signal whose (sd/mean)² is this; at least 0.5."""
    return float(np.interp(-ratio, -_floor_ratios(), _COILS))


@lru_cache(maxsize=1)
def _floor_ratios() -> Float[np.ndarray, "c"]:
    return floor_ratio(_COILS)


def floor_ratio(coils: np.ndarray) -> np.ndarray:
    """(sd/mean)² of a magnitude without signal, for each number of channels."""
    moments = [magnitude_moments(np.zeros(1), float(n)) for n in coils]
    return np.array([float(v[0] / m[0] ** 2) for m, v in moments])
