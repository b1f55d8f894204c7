"""From a pair (x, x') to a training input: Fusion (Eq. 6), Di- (Eq. 8), forward (Eq. 7).

x is the target slice, x' its partner; both in [−1, 1]. Array functions work on NumPy
arrays and torch tensors alike; the weights are float64 numbers from the schedule.
"""

from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Float

from dwiser.chain.schedule import Schedule

Fusion = Literal["target", "neighbour"]
A = TypeVar("A")


def fusion_weights(
    schedule: Schedule, t: int | np.integer | np.ndarray
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """λ1 and λ2 of Eq. 6: the weights of the DDPM posterior mean at step t.

    λ1 = √ᾱ_{t−1} β_t/(1−ᾱ_t) weighs x, λ2 = √α_t (1−ᾱ_{t−1})/(1−ᾱ_t) weighs x'.

    Notes
    -----
    λ1 is also a leak: x*_t holds the target's own noise with variance share
    λ1²/(λ1²+λ2²+2τ²), τ² = (1−ᾱ_t)/ᾱ_t; see ``leaked_share``.
    """
    t = np.asarray(t)
    now, before, beta = (
        schedule.alpha_bar(t),
        schedule.alpha_bar(np.asarray(t - 1)),
        schedule.beta[t],
    )
    lambda1 = np.sqrt(before) * beta / (1 - now)
    return np.asarray(lambda1), np.asarray(np.sqrt(1 - beta) * (1 - before) / (1 - now))


def leaked_share(schedule: Schedule, t: int | np.integer | np.ndarray) -> Float[np.ndarray, "..."]:
    """Share of the noise variance in x_t that is the target's own."""
    lambda1, lambda2 = fusion_weights(schedule, t)
    bar = schedule.alpha_bar(t)
    return np.asarray(lambda1**2 / (lambda1**2 + lambda2**2 + 2 * (1 - bar) / bar))


def fuse(target: A, neighbour: A, lambda1: A, lambda2: A, fusion: Fusion = "target") -> A:
    """x* = λ1·x + λ2·x' ("target", the paper); λ1·x' + λ2·x' ("neighbour", the program)."""
    first = target if fusion == "target" else neighbour
    return lambda1 * first + lambda2 * neighbour  # type: ignore[operator]


def shuffle_noise(
    difference: Float[np.ndarray, "h w *k"],
    rng: np.random.Generator,
    where: np.ndarray | None = None,
) -> Float[np.ndarray, "h w *k"]:
    """Di- (Eq. 8): the mean-free difference x − x', its pixels in one random order.

    Parameters
    ----------
    difference : (H, W), x − x'; (H, W, K): K channels, all in the same order.
    where : (H, W) bool or None. If not None, only these pixels are centred and shuffled; the
        pixels outside are filled from them too, with repeats, so that a slice cropped to the
        object has noise everywhere.

    Notes
    -----
    Without ``where`` the result has the histogram of the centred difference, exactly.
    """
    if where is None or not where.any():
        pixels = difference.reshape(-1, *difference.shape[2:])
        return rng.permutation(pixels - pixels.mean(0)).reshape(difference.shape)
    flat = difference.reshape(-1, *difference.shape[2:])
    chosen = where.ravel()
    inner, outer = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    inside = flat[inner]
    inside -= inside.mean(0)
    out = np.empty_like(flat)
    out[inner] = rng.permutation(inside)
    out[outer] = inside[rng.integers(0, len(inside), len(outer))]
    return out.reshape(difference.shape)


def forward(fused: A, noise: A, level: A) -> A:
    """Eq. 7: x_t = s·x* + √(1−s²)·ξ with s the level."""
    return level * fused + (1 - level**2) ** 0.5 * noise  # type: ignore[operator]
