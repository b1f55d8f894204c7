"""The σ map: patches' σ (``noise_patches``), smoothed as far as the scan's noise allows."""

import numpy as np
from jaxtyping import Bool, Float

from dwiser.machine import side_by_side
from dwiser.prepare.moments import variance_by_mean
from dwiser.prepare.noise_correlation import SpatialNoise
from dwiser.prepare.noise_patches import noise_patches
from dwiser.prepare.noise_smoothing import smooth_map
from dwiser.prepare.shells import shells
from dwiser.scan import Scan


def sigma_map(
    scan: Scan,
    mask: Bool[np.ndarray, "x y z"],
    coils: float | int = 1,
    *,
    threads: int = 1,
    spatial: SpatialNoise | None = None,
) -> Float[np.ndarray, "x y z"]:
    """sd of the noise at every voxel, in the data's units; the scan's own map if it has one.

    ``spatial`` is the scan's noise in this mask, if it was measured before.
    Returns 0 everywhere when no patch carries noise (a simulated noiseless scan).
    """
    if scan.sigma is not None:
        return scan.sigma.astype(np.float32)
    patches = noise_patches(scan.data, mask, coils, threads=threads, spatial=spatial)
    if not (patches.sigma > 0).any():
        return np.zeros(mask.shape, np.float32)
    return smooth_map(patches, mask, scan.voxel_size, threads=threads)


def noise_by_volume(
    scan: Scan,
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    coils: float | int = 1,
    *,
    threads: int = 1,
) -> Float[np.ndarray, "v"]:
    """sd of each volume's magnitudes over σ: 1 where the signal is strong, 0.655 at Rice's floor.

    Root mean square over the mask, from the mean of the volume's shell.

    Notes
    -----
    Volumes of unlike noise look like signal to a covariance: where half of a scan is at the
    floor, the other half's noise exceeds the spectrum's edge, component by component.
    """
    scale, noise = np.ones(scan.shape[3]), sigma[mask]

    def inside(v: int) -> Float[np.ndarray, "n"]:
        return scan.data[..., v][mask]

    for shell in shells(scan.gradients):
        mean = np.zeros(len(noise), np.float32)
        for volume in side_by_side(inside, shell.volumes.tolist(), threads):
            mean += volume
        mean /= np.maximum(noise * np.float32(len(shell.volumes)), np.float32(1e-12))
        variance = variance_by_mean(coils).at(mean)[0]
        scale[shell.volumes] = np.sqrt(variance.mean(dtype=float))
    return scale
