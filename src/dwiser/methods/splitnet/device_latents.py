"""splitnet's batches drawn where the network is; `latents` and `latent_chain` are the reference.

The law of the draws is theirs, the numbers are others: from one generator, keyed by the seed and
the iteration. Nothing waits for the device.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dwiser.chain.fusion import fusion_weights
from dwiser.chain.walk import START
from dwiser.learn.device_draws import keyed, places_within, window_indices
from dwiser.learn.step import Batch
from dwiser.learn.where_drawn import Draw, where_possible
from dwiser.methods.splitnet.device_subspace import DeviceSplits, DeviceSubspace
from dwiser.methods.splitnet.latent_chain import ChainDraw
from dwiser.methods.splitnet.latents import LatentDraw


@dataclass(frozen=True, eq=False)
class Shown:
    """What the network is shown of a batch's patches, and of which volumes it is.

    ``z`` (B, h, w, K) float32, ``level`` (B, K) the sd of its error.
    """

    z: Float[Tensor, "b h w k"]
    level: Float[Tensor, "b k"]
    volumes: Bool[Tensor, "b m"]


@dataclass(frozen=True, eq=False)
class DeviceLatentDraw:
    """`latents.LatentDraw` on its device.

    Parameters
    ----------
    y : (Z, H, W, M) float32. inside : (Z, H, W), the mask.
    centres : (n,), the mask's flat voxels.
    """

    draw: LatentDraw
    y: Float[Tensor, "z h w m"]
    inside: Bool[Tensor, "z h w"]
    centres: Int[Tensor, "n"]
    subspace: DeviceSubspace
    splits: DeviceSplits
    generator: torch.Generator = field(repr=False)

    @classmethod
    def of(cls, draw: LatentDraw) -> "DeviceLatentDraw":
        """Copies the scan to the draw's device, once."""
        device = draw.device
        arrays = draw.y, draw.inside, np.flatnonzero(draw.inside)
        y, inside, centres = (torch.from_numpy(a).to(device) for a in arrays)
        return cls(
            draw, y, inside, centres, DeviceSubspace.of(draw.subspace, device),
            DeviceSplits.of(draw.groups, draw.subspace.volumes, device), torch.Generator(device),
        )  # fmt: skip

    def __call__(self, iteration: int) -> Batch:
        """The batch of an iteration."""
        g = keyed(self.generator, self.draw.seed, "splits", iteration)
        place = self._places(g)
        y, inside = self.y[place], self.inside[place]
        shown = self._shown(y, inside, g)
        weights = (inside[..., None] & ~shown.volumes[:, None, None]).float()
        weights = weights * (weights.numel() / weights.sum().clamp(min=1))
        images = (_channels_first(a) for a in (shown.z, y, weights))
        z, targets, counted = images
        return Batch(z, shown.level.float(), targets, counted)

    def _shown(
        self, y: Float[Tensor, "b h w m"], inside: Bool[Tensor, "b h w"], g: torch.Generator
    ) -> Shown:
        every = torch.ones(len(y), y.shape[-1], dtype=torch.bool, device=y.device)
        chosen = self.splits.split(every, g)
        matrix, spread = self.subspace.posterior(chosen)
        return Shown(_mixed(y, matrix.mT), _sd(spread), chosen)

    def _places(
        self, g: torch.Generator
    ) -> tuple[Int[Tensor, "b 1 1"], Int[Tensor, "b h w"], Int[Tensor, "b h w"]]:
        """Slices, rows and columns of square patches centred in the mask.

        Each is turned by one of the eight symmetries of a square: its axes flipped and exchanged.
        """
        batch, (height, width) = self.draw.batch, self.inside.shape[1:]
        edge = min(self.draw.patch, height, width)
        at = torch.randint(len(self.centres), (batch,), generator=g, device=g.device)
        centre = self.centres[at]
        z, pixel = centre // (height * width), centre % (height * width)
        turns = torch.rand(3, batch, 1, generator=g, device=g.device) < 0.5
        rows = window_indices(pixel // width, height, edge, turns[0])
        columns = window_indices(pixel % width, width, edge, turns[1])
        exchanged = turns[2][:, :, None]
        down, across = (slice(None), slice(None), None), (slice(None), None)
        return (
            z[:, None, None],
            torch.where(exchanged, rows[across], rows[down]),
            torch.where(exchanged, columns[down], columns[across]),
        )


@dataclass(frozen=True, eq=False)
class DeviceChainDraw(DeviceLatentDraw):
    """`latent_chain.ChainDraw` on its device."""

    table: Float[Tensor, "4 t"] = field(kw_only=True)

    @classmethod
    def of(cls, draw: LatentDraw) -> "DeviceChainDraw":
        """Copies the scan to the draw's device, once, and what each step t weighs and adds."""
        assert isinstance(draw, ChainDraw)
        base = DeviceLatentDraw.of(draw)
        t = np.arange(1, START + 1)
        schedule = draw.schedule
        rows = schedule.level(t + 1), schedule.level(t), *fusion_weights(schedule, t)
        table = torch.from_numpy(np.stack(rows)).to(draw.device)
        return cls(
            draw, base.y, base.inside, base.centres, base.subspace, base.splits, base.generator,
            table=table,
        )  # fmt: skip

    def _shown(
        self, y: Float[Tensor, "b h w m"], inside: Bool[Tensor, "b h w"], g: torch.Generator
    ) -> Shown:
        batch, column = len(y), (slice(None), None, None)
        step = torch.randint(START, (batch,), generator=g, device=g.device)
        low, high, weight_b, weight_a = self.table[:, step]
        uniform = torch.rand(batch, generator=g, device=g.device, dtype=torch.float64)
        s = low + (high - low) * uniform
        weight_b, weight_a, square = (v[column] for v in (weight_b, weight_a, (1 - s**2) / s**2))
        a, b = self.splits.in_three(batch, g)
        (of_a, spread_a), (of_b, spread_b) = (self.subspace.posterior(v) for v in (a, b))
        shared = spread_a / self.subspace.signal @ spread_b
        error = (
            weight_b**2 * spread_b
            + (weight_a**2 + square) * spread_a
            + weight_b * weight_a * (shared + shared.mT)
        )
        xi = self._noise(y, inside, a | b, spread_a, g)
        fused = _mixed(y, (weight_b * of_b + weight_a * of_a).mT)
        return Shown(fused + square.sqrt().float()[..., None] * xi, _sd(error), a | b)

    def _noise(
        self,
        y: Float[Tensor, "b h w m"],
        inside: Bool[Tensor, "b h w"],
        chosen: Bool[Tensor, "b m"],
        covariance: Float[Tensor, "b k k"],
        g: torch.Generator,
    ) -> Float[Tensor, "b h w k"]:
        """`latent_chain.shuffled_noise` of each item."""
        colour = torch.linalg.cholesky_ex(covariance)[0].mT
        noise = _mixed(y, self.subspace.noise_alone(chosen, g) @ colour)
        within = inside[..., None]
        mean = torch.where(within, noise, 0).sum((1, 2)) / inside.sum((1, 2))[:, None]
        flat = (noise - mean[:, None, None]).flatten(1, 2)
        keys = torch.rand(flat.shape[:2], generator=g, device=g.device)
        order = places_within(keys, inside, keys)  # off the mask it does not matter
        return flat.gather(1, order[:, :, None].expand_as(flat)).view_as(noise) * within


def on_device(draw: LatentDraw) -> Draw:
    """The draw on the network's GPU, if that gives one; NumPy's elsewhere."""
    kind = DeviceChainDraw if isinstance(draw, ChainDraw) else DeviceLatentDraw
    return where_possible(draw, draw.device, lambda: kind.of(draw))


def _mixed(y: Float[Tensor, "b h w m"], matrix: Float[Tensor, "b m k"]) -> Float[Tensor, "b h w k"]:
    """y @ matrix of each item, in float32."""
    return (y.flatten(1, 2) @ matrix.float()).unflatten(1, y.shape[1:3])


def _sd(covariance: Float[Tensor, "b k k"]) -> Float[Tensor, "b k"]:
    return covariance.diagonal(dim1=1, dim2=2).sqrt()


def _channels_first(images: Float[Tensor, "b h w c"]) -> Float[Tensor, "b c h w"]:
    """(B, C, H, W), channels-last in memory."""
    return images.movedim(-1, 1).contiguous(memory_format=torch.channels_last)
