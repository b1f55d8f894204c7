"""The fast network: a half-resolution trunk, no normalisation, under 30 kFLOP a pixel.

Built for CPUs, where normalisation layers and full-resolution activations cost as much
memory traffic as the convolutions cost arithmetic.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dwiser.nets.conditions import ConditionEmbedding, split
from dwiser.nets.layers import Pointwise, as_autocast, full_precision

UNCONDITIONED_LEVEL = 0.999  # the level of a network that takes none: any constant will do
FREQUENCIES = 8  # of the level embedding; the latter steps span a narrow range of levels


def silence(layer: nn.Conv2d) -> None:
    """Start a layer at zero: what it adds to is then the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Embedding(nn.Module):
    """The noise-to-signal ratio τ = √(1−s²)/s of a level s, as sines and cosines of log τ."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * FREQUENCIES, width)

    def forward(self, level: Float[Tensor, "b"]) -> Float[Tensor, "b c"]:
        tau = torch.sqrt((1 - level**2).clamp(min=1e-6)) / level
        angle = tau.log()[:, None] * 2.0 ** torch.arange(
            FREQUENCIES, device=level.device, dtype=level.dtype
        ).sub(3)
        return self.linear(torch.cat([angle.sin(), angle.cos()], 1))


class Block(nn.Module):
    """Two 3×3 convolutions with a residual, shifted by the embedding in the middle."""

    def __init__(self, width: int, embedded: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.shift = nn.Linear(embedded, width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        silence(self.second)

    def forward(
        self, x: Float[Tensor, "b c h w"], embedded: Float[Tensor, "b e"]
    ) -> Float[Tensor, "b c h w"]:
        with full_precision(x.device):
            shift = self.shift(embedded)[:, :, None, None]
        inner = self.first(functional.relu(x)) + shift
        return self.second(functional.relu(inner, inplace=True)) + x


class Compact(nn.Module):
    """x_t and its level → x_out, in [−1, 1] units; any size.

    Parameters
    ----------
    width : channels at half resolution; twice as many at a quarter.
    centre, spread : mean of the images and sd of what is to be removed; the network sees
        (x/s − centre)/spread and its output is x/s + spread·net(·), the identity at the
        start (the last layer is zero).
    channels : images in; x/s above is then their mean, and the network sees each of them.
    noise, images : sd of the chain's noise ξ where it dwarfs the images (DDM2's), and of the
        images. With N = noise·τ, τ² = (1−s²)/s², D = images and the share g = D²/(N²+D²), the
        network then sees (x/s − centre)/√(spread² + N²), and the output is the linear
        estimate centre + g·(x/s − centre) plus √(spread² + g·N²)·net(·).
    conditions : how many numbers F is told beside each level, in columns after it; 0: none.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        width: int = 32,
        centre: float = 0.0,
        spread: float = 1.0,
        *,
        channels: int = 1,
        noise: float = 0.0,
        images: float = torch.inf,
        conditions: int = 0,
    ) -> None:
        super().__init__()
        self.noise, self.images, self.count = noise, images, conditions
        self.register_buffer("centre", torch.tensor(centre))
        self.register_buffer("spread", torch.tensor(spread))
        self.embedding = Embedding(width)
        self.stem = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.enter = Block(width, width)
        self.down = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.deep = Block(2 * width, width)
        self.up = Pointwise(2 * width, width)
        self.leave = Block(width, width)
        self.head = Pointwise(width, 4)
        silence(self.head)
        self.conditions = ConditionEmbedding(conditions, width) if conditions else None

    def forward(
        self, x: Float[Tensor, "b c h w"], level: Float[Tensor, "b *k"] | None = None
    ) -> Float[Tensor, "b 1 h w"]:
        h, w = x.shape[-2:]
        conditions = None
        if level is None:
            level, images = x.new_full((len(x),), UNCONDITIONED_LEVEL), x
        else:
            level, conditions = split(level, self.count)
            images = x / level[:, None, None, None]
        input_scale, share, output_scale = self._scales(level)
        padded = functional.pad(images, (0, -w % 4, 0, -h % 4), mode="replicate")
        half = functional.pixel_unshuffle((padded - self.centre) / input_scale, 2)
        with full_precision(x.device):
            embedded = self.embedding(level)
            if self.conditions is not None and conditions is not None:
                embedded = embedded + self.conditions(conditions)
            stem = self.stem(half.contiguous(memory_format=torch.channels_last))
        shallow = self.enter(as_autocast(stem), embedded)
        deep = self.deep(self.down(shallow), embedded)
        up = functional.interpolate(self.up(deep), scale_factor=2, mode="nearest")
        features = self.leave(shallow + up, embedded)
        with full_precision(x.device):
            change = functional.pixel_shuffle(self.head(features.float()), 2)
        image = images.mean(1, keepdim=True)
        if share is None:
            return image + output_scale * change[..., :h, :w]
        guess = self.centre + share * (image - self.centre)
        return guess + output_scale * change[..., :h, :w]

    def _scales(self, level: Float[Tensor, "b"]) -> tuple[Tensor, Tensor | None, Tensor]:
        """What the input is divided by, the images' share g (None: all), the output's scale."""
        if self.noise == 0:
            return self.spread, None, self.spread
        square = self.noise**2 * ((1 - level**2).clamp(min=0) / level**2)[:, None, None, None]
        share = self.images**2 / (square + self.images**2)
        output_scale = (self.spread**2 + share * square).sqrt()
        return (self.spread**2 + square).sqrt(), share, output_scale


def flops_per_pixel(width: int = 32) -> float:
    """Floating-point operations a full-resolution pixel of one forward pass.

    Two a multiply-add, convolutions only; half resolution has a quarter of the pixels.
    """
    half = 9 * 4 * width + 4 * 9 * width**2 + width * 4
    quarter = 4 * width * 2 * width + 2 * 9 * (2 * width) ** 2 + 2 * width * width
    return 2 * (half / 4 + quarter / 16)
