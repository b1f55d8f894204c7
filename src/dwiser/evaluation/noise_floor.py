"""The Rician bias that a residual's expectation holds, and how far it may be off."""

import numpy as np
from jaxtyping import Float, Int

from dwiser.evaluation.residual import Residual, expected_raw
from dwiser.machine import side_by_side
from dwiser.prepare.moments import magnitude_floor

FLOOR_DOUBT = 0.2  # of the Rician bias: its change if σ is wrong by a tenth


def noise_floor(
    denoised: Float[np.ndarray, "x y z v"],
    sigma: Float[np.ndarray, "x y z"],
    residuals: Residual,
    volumes: Int[np.ndarray, "m"],
    *,
    threads: int = 1,
) -> Float[np.ndarray, "n"]:
    """Mean over some volumes of the Rician bias of the denoised signal, in sd of the noise; ≥ 0.

    At the residual's n voxels. Where it is large the expectation depends on σ and on the channels.
    """
    noise = sigma[residuals.mask].astype(np.float32)
    floor = np.zeros(len(noise))

    def bias(v: int) -> Float[np.ndarray, "n"]:
        snr = denoised[..., v][residuals.mask] / noise
        value, sd = expected_raw(snr, residuals.reading, residuals.coils)
        return (value - snr) / sd

    known = volumes.tolist() if residuals.reading == "signal" else []
    for of_volume in side_by_side(bias, known, threads):
        floor += of_volume
    return floor / len(volumes)


def floor_doubt(
    floor: Float[np.ndarray, "n"], sigma: Float[np.ndarray, "n"], coils: float | int, step: float
) -> Float[np.ndarray, "n"]:
    """How far the expectation of a raw mean may be off at the noise floor, in its sd; ≥ 0.

    Parameters
    ----------
    floor : a mean's `noise_floor`. sigma : at the same voxels, in the data's units.
    step : the spacing of the stored values. Scanners cut values off to it, which lowers what is
        near the floor by half a step against its expectation; what is bright is held against
        means that are as much lower.
    """
    cut = np.float32(step / 2 / magnitude_floor(coils)) / sigma
    return floor * (FLOOR_DOUBT + cut)
