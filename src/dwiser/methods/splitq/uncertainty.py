"""The uncertainty of splitq's result: the estimate's variance, and the effect of Rician bias."""

import numpy as np
from jaxtyping import Float, Int

from dwiser.methods.splitq.parts import joined
from dwiser.methods.splitq.probe import follows_and_passes, posterior_variance
from dwiser.methods.splitq.probed import Probed
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.prepare.moments import magnitude_floor
from dwiser.prepare.rician_bias import signal_posterior

REACH = 2.0  # sd: the interval that is to hold the truth


def estimate_variance(
    probed: Probed,
    estimate: Float[np.ndarray, "n v"],
    volumes: Int[np.ndarray, "m"],
    whitened: WhitenedScan,
    threads: int = 1,
) -> Float[np.ndarray, "n"]:
    """Expected squared error of ``volumes`` over (σ·scale)², from the scan denoised with a probe.

    ``estimate`` is what the same estimator makes of the whitened scan itself.
    """
    scale, noise = whitened.scale.astype(np.float32), np.float32(whitened.noise)
    y, step = whitened.y, probed.step

    def of(part: slice) -> Float[np.ndarray, "c 3"]:
        before = estimate[part]
        change = (probed.cleaned[part] - before)[:, volumes] / step[volumes]
        left = (y[part] - before)[:, volumes] / scale[volumes]
        removed = np.einsum("nv,nv->n", left, left) / (noise * len(volumes))
        passed = follows_and_passes(change, probed.probe[part][:, volumes])
        return np.column_stack([passed, removed])

    passed = joined(of, len(y), threads)
    variance = posterior_variance(passed[:, :2], passed[:, 2], len(volumes), whitened.mask)
    return noise * variance


def signal_sd(
    values: Float[np.ndarray, "n"],
    signal: Float[np.ndarray, "n"],
    sigma: Float[np.ndarray, "n"],
    spread: Float[np.ndarray, "n"],
    coils: float,
    power: Float[np.ndarray, "n"] | None = None,
) -> Float[np.ndarray, "n"]:
    """The sd of the signal's error, in the data's units, where the Rician bias was removed.

    ``values`` are magnitudes' means, unsure by ``spread`` σ, ``signal`` the signals taken for
    them, of such ``power`` as in `true_signal`. A mean that no signal at all may explain has an
    interval that reaches down to 0.
    """
    likely, sd = signal_posterior(values, sigma, spread, coils, power)
    sd = np.hypot(sd, signal - likely)
    nothing = values / sigma - magnitude_floor(coils) < REACH * spread
    return np.where(nothing, np.maximum(sd, signal / REACH), sd)
