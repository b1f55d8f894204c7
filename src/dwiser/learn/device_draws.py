"""Batches drawn where the network is: x and x' stay on the device, and nothing waits for it.

The law of the draws is NumPy's (`learn.pairs`, `learn.patches`), which stays the reference; the
numbers are others. They come from one generator, keyed by the seed, the purpose and the iteration.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dwiser.chain.fusion import forward, fuse, fusion_weights
from dwiser.learn.pairs import PairDraw, interval, last_step
from dwiser.learn.patches import CutDraw
from dwiser.learn.step import Batch
from dwiser.learn.where_drawn import Draw, where_possible
from dwiser.prepare.stack import Stack
from dwiser.seeds import stream

KEY_BITS = 63  # of the generator's seed


@dataclass(frozen=True, eq=False)
class DeviceStack:
    """What of a stack the draws need, on the device.

    Parameters
    ----------
    target, neighbour : (K, Z, H, W), x and x'. inside : (Z, H, W), the mask.
    items : (n, 2), volume's place and slice.
    centres : (c,), the flat pixels where patches may be centred, slice after slice;
        ``first`` and ``count`` (Z,) say which are a slice's: its mask, or all without one.
    """

    target: Float[Tensor, "k z h w"]
    neighbour: Float[Tensor, "k z h w"]
    inside: Bool[Tensor, "z h w"]
    items: Int[Tensor, "n 2"]
    centres: Int[Tensor, "c"]
    first: Int[Tensor, "z"]
    count: Int[Tensor, "z"]

    @classmethod
    def of(cls, stack: Stack, device: str) -> "DeviceStack":
        """A stack's arrays, copied once; x' that is x is not copied twice."""
        pixels = [
            np.flatnonzero(part) if part.any() else np.arange(part.size) for part in stack.inside
        ]
        count = np.array([len(p) for p in pixels])
        target = torch.from_numpy(stack.target).to(device)
        alone = stack.neighbour is stack.target
        return cls(
            target,
            target if alone else torch.from_numpy(stack.neighbour).to(device),
            torch.from_numpy(stack.inside).to(device),
            torch.from_numpy(stack.items.astype(np.int64)).to(device),
            torch.from_numpy(np.concatenate(pixels).astype(np.int64)).to(device),
            torch.from_numpy((np.cumsum(count) - count).astype(np.int64)).to(device),
            torch.from_numpy(count.astype(np.int64)).to(device),
        )


@dataclass(frozen=True, eq=False)
class DeviceCuts:
    """Windows of a batch's slices, flipped: the same for every image of an item.

    ``k`` and ``z`` are (B,); ``rows`` (B, h) and ``columns`` (B, w) index the slice, backwards
    where it is flipped; ``flips`` (B,) say which of the chain's four flips that is.
    """

    k: Int[Tensor, "b"]
    z: Int[Tensor, "b"]
    rows: Int[Tensor, "b h"]
    columns: Int[Tensor, "b w"]
    flips: Int[Tensor, "b"]

    def of(self, images: Float[Tensor, "k z y x"]) -> Float[Tensor, "b h w"]:
        """The cut-outs of the items' own slices."""
        return self.of_volumes(images, self.k)

    def of_volumes(
        self, images: Float[Tensor, "k z y x"], k: Int[Tensor, "b"]
    ) -> Float[Tensor, "b h w"]:
        """The cut-outs of the same slices of other volumes."""
        return images[(k[:, None, None], self.z[:, None, None], *self._pixels)]

    def of_mask(self, inside: Bool[Tensor, "z y x"]) -> Bool[Tensor, "b h w"]:
        """The cut-outs of the mask."""
        return inside[(self.z[:, None, None], *self._pixels)]

    @property
    def _pixels(self) -> tuple[Tensor, Tensor]:
        return self.rows[:, :, None], self.columns[:, None, :]


def keyed(generator: torch.Generator, seed: int, purpose: str, *place: int) -> torch.Generator:
    """The generator at the beginning of a place's numbers, say an iteration's; without waiting."""
    key = int(stream(seed, purpose, *place).integers(2**KEY_BITS))
    return generator.manual_seed(key)


