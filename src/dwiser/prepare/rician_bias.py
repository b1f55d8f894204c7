"""The signal from a magnitude's mean: the Rician bias removed, and the uncertainty of that.

Koay & Basser 2006 (10.1016/j.jmr.2006.01.016) invert the mean itself. At the noise floor a small
error of the mean is a large one of the signal, so here the result is a posterior mean. The prior
of the signal is half normal (≥ 0), with the power that the voxel has in its shell. In fluid, where
a whole shell lies at the noise floor, that power is almost 0; in tissue the prior is nearly flat.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates

from dwiser.compiled import pointwise
from dwiser.prepare.lookup import Lookup
from dwiser.prepare.moments import NONE, magnitude_floor, magnitude_moments

LOWEST, HIGHEST, STEP = -2.0, 14.0, 0.01  # of the means in the tables, in σ
FAR = HIGHEST - 1  # σ: beyond, the Rician bias is a small correction
FINENESS = 0.02  # of the signals summed over, in σ
SPREADS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)  # of the mean that is inverted
POWERS = np.geomspace(0.05, 500.0, 25)  # of the signal, in σ²; the last is as good as flat
ODD = 1e-3  # of the prior's height, at any signal: one volume may show what no other does
NEAR = 0.3  # σ: below, a mean and its signal's power are in proportion
SLACK = 0.1  # of the noise floor: by so much a mean may lie below it by its own error
LEAST_SIGMA = 0.5  # of σ, whatever the means are

Values = Float[np.ndarray, "*s"]


@lru_cache(maxsize=32)
def _table(coils: float | int, spread: float, of_noise: bool = False) -> Float[np.ndarray, "2 p m"]:
    """Posterior mean and sd of θ, by power and measured mean m of this spread, σ = 1.

    ``of_noise``: the spread is a part of the magnitude's own sd, which θ tells, not of σ.
    """
    measured = np.arange(LOWEST, HIGHEST + STEP / 2, STEP)
    theta = np.arange(0, HIGHEST + FINENESS / 2, FINENESS)
    mean, variance = magnitude_moments(theta, coils)
    posterior = np.zeros((2, len(POWERS), len(measured)), np.float32)
    if not spread:
        posterior[0] = np.interp(measured, mean, theta)
        return posterior
    prior = np.exp(-0.5 * theta[:, None] ** 2 / POWERS) + ODD
    sd = spread * (np.sqrt(variance) if of_noise else np.ones_like(theta))
    far = -0.5 * ((measured[:, None] - mean) / sd) ** 2 - np.log(sd)
    likely = np.exp(far - far.max(1, keepdims=True))
    total, first, second = (likely @ (prior * theta[:, None] ** k) for k in range(3))
    posterior[0] = (first / total).T
    posterior[1] = np.sqrt(np.maximum(second / total - (first / total) ** 2, 0)).T
    return posterior


@lru_cache(maxsize=4)
def _all_tables(coils: float | int) -> Float[np.ndarray, "2 k p m"]:
    """The same of every spread."""
    return np.stack([_table(coils, spread) for spread in SPREADS], 1)


def _rows(power: Values) -> Values:
    """Where in the tables' powers these lie."""
    low, high = np.log(POWERS[0]), np.log(POWERS[-1])  # which are evenly spaced between
    logs = np.log(power.clip(POWERS[0], POWERS[-1])) - power.dtype.type(low)
    return logs * power.dtype.type((len(POWERS) - 1) / (high - low))


def _between(table: Float[np.ndarray, "*t"], *places: Values) -> Values:
    """The table's values between its points, a place for each axis; constant beyond its ends."""
    if pointwise is None:
        return map_coordinates(table, np.stack(places), order=1, mode="nearest")
    interpolate = pointwise.bilinear if table.ndim == 2 else pointwise.trilinear
    arrays = (np.ascontiguousarray(part, np.float32) for part in (table, *places))
    out = np.empty(places[0].shape, np.float32)
    interpolate(*arrays, out)
    return out


def true_signal(
    mean: Values,
    sigma: Values,
    passed: float = 0.0,
    coils: float | int = 1,
    power: Values | None = None,
) -> Values:
    """The signal from a magnitude's mean: the Rician bias removed.

    Parameters
    ----------
    mean : a denoised magnitude, in the data's units. sigma : of one channel, same shape.
    passed : the noise that is left in ``mean``, its sd over the magnitude's own: at the noise
        floor 0.655 of what it is far above, for one channel. 0: the mean itself is inverted.
    power : the mean square of such signals in σ², of the same shape; None: any is as likely.

    Notes
    -----
    Where σ is 0 the mean is returned. A real part (``NONE`` coils) has no Rician bias, but its
    signal is not below 0 either: with a ``power`` it has such a posterior mean too.
    """
    if coils == NONE and power is None:
        return mean.astype(np.float32)
    row = float(np.interp(passed, SPREADS, np.arange(len(SPREADS))))
    low = min(int(row), len(SPREADS) - 2)
    below, above = (_table(coils, of, True)[0] for of in SPREADS[low : low + 2])
    table = below + np.float32(row - low) * (above - below)
    ratio = mean / np.where(sigma > 0, sigma, 1)
    signal = _far_above(ratio, table)
    near = ratio <= FAR
    if power is None:
        column = (ratio[near] - LOWEST) / STEP
        signal[near] = np.interp(column, np.arange(table.shape[1]), table[-1])
    else:
        signal = np.where(near, _between(table, _rows(power), (ratio - LOWEST) / STEP), signal)
    return np.where(sigma > 0, signal * sigma, mean).astype(np.float32)


