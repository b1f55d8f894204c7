"""Training examples cut from a stack: a window of a slice, flipped; one batch an iteration."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dwiser.learn.step import Batch
from dwiser.prepare.stack import Stack
from dwiser.seeds import stream

Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Cut:
    """A window of slice ``z`` of the plan's volume ``k``, flipped: the same for every image."""

    k: int
    z: int
    where: Window
    flips: Window

    def of(self, image: np.ndarray) -> np.ndarray:
        """The cut-out (h, w) of an image (H, W)."""
        return image[self.where][self.flips]


@dataclass(frozen=True, eq=False)
class Example:
    """One input (C, h, w), its target (1, h, w), and its level for a network that takes one."""

    inputs: Float[np.ndarray, "c h w"]
    target: Float[np.ndarray, "1 h w"]
    level: float | None = None


def window(inside: Bool[np.ndarray, "h w"], patch: int | None, rng: np.random.Generator) -> Window:
    """A square patch centred in the mask (anywhere, in a slice without), inside the slice.

    ``patch`` is its edge; None takes the whole slice.
    """
    if patch is None:
        return slice(None), slice(None)
    pixels = np.flatnonzero(inside)
    chosen = int(rng.integers(len(pixels) or inside.size))
    centre = divmod(int(pixels[chosen]) if len(pixels) else chosen, inside.shape[1])
    starts = (
        min(max(0, c - patch // 2), max(0, n - patch))
        for c, n in zip(centre, inside.shape, strict=True)
    )
    row, column = (slice(s, s + patch) for s in starts)
    return row, column


def drawn_flips(rng: np.random.Generator) -> Window:
    """Vertical and horizontal flips, each with probability one half."""
    row, column = (slice(None, None, -1 if turned else 1) for turned in rng.integers(0, 2, 2))
    return row, column


def flip_number(flips: Window) -> int:
    """Which of the chain's four flips (`chain.sample.FLIPS`) a drawn one is."""
    row, column = (int(axis.step == -1) for axis in flips)
    return row + 2 * column


def as_tensor(values: np.ndarray, device: str) -> Float[Tensor, "..."]:
    """float32 on the device; images (B, C, H, W) channels-last."""
    tensor = torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(device)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


@dataclass(frozen=True, eq=False)
class CutDraw:
    """Draws the batch of an iteration from cuts, as ``learn.loop.train`` wants it.

    Parameters
    ----------
    example : (cut, generator) → one example; the method's own part.
    purpose : names the stream of random numbers.
    """

    stack: Stack
    example: Callable[[Cut, np.random.Generator], Example]
    seed: int
    batch: int
    patch: int | None
    device: str = "cpu"
    purpose: str = "training"

    def __call__(self, iteration: int) -> Batch:
        rng = stream(self.seed, self.purpose, iteration)
        chosen = self.stack.items[rng.integers(0, len(self.stack.items), self.batch)]
        drawn = [self._one(int(k), int(z), rng) for k, z in chosen]
        levels = [e.level for e in drawn if e.level is not None]
        return Batch(
            as_tensor(np.stack([e.inputs for e in drawn]), self.device),
            as_tensor(np.array(levels), self.device) if levels else None,
            as_tensor(np.stack([e.target for e in drawn]), self.device),
        )

    def _one(self, k: int, z: int, rng: np.random.Generator) -> Example:
        where = window(self.stack.inside[z], self.patch, rng)
        return self.example(Cut(k, z, where, drawn_flips(rng)), rng)
