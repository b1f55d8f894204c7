"""Voxels where a residual can be judged: σ is known, and the noise follows its law.

Scanners that suppress the background set it to 0 or scale it down. A magnitude without signal
has the mean σ√(π/2) (one channel); where the raw scan is darker, no expectation holds.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from dwiser.evaluation.records import CannotMeasure
from dwiser.prepare.constant_voxels import varying
from dwiser.prepare.moments import magnitude_moments
from dwiser.prepare.volume_sums import volume_sum

FLOOR_SHARE = 0.9  # of the magnitude's floor: σ may be a tenth too high
FLOOR_SELECTION = 4.0  # sd of a mean at the floor: chance excludes 3 of 100 000 voxels
AROUND, INDEPENDENT = 3, 9  # voxels on an edge; how many of the 27 count, if noise is correlated
BESIDE = 2  # voxels around what was suppressed
SIGNED = 0.01  # share of negative voxels beyond which an image is no magnitude


def usable_voxels(
    raw: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    coils: float | int = 1,
    dwis: Int[np.ndarray, "m"] | None = None,
    *,
    threads: int = 1,
) -> tuple[Bool[np.ndarray, "x y z"], int]:
    """The voxels of the mask that can be judged, and how many of a suppressed background cannot.

    σ is known there, the raw scan is not the same in all volumes, and the mean over the DWIs (all
    volumes, if none are named) is not clearly below the mean of a magnitude without signal.

    Raises
    ------
    CannotMeasure
        Where no voxel of the mask remains.
    """
    volumes = np.arange(raw.shape[3]) if dwis is None or not len(dwis) else dwis
    alive = varying(raw)
    every = np.arange(raw.shape[3])
    negative = volume_sum(raw, every, np.int32, of=lambda part: part < 0, threads=threads)
    mean = volume_sum(raw, volumes, threads=threads) / len(volumes)
    known = mask & np.isfinite(sigma) & (sigma > 0) & alive
    if not known.any():
        raise CannotMeasure("the noise's σ is zero or unknown everywhere in the mask")
    if negative[alive].sum() > SIGNED * raw.size:  # no magnitude, so no floor
        return known, 0
    usable = known & ~_suppressed(mean, sigma, len(volumes), coils)
    if not usable.any():
        raise CannotMeasure("the whole mask is darker than noise of this σ can be")
    return usable, int(known.sum() - usable.sum())


def _suppressed(
    mean: np.ndarray, sigma: np.ndarray, volumes: int, coils: float | int
) -> np.ndarray:
    """Where the scanner suppressed the background: darker over the volumes than noise can be.

    With few volumes the surrounding voxels help to decide. Next to such voxels, those below the
    mean of noise alone are partly suppressed and belong to them.
    """
    floor, variance = (float(m[0]) for m in magnitude_moments(np.zeros(1), coils))
    snr = np.divide(mean, sigma, out=np.zeros_like(mean), where=sigma > 0)
    dark = snr < _least(floor, variance / volumes)
    below = snr < floor
    around = ndimage.uniform_filter(snr, AROUND, mode="nearest")
    dark |= below & (around < _least(floor, variance / volumes / INDEPENDENT))
    return dark | ndimage.binary_dilation(dark, iterations=BESIDE) & below


def _least(floor: float, variance: float) -> float:
    """The mean in σ that noise alone of this variance stays above."""
    return FLOOR_SHARE * floor - FLOOR_SELECTION * variance**0.5
