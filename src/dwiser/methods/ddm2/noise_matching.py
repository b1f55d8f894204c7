"""Where on the chain a noisy image already is: DDM2's Stage II."""

import numpy as np
from jaxtyping import Bool, Float

from dwiser.chain.schedule import Schedule


def matched_state(
    schedule: Schedule,
    x: Float[np.ndarray, "h w"],
    clean: Float[np.ndarray, "h w"],
    where: Bool[np.ndarray, "h w"] | None = None,
) -> int:
    """t* in 1 … T: the state at which x = level(t)·x̂ + √(1−level(t)²)·ξ with ξ of sd 1.

    Of the t, in rising order, the first one whose √(1−level²) is nearer the sd of x − level(t)·x̂
    than that of the next (Xiang et al., DDM2, ICLR 2023, Stage II; the first local minimum is
    the authors' released rule, as reported).

    Parameters
    ----------
    x, clean : (H, W), the noisy image and the estimate x̂ of the clean one, in [−1, 1].
    where : (H, W), the pixels that count; None counts all.
    """
    inside = np.ones(x.shape, bool) if where is None or not where.any() else where
    (variance, shared), (_, clean_variance) = np.cov(x[inside], clean[inside], bias=True)
    level = schedule.level(np.arange(1, schedule.length + 1))
    remaining_sd = np.sqrt(np.maximum(variance - 2 * level * shared + level**2 * clean_variance, 0))
    distance = np.abs(remaining_sd - np.sqrt(1 - level**2))
    return 1 + int(np.append(np.diff(distance) > 0, True).argmax())
