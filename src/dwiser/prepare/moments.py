"""What a magnitude image shows of a signal: mean and spread of noncentral χ noise, and back.

A magnitude from n channels (root sum of squares) with Gaussian noise of sd σ in each real and
imaginary part is σ times a noncentral χ with 2n degrees of freedom; n = 1 is Rician. Sources:
Koay & Basser 2006 (10.1016/j.jmr.2006.01.016); Constantinides et al. 1997
(10.1002/mrm.1910380524); Aja-Fernández et al. 2011 (10.1016/j.mri.2010.11.002) for the
effective number of channels, which need not be whole.

0 channels (``NONE``) stand for no magnitude at all: a real part, Gaussian of mean θ and sd 1.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates
from scipy.special import gammaln, hyp1f1

NONE = 0.0  # channels: a real part, not a magnitude
SERIES = 20.0  # θ above which the moments' expansions in 1/θ² are exact to 1e-3 for n ≤ 16
KOAY_ROUNDS = 30  # fixed-point rounds: above the floor five do, at it the approach is slow
HIGHEST, STEP = 14.0, 0.01  # of the table that inverts the mean, in σ
SPREADS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)  # of the mean that is inverted, in σ
UNLIKELY = 1e-200  # a mean so far below the floor that no signal explains it is signal 0


def magnitude_moments(
    theta: Float[np.ndarray, "*s"], coils: float | int = 1
) -> tuple[Float[np.ndarray, "*s"], Float[np.ndarray, "*s"]]:
    """Mean and variance at σ = 1 of a magnitude whose true signal is ``theta``."""
    theta = np.asarray(theta, float)
    if coils == NONE:
        return theta, np.ones_like(theta)
    low, far = np.minimum(theta, SERIES), np.maximum(theta, SERIES)
    height = np.sqrt(2) * np.exp(gammaln(coils + 0.5) - gammaln(coils))
    near = height * hyp1f1(-0.5, coils, -(low**2) / 2)
    a, b = 2 * coils - 1, 2 * coils - 3
    mean = np.where(theta > SERIES, far + a / (2 * far) - a * b / (8 * far**3), near)
    variance = np.where(theta > SERIES, 1 - a / (2 * far**2), 2 * coils + low**2 - near**2)
    return mean, variance


def magnitude_floor(coils: float | int = 1) -> float:
    """Mean at σ = 1 of a magnitude without signal: 1.253 for one channel."""
    return float(magnitude_moments(np.zeros(1), coils)[0][0])


@dataclass(frozen=True, eq=False)
class _Law:
    """The moments on a grid of θ, to interpolate in."""

    theta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


@lru_cache(maxsize=8)
def _law(coils: float | int) -> _Law:
    theta = np.concatenate([np.linspace(0, 12, 1201), np.geomspace(12.1, 1e4, 400)])
    return _Law(theta, *magnitude_moments(theta, coils))


def koay(
    variance: Float[np.ndarray, "g"], means: Float[np.ndarray, "g v"], coils: float | int = 1
) -> Float[np.ndarray, "g"]:
    """The Gaussian σ behind magnitude noise of this variance, averaged over volumes.

    Solves σ²·mean_v ξ(θ_v) = variance, where ξ is the magnitude's variance at σ = 1 and θ_v
    the signal whose magnitude's mean is means_v/σ.
    """
    law, sigma = _law(coils), np.sqrt(variance)
    for _ in range(KOAY_ROUNDS):
        theta = np.interp(means / sigma[:, None].clip(1e-12), law.mean, law.theta)
        sigma = np.sqrt(variance / np.interp(theta, law.theta, law.variance).mean(1))
    return sigma


def magnitude_sd(
    sigma: Float[np.ndarray, "*s"], mean: Float[np.ndarray, "*s"], coils: float | int = 1
) -> Float[np.ndarray, "*s"]:
    """sd of a magnitude of this mean: σ where the signal is strong, 0.655 σ at Rice's floor."""
    law = _law(coils)
    theta = np.interp(mean / np.maximum(sigma, 1e-12), law.mean, law.theta)
    return (sigma * np.sqrt(np.interp(theta, law.theta, law.variance))).astype(np.float32)


