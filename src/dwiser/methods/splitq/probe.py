"""How far an estimate may be off: what it does to a little more noise tells.

If x̂(y) is the posterior mean under noise of variance ν, its posterior variance is ν ∂x̂/∂y
(Tweedie; Robbins 1956, Efron 2011): an estimate that follows its own voxel closely is unsure of
it. A probe measures that without a formula for the estimator (Ramani, Blu, Unser 2008,
10.1109/TIP.2008.2001404): with b of random signs, E[b · (x̂(y + hb) − x̂(y))/h] is the divergence.
The same difference, squared, is the variance of the noise that passes. The posterior variance
holds the bias too, where shrinkage is right on average; the larger of the two is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

STEP = 0.3  # h, in sd of the noise: small enough to change no choice, large enough for float32
UNSEEN = 1.1  # of the sd, measured on tuning phantoms: what shrinkage cuts, no probe can show
WINDOW = 5  # voxels on an edge, over which the two are averaged


def signs(rng: np.random.Generator, count: int) -> Float[np.ndarray, "n"]:
    """±1 with equal chances."""
    return (2 * rng.integers(0, 2, count) - 1).astype(np.float32)


def posterior_variance(
    change: Float[np.ndarray, "n v"],
    probe: Float[np.ndarray, "n v"],
    removed: Float[np.ndarray, "n"],
    mask: Bool[np.ndarray, "x y z"],
) -> Float[np.ndarray, "n"]:
    """Expected squared error over the noise's variance, a typical volume's, at a mask's voxels.

    Parameters
    ----------
    change : (n, V), x̂(y + hb) − x̂(y), over h. probe : b, both in units of the noise's sd.
    removed : (n,) mean square over the volumes of y − x̂, over the noise's variance.

    Notes
    -----
    Noise alone leaves 1 − 2·follows + passes of its variance in y − x̂. Where more is left than
    is usual in the mask (σ is known to a few per cent only), signal went with it.
    """
    follows = np.einsum("nv,nv->n", probe, change) / change.shape[1]
    passes = np.einsum("nv,nv->n", change, change) / change.shape[1]
    follows, passes, removed = (_local_mean(m, mask) for m in (follows, passes, removed))
    over = removed - (1 - 2 * follows + passes)
    chance = np.sqrt(2 / (WINDOW**mask.ndim * change.shape[1]))  # the sd of a variance
    lost = np.maximum(over - np.median(over) - chance, 0)
    return np.float32(UNSEEN**2) * np.maximum(follows, passes) + lost


@dataclass(eq=False)
class Errors:
    """The variance of the result's error, gathered volume by volume.

    Parameters
    ----------
    estimate : (n,) variance of the estimate's error, a typical volume's over its noise's.
    scale : (V,) sd of each volume's noise, in σ.
    share : (n, V) of the raw residual that was restored, None where nothing was.
    """

    estimate: Float[np.ndarray, "n"]
    scale: Float[np.ndarray, "v"]
    share: Float[np.ndarray, "n v"] | None

    def __post_init__(self) -> None:
        self.square, self.volumes = np.zeros_like(self.estimate), 0

    def add(self, volume: int, sd: Callable[[np.ndarray], np.ndarray]) -> None:
        """One volume; ``sd`` turns the estimate's error in σ into the signal's in its units."""
        back = 0.0 if self.share is None else self.share[:, volume]
        sd_in_noise = np.sqrt((1 - back) ** 2 * self.estimate + back**2)
        self.square += sd(np.float32(self.scale[volume]) * sd_in_noise) ** 2
        self.volumes += 1

    def sd(self, mask: Bool[np.ndarray, "x y z"]) -> Float[np.ndarray, "x y z"]:
        """Root mean square over the volumes, in the data's units; 0 outside the mask."""
        out = np.zeros(mask.shape, np.float32)
        out[mask] = np.sqrt(self.square / max(1, self.volumes))
        return out


def _local_mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    image = np.zeros(mask.shape, np.float32)
    image[mask] = values
    total, count = (
        ndimage.uniform_filter(i, WINDOW, mode="constant")[mask]
        for i in (image, mask.astype(np.float32))
    )
    return total / count
