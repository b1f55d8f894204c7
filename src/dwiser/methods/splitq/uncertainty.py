"""The uncertainty of splitq's result: the estimate's variance, and the effect of Rician bias."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from dwiser.methods.splitq.probe import STEP, posterior_variance, signs
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.prepare.moments import magnitude_floor
from dwiser.prepare.rician_bias import signal_posterior
from dwiser.seeds import stream

REACH = 2.0  # sd: the interval that is to hold the truth


def estimate_variance(
    clean: Callable[[WhitenedScan], Float[np.ndarray, "n v"]],
    estimate: Float[np.ndarray, "n v"],
    volumes: Int[np.ndarray, "m"],
    whitened: WhitenedScan,
    seed: int,
) -> Float[np.ndarray, "n"]:
    """Expected squared error of ``volumes`` over (σ·scale)²: denoised once more, with a probe.

    ``estimate`` is what ``clean`` makes of the whitened scan itself.
    """
    probe = np.stack(
        [signs(stream(seed, "probe", v), len(estimate)) for v in range(estimate.shape[1])], 1
    )
    noise, scale = np.float32(whitened.noise), whitened.scale.astype(np.float32)
    step = np.float32(STEP * whitened.noise**0.5) * scale
    change = clean(replace(whitened, y=whitened.y + step * probe)) - estimate
    change /= step
    removed = np.zeros(len(estimate), np.float32)
    for v in volumes:
        removed += np.square((whitened.y[:, v] - estimate[:, v]) / scale[v])
    removed /= noise * len(volumes)
    variance = posterior_variance(change[:, volumes], probe[:, volumes], removed, whitened.mask)
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