def expected_magnitude(
    signal: Float[np.ndarray, "*s"], sigma: Float[np.ndarray, "*s"], coils: float | int = 1
) -> Float[np.ndarray, "*s"]:
    """The mean of the magnitude that shows ``signal``: the inverse of ``true_signal``."""
    if coils == NONE:
        return signal
    law, safe = _law(coils), np.where(sigma > 0, sigma, 1)
    return np.where(sigma > 0, np.interp(signal / safe, law.theta, law.mean) * safe, signal)


@lru_cache(maxsize=8)
def _inverse(coils: float | int) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, "k m"]]:
    """Mean and sd of θ ≥ 0, flat before, given a measured mean m on a grid, a row a spread."""
    theta = np.arange(0, HIGHEST + STEP / 2, STEP)
    mean = magnitude_moments(theta, coils)[0]
    exact = np.interp(theta, mean, theta)
    likely, around = [exact], [np.zeros_like(exact)]
    for spread in SPREADS[1:]:
        weight = np.exp(-0.5 * ((theta[:, None] - mean) / spread) ** 2)
        total = weight.sum(1)
        known, total = total > UNLIKELY, np.maximum(total, UNLIKELY)
        first, second = weight @ theta / total, weight @ theta**2 / total
        likely.append(np.where(known, first, exact))
        around.append(np.where(known, np.sqrt(np.maximum(second - first**2, 0)), spread))
    return np.array(likely, np.float32), np.array(around, np.float32)


def true_signal(
    mean: Float[np.ndarray, "*s"],
    sigma: Float[np.ndarray, "*s"],
    spread: float = 0.0,
    coils: float | int = 1,
) -> Float[np.ndarray, "*s"]:
    """The signal behind a magnitude's mean: the floor taken off.

    Parameters
    ----------
    mean : what a denoiser found, in the data's units. sigma : of one channel, same shape.
    spread : sd of ``mean``'s own error, in σ: at the floor, where a small error of the mean is
        a large one of the signal, the answer is the posterior mean over all signals ≥ 0.

    Notes
    -----
    Koay & Basser 2006 invert the mean itself (``spread`` 0). Where σ is 0 the mean stands.
    """
    if coils == NONE:
        return mean.astype(np.float32)
    table, _ = _inverse(coils)
    row = float(np.interp(spread, SPREADS, np.arange(len(SPREADS))))
    low = min(int(row), len(SPREADS) - 2)
    line = table[low] * (1 - (row - low)) + table[low + 1] * (row - low)
    safe = np.where(sigma > 0, sigma, 1)
    ratio = mean / safe
    grid = np.arange(len(line)) * STEP
    # far above the floor mean² − (2n−1)σ² is the squared signal: the table ends where that holds
    last = HIGHEST - 1
    gap = np.float32(last**2 - np.interp(last, grid, line) ** 2)
    found = np.where(
        ratio > last,
        np.sqrt(np.maximum(np.square(ratio) - gap, 0)),
        np.interp(np.minimum(ratio, last), grid, line),
    )
    return np.where(sigma > 0, found * safe, mean).astype(np.float32)


def signal_posterior(
    mean: Float[np.ndarray, "n"],
    sigma: Float[np.ndarray, "n"],
    spread: Float[np.ndarray, "n"],
    coils: float | int = 1,
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Mean and sd of the signals ≥ 0 that a magnitude's mean allows, in the data's units.

    ``spread`` (n,) is the sd of each mean's own error in σ. Far from the floor the signal is as
    unsure as the mean; at it, less sure.
    """
    if coils == NONE:
        return mean.astype(np.float32), (sigma * spread).astype(np.float32)
    row = np.interp(spread, SPREADS, np.arange(len(SPREADS)))
    place = np.clip(mean / np.where(sigma > 0, sigma, 1) / STEP, 0, (HIGHEST - 1) / STEP)
    near, around = (
        map_coordinates(table, np.stack([row, place]), order=1, mode="nearest")
        for table in _inverse(coils)
    )
    far = place >= (HIGHEST - 1) / STEP
    signal = np.where(far, true_signal(mean, sigma, 0.0, coils), sigma * near)
    return signal, (sigma * np.where(far, spread, around)).astype(np.float32)
