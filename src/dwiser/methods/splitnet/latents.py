"""Batches for learning across disjoint directions: z of the input, y of the held-out volumes."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dwiser.learn.step import Batch
from dwiser.prepare.splits import Groups, split
from dwiser.prepare.subspace import SignalSubspace
from dwiser.seeds import stream


@dataclass(frozen=True, eq=False)
class SplitLatent:
    """What the network is shown of a patch, the sd of its error, and which volumes it is of."""

    z: Float[np.ndarray, "h w k"]
    level: Float[np.ndarray, "k"]
    volumes: Bool[np.ndarray, "m"]


@dataclass(frozen=True, eq=False)
class LatentDraw:
    """Draws the batch of an iteration, as ``learn.loop.train`` wants it.

    Parameters
    ----------
    y : (Z, H, W, M) float32, (x − μ)/σ of the subspace's volumes.
    inside : (Z, H, W), the mask; only its voxels are targets and centres of patches.

    Notes
    -----
    A target volume is never among those that z is made of: the loss is an unbiased risk,
    given the subspace, where noise is independent across volumes.
    """

    y: Float[np.ndarray, "z h w m"]
    inside: Bool[np.ndarray, "z h w"]
    subspace: SignalSubspace
    groups: Groups
    seed: int
    batch: int
    patch: int
    device: str = "cpu"

    def __call__(self, iteration: int) -> Batch:
        rng = stream(self.seed, "splits", iteration)
        drawn = [self._item(rng) for _ in range(self.batch)]
        z, level, y, weights = (np.stack(part) for part in zip(*drawn, strict=True))
        weights *= np.float32(weights.size / max(1.0, float(weights.sum())))
        return Batch(*(self._tensor(part) for part in (z, level, y, weights)))

    def _item(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        place = self._place(rng)
        turn = int(rng.integers(8))
        y, inside = _turned(self.y[place], turn), _turned(self.inside[place], turn)
        latent = self._latent(y, inside, rng)
        weights = np.where(latent.volumes, np.float32(0), inside[..., None].astype(np.float32))
        first = (2, 0, 1)
        return latent.z.transpose(first), latent.level, y.transpose(first), weights.transpose(first)

    def _latent(
        self,
        y: Float[np.ndarray, "h w m"],
        inside: Bool[np.ndarray, "h w"],
        rng: np.random.Generator,
    ) -> SplitLatent:
        chosen = split(self.groups, self.subspace.volumes, rng)
        matrix, level = self.subspace.latent(chosen)
        return SplitLatent(y @ matrix.T.astype(np.float32), level, chosen)

    def _place(self, rng: np.random.Generator) -> tuple[int, slice, slice]:
        centres = np.flatnonzero(self.inside)
        at = np.unravel_index(centres[rng.integers(len(centres))], self.inside.shape)
        edge = min(self.patch, *self.inside.shape[1:])
        starts = (
            int(np.clip(c - edge // 2, 0, n - edge))
            for c, n in zip(at[1:], self.inside.shape[1:], strict=True)
        )
        row, column = (slice(s, s + edge) for s in starts)
        return int(at[0]), row, column

    def _tensor(self, values: np.ndarray) -> Float[Tensor, "..."]:
        tensor = torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)
        if tensor.ndim == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor


def _turned(image: np.ndarray, turn: int) -> np.ndarray:
    """One of the eight symmetries of a square, on the first two axes."""
    image = np.rot90(image, turn % 4, (0, 1))
    return image[::-1] if turn >= 4 else image
