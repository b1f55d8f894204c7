"""The degrees of freedom that splitq's estimate keeps of each voxel: its effective rank."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from dwiser.memmap import writable_copy
from dwiser.methods.splitq.probe import STEP, _local_mean, signs
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.seeds import stream


def degrees_of_freedom(
    clean: Callable[[WhitenedScan], Float[np.ndarray, "n v"]],
    estimate: Float[np.ndarray, "n v"],
    whitened: WhitenedScan,
    seed: int,
) -> Float[np.ndarray, "n"]:
    """Σ_v ∂x̂_v/∂y_v at the mask's voxels, 0 … V: denoised once more, with a probe.

    Parameters
    ----------
    clean : the estimator. estimate : what it makes of the whitened scan itself.
    seed : of the probe's signs; those of the uncertainty's.

    Notes
    -----
    Of an estimate that is linear in the data it is the voxel's part of the hat matrix's trace: a
    projection on K dimensions has K. By Stein's lemma it is the covariance of estimate and noise,
    Σ_v cov(x̂_v, y_v)/ν, for any estimate in Gaussian noise of variance ν (Efron 2004,
    10.1198/016214504000000692; Ye 1998). The probe's own noise is averaged over the window of
    `probe`.
    """
    step = np.float32(STEP * whitened.noise**0.5) * whitened.scale.astype(np.float32)

    def probe(v: int) -> Float[np.ndarray, "n"]:
        return signs(stream(seed, "probe", v), len(estimate))

    volumes = range(estimate.shape[1])
    y = writable_copy(whitened.y)
    for v in volumes:
        y[:, v] += step[v] * probe(v)
    probed = clean(replace(whitened, y=y))
    del y
    freedom = np.zeros(len(estimate), np.float32)
    for v in volumes:
        freedom += probe(v) * (probed[:, v] - estimate[:, v]) / step[v]
    return _local_mean(freedom, whitened.mask).clip(0, len(volumes)).astype(np.float32)
