"""The degrees of freedom that splitq's estimate keeps of each voxel: its effective rank."""

import numpy as np
from jaxtyping import Bool, Float

from dwiser.methods.splitq.probe import _local_mean
from dwiser.methods.splitq.probed import Probed


def degrees_of_freedom(
    probed: Probed, estimate: Float[np.ndarray, "n v"], mask: Bool[np.ndarray, "x y z"]
) -> Float[np.ndarray, "n"]:
    """Σ_v ∂x̂_v/∂y_v at the mask's voxels, 0 … V, from the scan denoised with a probe.

    Parameters
    ----------
    estimate : what the same estimator makes of the whitened scan itself.

    Notes
    -----
    Of an estimate that is linear in the data it is the voxel's part of the hat matrix's trace: a
    projection on K dimensions has K. By Stein's lemma it is the covariance of estimate and noise,
    Σ_v cov(x̂_v, y_v)/ν, for any estimate in Gaussian noise of variance ν (Efron 2004,
    10.1198/016214504000000692; Ye 1998). The probe's own noise is averaged over the window of
    `probe`.
    """
    volumes, freedom = range(estimate.shape[1]), np.zeros(len(estimate), np.float32)
    for v in volumes:
        change = probed.cleaned[:, v] - estimate[:, v]
        freedom += probed.probe[:, v] * change / probed.step[v]
    return _local_mean(freedom, mask).clip(0, len(volumes)).astype(np.float32)
