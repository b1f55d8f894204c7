"""The noise schedule ᾱ: every coefficient of the chain comes from it, in float64."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

# The released schedule: constant, then linear to the last β inclusive (method: T = 1000).
LENGTH, FLAT, BETA_FLAT, BETA_LAST = 1000, 300, 5e-5, 1e-2


@dataclass(frozen=True)
class Schedule:
    """ᾱ_t for t = 0 … T−1, with ᾱ_{−1} = 1.

    Small β for ``flat`` steps, then linear up to ``beta_last``: the paper's "reverse
    warm-up" (Wu et al. 2025, section 4).
    """

    length: int = LENGTH
    flat: int = FLAT
    beta_flat: float = BETA_FLAT
    beta_last: float = BETA_LAST
    beta: Float[np.ndarray, "t"] = field(init=False, repr=False, compare=False)
    _alpha_bar: Float[np.ndarray, "t+1"] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ramp = np.linspace(self.beta_flat, self.beta_last, self.length - self.flat)
        beta = np.concatenate([np.full(self.flat, self.beta_flat), ramp])
        object.__setattr__(self, "beta", beta)
        object.__setattr__(self, "_alpha_bar", np.concatenate([[1.0], np.cumprod(1 - beta)]))

    def alpha_bar(self, t: int | np.integer | np.ndarray) -> Float[np.ndarray, "..."]:
        """ᾱ_t; t = −1 is the clean end, where it is 1."""
        return np.asarray(self._alpha_bar[np.asarray(t) + 1])

    def level(self, n: int | np.integer | np.ndarray) -> Float[np.ndarray, "..."]:
        """Square root of the product of the first ``n`` alphas: level(t + 1) = √ᾱ_t."""
        return np.asarray(np.sqrt(self._alpha_bar[np.asarray(n)]))
