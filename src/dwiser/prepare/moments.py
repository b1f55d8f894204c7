"""Mean and variance of a magnitude image with noncentral χ noise, by signal, and the inverse.

A magnitude from n channels (root sum of squares) with Gaussian noise of sd σ in each real and
imaginary part is σ times a noncentral χ with 2n degrees of freedom; n = 1 is Rician. Sources:
Koay & Basser 2006 (10.1016/j.jmr.2006.01.016); Constantinides et al. 1997
(10.1002/mrm.1910380524); Aja-Fernández et al. 2011 (10.1016/j.mri.2010.11.002) for the
effective number of channels, which need not be whole.

0 channels (``NONE``) mean no magnitude at all: a real part, Gaussian of mean θ and sd 1.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln, hyp1f1

from dwiser.prepare.lookup import Lookup

NONE = 0.0  # channels: a real part, not a magnitude
SERIES = 20.0  # θ above which the moments' expansions in 1/θ² are exact to 1e-3 for n ≤ 16
KOAY_ROUNDS = 30  # fixed-point rounds: above the floor five do, at it the approach is slow
HIGHEST, FINENESS = 60.0, 0.01  # of the lookup of variances by means, in σ
SETTLED = 1e-4  # of σ: rounds that change it by less are the last


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


@lru_cache(maxsize=8)
def variance_by_mean(coils: float | int) -> Lookup:
    """The variance at σ = 1 of a magnitude of a given mean."""
    law, mean = _law(coils), np.arange(0, HIGHEST, FINENESS)
    if coils == NONE:
        return Lookup(np.ones((1, len(mean)), np.float32), 0.0, FINENESS)
    theta = np.interp(mean, law.mean, law.theta)
    variance = np.interp(theta, law.theta, law.variance)
    return Lookup(variance.astype(np.float32)[None], 0.0, FINENESS)


def koay(
    variance: Float[np.ndarray, "g"],
    means: Float[np.ndarray, "g *p v"],
    coils: float | int = 1,
    *,
    weights: Float[np.ndarray, "g *p"] | None = None,
    volume_weights: Float[np.ndarray, "v"] | None = None,
) -> Float[np.ndarray, "g"]:
    """The Gaussian σ behind magnitude noise of this variance, averaged over volumes.

    Solves σ²·mean_v ξ(θ_v) = variance, where ξ is the magnitude's variance at σ = 1 and θ_v
    the signal whose magnitude's mean is means_v/σ. Where each patch has p pieces of its own
    means, ξ's mean is over these too, with ``weights``. Volumes weigh ``volume_weights``: their
    share of the variance that was measured.
    """
    law, sigma = variance_by_mean(coils), np.sqrt(variance)
    per = (len(variance),) + (1,) * (means.ndim - 1)
    for _ in range(KOAY_ROUNDS):
        before = sigma
        unit_variance = law.at(means / before.reshape(per).clip(1e-12))[0].astype(float)
        unit_variance = np.average(unit_variance, axis=-1, weights=volume_weights)
        unit_variance = (
            unit_variance if weights is None else np.average(unit_variance, axis=1, weights=weights)
        )
        sigma = np.sqrt(variance / unit_variance)
        if np.allclose(sigma, before, rtol=SETTLED, atol=0):
            break
    return sigma


def magnitude_sd(
    sigma: Float[np.ndarray, "*s"], mean: Float[np.ndarray, "*s"], coils: float | int = 1
) -> Float[np.ndarray, "*s"]:
    """sd of a magnitude of this mean: σ at high signal, 0.655 σ at the Rician noise floor."""
    unit_variance = variance_by_mean(coils).at(mean / np.maximum(sigma, 1e-12))[0]
    return (sigma * np.sqrt(unit_variance)).astype(np.float32)


def expected_magnitude(
    signal: Float[np.ndarray, "*s"], sigma: Float[np.ndarray, "*s"], coils: float | int = 1
) -> Float[np.ndarray, "*s"]:
    """The mean of the magnitude that shows ``signal``: the inverse of ``true_signal``."""
    if coils == NONE:
        return signal
    law, safe = _law(coils), np.where(sigma > 0, sigma, 1)
    return np.where(sigma > 0, np.interp(signal / safe, law.theta, law.mean) * safe, signal)
