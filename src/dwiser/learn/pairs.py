"""Di-Fusion's training batches: items drawn from a stack, flipped, fused, noised."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dwiser.chain.fusion import Fusion, forward, fuse, fusion_weights, mess
from dwiser.chain.schedule import Schedule
from dwiser.learn.loop import Batch
from dwiser.prepare.stack import Stack
from dwiser.seeds import stream

Noise = Literal["shuffled", "gaussian"]


@dataclass(frozen=True, eq=False)
class PairDraw:
    """Draws the batch of an iteration, as ``learn.loop.train`` wants it.

    Parameters
    ----------
    latter : Tc; steps t are uniform on 1 … Tc.
    patch : edge of the square patches, centred in the mask; None takes whole slices.
    within : shuffle ξ inside the mask only (for slices cropped to it).
    """

    stack: Stack
    schedule: Schedule
    seed: int
    batch: int
    latter: int
    fusion: Fusion = "target"
    noise: Noise = "shuffled"
    patch: int | None = None
    within: bool = True
    device: str = "cpu"

    def __call__(self, iteration: int) -> Batch:
        rng = stream(self.seed, "training", iteration)
        t = rng.integers(1, self.latter + 1, self.batch)
        low, high = self.schedule.level(t + 1), self.schedule.level(t)
        level = _column(rng.uniform(low, high))
        own, other = (_column(w) for w in fusion_weights(self.schedule, t))
        chosen = self.stack.items[rng.integers(0, len(self.stack.items), self.batch)]
        drawn = [self._item(int(k), int(z), rng) for k, z in chosen]
        x, partner, xi = (np.stack(part) for part in zip(*drawn, strict=True))
        inputs = forward(fuse(x, partner, own, other, self.fusion), xi, level)
        return Batch(
            self._tensor(inputs[:, None]), self._tensor(level.ravel()), self._tensor(x[:, None])
        )

    def _item(self, k: int, z: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """(x, x', ξ) of one slice or patch, flipped alike."""
        inside = self.stack.inside[z]
        where = self._window(inside, rng)
        flips = tuple(slice(None, None, step) for step in rng.choice([1, -1], 2))
        x = self.stack.target[k, z][where][flips]
        partner = self.stack.neighbour[k, z][where][flips]
        if self.noise == "gaussian":
            xi = rng.standard_normal(x.shape, np.float32)
        else:
            xi = mess(x - partner, rng, inside[where][flips] if self.within else None)
        return x, partner, xi

    def _window(self, inside: np.ndarray, rng: np.random.Generator) -> tuple[slice, slice]:
        if self.patch is None:
            return slice(None), slice(None)
        here = np.flatnonzero(inside)
        centre = np.unravel_index(here[rng.integers(len(here))], inside.shape)
        starts = (
            int(np.clip(c - self.patch // 2, 0, max(0, n - self.patch)))
            for c, n in zip(centre, inside.shape, strict=True)
        )
        row, column = (slice(s, s + self.patch) for s in starts)
        return row, column

    def _tensor(self, values: np.ndarray) -> Float[Tensor, "..."]:
        tensor = torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)
        if tensor.ndim == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)[:, None, None]
