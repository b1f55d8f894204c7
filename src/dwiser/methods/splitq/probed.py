"""A scan denoised once more with a little noise of known signs: what uncertainty and rank share."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from dwiser.machine import side_by_side
from dwiser.memmap import allocate_like
from dwiser.methods.splitq.probe import STEP, signs
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.seeds import stream


@dataclass(frozen=True, eq=False)
class Probed:
    """A probe b and what an estimator makes of y + h b.

    Parameters
    ----------
    probe : (n, V), ±1. step : (V,), h, in units of y. cleaned : (n, V), in units of y.
    """

    probe: Float[np.ndarray, "n v"]
    step: Float[np.ndarray, "v"]
    cleaned: Float[np.ndarray, "n v"]

    @classmethod
    def of(
        cls,
        clean: Callable[[WhitenedScan], Float[np.ndarray, "n v"]],
        whitened: WhitenedScan,
        seed: int,
        threads: int = 1,
    ) -> "Probed":
        """``clean`` is the estimator; ``seed`` that of the signs."""
        scale, y = whitened.scale.astype(np.float32), whitened.y
        step = np.float32(STEP) * np.sqrt(np.float32(whitened.noise)) * scale
        probe, probed = allocate_like(y), allocate_like(y)

        def draw(v: int) -> None:
            probe[:, v] = signs(stream(seed, "probe", v), len(y))
            probed[:, v] = y[:, v] + step[v] * probe[:, v]

        list(side_by_side(draw, range(y.shape[1]), threads))
        return cls(probe, step, clean(replace(whitened, y=probed)))
