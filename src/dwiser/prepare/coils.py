"""How many channels a magnitude was combined from, read off its background.

Where there is no signal, (sd/mean)² over the volumes is 0.273 for one channel and falls as the
channels add up, whatever σ is (Aja-Fernández & Tristán-Vega 2012, 10.1016/j.mri.2012.02.014).
"""

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from dwiser.prepare.moments import magnitude_moments
from dwiser.scan import Scan

ASIDE = 2  # voxels between the mask and what counts as background
FEWEST = 500  # voxels of background
FEWEST_VOLUMES = 6
MOST = 20_000  # voxels looked at
QUARTILES = 1.93  # interquartile range over the median of (sd/mean)² from V volumes, times √V
TOLERANCE = 1.5  # of that range: ghosts and smoothed backgrounds spread wider
ONE = 1.2  # an estimate below this is one channel
HIGHEST = 64.0
_COILS = np.geomspace(0.5, HIGHEST, 300)


def background_coils(scan: Scan, mask: Bool[np.ndarray, "x y z"]) -> float:
    """The effective number of channels; 1 where the background does not tell.

    It does not when the scanner zeroed it, or when ghosts or filters are in it: (sd/mean)²
    then spreads wider from voxel to voxel than that of noise.
    """
    volumes = scan.shape[3]
    outside = ~ndimage.binary_dilation(mask, iterations=ASIDE)
    outside &= (scan.data > 0).all(-1)
    if volumes < FEWEST_VOLUMES or outside.sum() < FEWEST:
        return 1.0
    places = np.flatnonzero(outside)
    places = places[:: max(1, len(places) // MOST)]
    noise = scan.data.reshape(-1, volumes)[places].astype(float)
    ratio = noise.var(1, ddof=1) / noise.mean(1) ** 2
    low, middle, high = np.percentile(ratio, [25, 50, 75])
    if (high - low) / middle > TOLERANCE * QUARTILES / np.sqrt(volumes):
        return 1.0
    found = float(np.interp(-middle, -floor_ratio(_COILS), _COILS))
    return 1.0 if found < ONE else round(found, 2)


def floor_ratio(coils: np.ndarray) -> np.ndarray:
    """(sd/mean)² of a magnitude without signal, for each number of channels."""
    moments = [magnitude_moments(np.zeros(1), float(n)) for n in coils]
    return np.array([float(v[0] / m[0] ** 2) for m, v in moments])