def _far_above(ratio: Values, table: Float[np.ndarray, "p m"]) -> Values:
    """Far above the floor mean² − (2n−1)σ² is the squared signal: where the table ends."""
    gap = np.float32(FAR**2 - table[-1, round((FAR - LOWEST) / STEP)] ** 2)
    return np.sqrt(np.maximum(np.square(ratio) - gap, 0))


def signal_posterior(
    mean: Float[np.ndarray, "n"],
    sigma: Float[np.ndarray, "n"],
    spread: Float[np.ndarray, "n"],
    coils: float | int = 1,
    power: Float[np.ndarray, "n"] | None = None,
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Mean and sd of the signals ≥ 0 that a magnitude's mean allows, in the data's units.

    ``spread`` (n,) is the sd of each mean's own error in σ, measured where it is, so that it is
    the same for all signals that it allows; ``power`` as in `true_signal`. Far
    above the noise floor the signal is as uncertain as the mean; at it, more uncertain.
    """
    if coils == NONE and power is None:
        return mean.astype(np.float32), (sigma * spread).astype(np.float32)
    row = np.interp(spread, SPREADS, np.arange(len(SPREADS)))
    ratio = mean / np.where(sigma > 0, sigma, 1)
    strength = np.full(mean.shape, POWERS[-1]) if power is None else power
    at = row, _rows(strength), (ratio.clip(LOWEST, FAR) - LOWEST) / STEP
    near, around = (_between(t, *at) for t in _all_tables(coils))
    far = ratio > FAR
    above = _far_above(ratio, _table(coils, SPREADS[0])[0])
    signal = np.where(far, sigma * above, sigma * near)
    signal = np.where(sigma > 0, signal, mean).astype(np.float32)
    return signal, (sigma * np.where(far, spread, around)).astype(np.float32)


def allowed_sigma(
    mean: Float[np.ndarray, "n"], sigma: Float[np.ndarray, "n"], coils: float | int = 1
) -> Float[np.ndarray, "n"]:
    """σ where a denoised shell's mean may have it, and the largest that it allows where not.

    Parameters
    ----------
    mean : a voxel's mean over a shell's denoised magnitudes, in the data's units. sigma : as it
        was estimated.

    Notes
    -----
    No magnitude's mean is below the noise floor (1.253 σ for one channel). Where a shell's is, by
    more than its own error, σ is too large there: its map is smooth, while the noise of an
    accelerated scan changes from voxel to voxel, or the scanner suppressed the background.
    """
    if coils == NONE:
        return sigma
    allowed = mean / np.float32(magnitude_floor(coils))
    lower = allowed < (1 - SLACK) * sigma
    return np.where(lower, np.maximum(allowed, LEAST_SIGMA * sigma), sigma).astype(sigma.dtype)


@lru_cache(maxsize=4)
def _power_by_mean(coils: float | int) -> Lookup:
    """θ² by a magnitude's mean; below the noise floor in proportion to the distance from it."""
    mean = np.arange(LOWEST, FAR + STEP / 2, STEP)
    theta = np.arange(0, HIGHEST + FINENESS / 2, FINENESS)
    magnitude = magnitude_moments(theta, coils)[0]
    slope = NEAR**2 / (np.interp(NEAR, theta, magnitude) - magnitude[0])
    above = np.square(np.interp(mean, magnitude, theta))
    power = np.where(mean > magnitude[0], above, (mean - magnitude[0]) * slope)
    return Lookup(power.astype(np.float32)[None], LOWEST, STEP)


def signal_power(mean: Values, sigma: Values, coils: float | int = 1) -> Values:
    """θ² in σ² from a magnitude's mean: below the noise floor it is less than 0.

    Its average over means with errors is then the signal's power, and not more: clipped at 0
    it would show signal wherever there is noise.
    """
    ratio, near = mean / np.maximum(sigma, 1e-12), _power_by_mean(coils)
    gap = np.float32(FAR**2) - near.values[0, -1]
    return np.where(ratio > FAR, np.square(ratio) - gap, near.at(ratio)[0]).astype(np.float32)