def drawn_cuts(stack: DeviceStack, batch: int, patch: int | None, g: torch.Generator) -> DeviceCuts:
    """Items, windows centred in the mask (whole slices without ``patch``), flips of one half."""
    k, z = stack.items[_integers(len(stack.items), batch, g)].unbind(1)
    height, width = stack.inside.shape[1:]
    uniform = torch.rand(batch, generator=g, device=g.device, dtype=torch.float64)
    centre = stack.centres[stack.first[z] + (uniform * stack.count[z]).long()]
    flips = torch.rand(2, batch, 1, generator=g, device=g.device) < 0.5
    at = centre // width, centre % width
    rows, columns = (
        window_indices(place, size, patch, flip)
        for place, size, flip in zip(at, (height, width), flips, strict=True)
    )
    return DeviceCuts(k, z, rows, columns, (flips[0] + 2 * flips[1])[:, 0])


def _integers(high: int, count: int, g: torch.Generator) -> Int[Tensor, "b"]:
    return torch.randint(high, (count,), generator=g, device=g.device)


def window_indices(
    centre: Int[Tensor, "b"], size: int, patch: int | None, flip: Bool[Tensor, "b 1"]
) -> Int[Tensor, "b n"]:
    """Indices along one axis, as `patches.window` has them; backwards where flipped."""
    edge = size if patch is None else min(patch, size)
    start = (centre - edge // 2).clamp(0, size - edge) if patch is not None else 0 * centre
    indices = start[:, None] + torch.arange(edge, device=centre.device)
    return torch.where(flip, indices.flip(1), indices)


def shuffled(
    difference: Float[Tensor, "b h w"],
    keys: Float[Tensor, "b2 n"],
    inside: Bool[Tensor, "b h w"] | None = None,
    refill: Float[Tensor, "b n"] | None = None,
) -> Float[Tensor, "b h w"]:
    """`chain.fusion.shuffle_noise` of a batch: pixels in the order of random keys.

    Parameters
    ----------
    keys : (B, H·W) uniform numbers, or (1, H·W) for one order of the whole batch.
    inside : if not None, only these pixels are centred and shuffled (all in a slice without).
    refill : uniform numbers that choose what fills the pixels outside.
    """
    flat = difference.flatten(1)
    keys = keys.expand_as(flat)
    if inside is None or refill is None:
        flat = flat - flat.mean(1, keepdim=True)
        return flat.gather(1, keys.argsort(1)).view_as(difference)
    flat = flat - mean_within(difference, inside)[:, 0]
    return flat.gather(1, places_within(keys, inside, refill)).view_as(difference)


def places_within(
    keys: Float[Tensor, "b n"], inside: Bool[Tensor, "b h w"], refill: Float[Tensor, "b n"]
) -> Int[Tensor, "b n"]:
    """Which flat pixel each pixel's noise comes from, as `shuffled` takes it from a mask."""
    chosen = inside.flatten(1)
    chosen = chosen | ~chosen.any(1, keepdim=True)
    order = torch.where(chosen, keys, keys + 1).argsort(1)  # the mask's pixels at random first
    rank = chosen.cumsum(1) - 1  # which of the mask's pixels each is
    drawn = (refill.double() * chosen.sum(1, keepdim=True)).long()
    return order.gather(1, torch.where(chosen, rank, drawn))


def mean_within(
    images: Float[Tensor, "b h w"], inside: Bool[Tensor, "b h w"] | None
) -> Float[Tensor, "b 1 1"]:
    """The mean that `shuffled` takes away: of the pixels inside; of all in an image without."""
    if inside is None:
        return images.mean((1, 2), keepdim=True)
    chosen = inside | ~inside.any(-1, keepdim=True).any(-2, keepdim=True)
    total = torch.where(chosen, images, 0).sum((1, 2), keepdim=True)
    return total / chosen.sum((1, 2), keepdim=True)


@dataclass(frozen=True, eq=False)
class DevicePairDraw:
    """`learn.pairs.PairDraw` on its device: the same law, other numbers."""

    draw: PairDraw
    stack: DeviceStack
    table: Float[Tensor, "4 t"]
    generator: torch.Generator = field(repr=False)
    conditions: Float[Tensor, "k 4 c"] | None = None

    @classmethod
    def of(cls, draw: PairDraw) -> "DevicePairDraw":
        """Copies the stack to the draw's device, once."""
        t = np.arange(1, last_step(draw) + 1)
        rows = (
            *interval(draw.schedule, t, draw.step_interval),
            *fusion_weights(draw.schedule, t),
        )
        table = torch.from_numpy(np.stack(rows).astype(np.float32)).to(draw.device)
        stack = DeviceStack.of(draw.stack, draw.device)
        conditions = None if draw.conditions is None else torch.from_numpy(draw.conditions)
        on = None if conditions is None else conditions.to(draw.device)
        return cls(draw, stack, table, torch.Generator(draw.device), on)

    def __call__(self, iteration: int) -> Batch:
        """The batch of an iteration."""
        draw, g = self.draw, keyed(self.generator, self.draw.seed, "training", iteration)
        shared = 1 if draw.shared_step else draw.batch
        step = _integers(self.table.shape[1], shared, g)
        low, high, lambda1, lambda2 = self.table[:, step].expand(-1, draw.batch)
        uniform = torch.rand(draw.batch, generator=g, device=g.device)
        level = low + (high - low) * uniform
        cuts = drawn_cuts(self.stack, draw.batch, draw.patch, g)
        x, partner = cuts.of(self.stack.target), cuts.of(self.stack.neighbour)
        xi = self._noise(x - partner, cuts, g)
        column = (slice(None), None, None)
        state = forward(
            fuse(x, partner, lambda1[column], lambda2[column], draw.fusion), xi, level[column]
        )
        if self.conditions is not None:
            level = torch.cat([level[:, None], self.conditions[cuts.k, cuts.flips]], dim=1)
        return Batch(channels_last(state), level, channels_last(x))

    def _noise(
        self, difference: Float[Tensor, "b h w"], cuts: DeviceCuts, g: torch.Generator
    ) -> Float[Tensor, "b h w"]:
        draw, pixels = self.draw, difference[0].numel()
        if draw.noise == "gaussian":
            return torch.randn(difference.shape, generator=g, device=g.device)
        orders = 1 if draw.shared_step else draw.batch
        keys = torch.rand(orders, pixels, generator=g, device=g.device)
        if not draw.within:
            return shuffled(difference, keys)
        refill = torch.rand(draw.batch, pixels, generator=g, device=g.device)
        return shuffled(difference, keys, cuts.of_mask(self.stack.inside), refill)


Examples = Callable[[DeviceCuts, torch.Generator], Batch]


@dataclass(frozen=True, eq=False)
class DeviceCutDraw:
    """`learn.patches.CutDraw` on the device.

    ``examples`` gives inputs (B, C, h, w), levels and targets (B, 1, h, w) of a batch's cuts.
    """

    stack: DeviceStack
    examples: Examples
    seed: int
    batch: int
    patch: int | None
    generator: torch.Generator = field(repr=False)
    purpose: str = "training"

    def __call__(self, iteration: int) -> Batch:
        """The batch of an iteration."""
        g = keyed(self.generator, self.seed, self.purpose, iteration)
        batch = self.examples(drawn_cuts(self.stack, self.batch, self.patch, g), g)
        last = torch.channels_last
        return Batch(
            batch.inputs.contiguous(memory_format=last),
            batch.level,
            batch.targets.contiguous(memory_format=last),
        )


def channels_last(images: Float[Tensor, "b h w"]) -> Float[Tensor, "b 1 h w"]:
    """Images of one channel, as networks take them."""
    return images[:, None].contiguous(memory_format=torch.channels_last)


def on_device(draw: PairDraw) -> Draw:
    """The draw on the network's GPU, if that gives one; NumPy's elsewhere."""
    return where_possible(draw, draw.device, lambda: DevicePairDraw.of(draw))


def cuts_on_device(draw: CutDraw, examples: Callable[[DeviceStack], Examples]) -> Draw:
    """As `on_device`; ``examples`` are the draw's own, of a stack on the device."""
    return where_possible(draw, draw.device, lambda: cut_draw(draw, examples))


def cut_draw(draw: CutDraw, examples: Callable[[DeviceStack], Examples]) -> DeviceCutDraw:
    """The draw on its device; copies the stack there, once."""
    stack = DeviceStack.of(draw.stack, draw.device)
    return DeviceCutDraw(
        stack, examples(stack), draw.seed, draw.batch, draw.patch,
        torch.Generator(draw.device), draw.purpose,
    )  # fmt: skip
