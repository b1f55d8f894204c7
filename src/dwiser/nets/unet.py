"""The paper's network: a U-Net conditioned on the noise level (Di-Fusion, ICLR 2025)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dwiser.nets.conditions import ConditionEmbedding, split
from dwiser.nets.layers import as_autocast, full_precision
from dwiser.nets.norm import NormSiLU
from dwiser.seeds import stream

BASE = 32  # channels at full resolution; with the multipliers: 32/64/128/256/256
MULTIPLIERS = (1, 2, 4, 8, 8)
BLOCKS = 2  # residual blocks a level on the way down; one more on the way up
GROUPS = 32  # of every GroupNorm
ATTENTION_LEVEL = 3  # 1/8 of the resolution
EMBEDDING_DECADES = 4.0  # frequencies 10^(−4k/16) fall from 1 by four powers of ten
EMBEDDING_WIDENING = 4  # the embedding's hidden layer: 32 → 128 → 32


class LevelEmbedding(nn.Module):
    """Noise level → vector: sines and cosines of 16 frequencies, then two linear layers."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        count = width // 2
        exponents = -EMBEDDING_DECADES * torch.arange(count, dtype=torch.float64) / count
        self.register_buffer("frequencies", (10.0**exponents).float(), persistent=False)
        self.widen = nn.Linear(width, EMBEDDING_WIDENING * width)
        self.narrow = nn.Linear(EMBEDDING_WIDENING * width, width)

    def forward(self, level: Float[Tensor, "b"]) -> Float[Tensor, "b e"]:
        angle = level.to(self.frequencies.dtype)[:, None] * self.frequencies
        waves = torch.cat([angle.sin(), angle.cos()], dim=1)
        return self.narrow(F.silu(self.widen(waves)))


class Attention(nn.Module):
    """Single-head self-attention over the pixels, added to its input."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width)
        self.qkv = nn.Conv2d(width, 3 * width, 1, bias=False)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        tokens = self.qkv(self.norm(x)).flatten(2).transpose(1, 2)
        query, key, value = tokens.unsqueeze(1).chunk(3, dim=-1)
        # One head: its scale is 1/√C by default.
        mixed = F.scaled_dot_product_attention(query, key, value).squeeze(1)
        return x + self.out(mixed.transpose(1, 2).unflatten(2, x.shape[2:]))


class Block(nn.Module):
    """Residual block; the noise level is added between its two convolutions."""

    def __init__(
        self, width_in: int, width: int, embedding: int | None, groups: int, attention: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = NormSiLU(groups, width_in)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.level = None if embedding is None else nn.Linear(embedding, width)
        self.norm2 = NormSiLU(groups, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Identity() if width_in == width else nn.Conv2d(width_in, width, 1)
        self.attention = Attention(width, groups) if attention else nn.Identity()

    def forward(
        self, x: Float[Tensor, "b c h w"], embedded: Float[Tensor, "b e"] | None
    ) -> Float[Tensor, "b d h w"]:
        h = self.conv1(self.norm1(x))
        shift = None
        if self.level is not None:
            with full_precision(x.device):
                shift = self.level(embedded)
        h = self.conv2(self.norm2(h, shift))
        return self.attention(h + self.shortcut(x))


class Upsample(nn.Module):
    """Nearest-neighbour doubling, then a convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class UNet(nn.Module):
    """Di-Fusion's U-Net; with its defaults, 24 472 161 parameters.

    Parameters
    ----------
    in_channels, out_channels : 1 and 1: one slice in, its clean image out.
    base, multipliers : channels at full resolution, and their multiple at each level.
    blocks : residual blocks a level on the way down; ``blocks + 1`` on the way up.
    groups : of every GroupNorm; must divide every width.
    attention_level : the level (0 is full resolution) whose blocks attend.
    conditioned : whether the network takes the noise level. Without it (Noise2Noise)
        there is no embedding, and ``forward(x)`` takes the image alone.
    conditions : how many numbers a conditioned network is told beside each level, in columns
        after it; 0, the paper's: none.
    seed : of the orthogonal initialisation; biases start at 0.

    Notes
    -----
    Any height and width of at least 1 pixel will do: on the way up an image is resized
    (nearest) to the skip it meets. Where a GroupNorm has one channel a group (width 32 at
    full resolution with the defaults), it removes whatever is constant over the image, so
    the level, added as a constant, reaches the image from the second level down only.

    Source: Wu et al., ICLR 2025 (arXiv 2501.13514), after SR3 (Saharia et al. 2021).
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        base: int = BASE,
        multipliers: tuple[int, ...] = MULTIPLIERS,
        *,
        blocks: int = BLOCKS,
        groups: int = GROUPS,
        attention_level: int = ATTENTION_LEVEL,
        conditioned: bool = True,
        conditions: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        widths = [base * m for m in multipliers]
        embedding = base if conditioned else None
        self.embed = LevelEmbedding(base) if conditioned else None
        self.stem = nn.Conv2d(in_channels, base, 3, padding=1)
        skips, width = [base], base
        self.down = nn.ModuleList()
        for i, target in enumerate(widths):
            for _ in range(blocks):
                self.down.append(Block(width, target, embedding, groups, i == attention_level))
                width = target
                skips.append(width)
            if i < len(widths) - 1:
                self.down.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)
        self.middle = nn.ModuleList(
            Block(width, width, embedding, groups, attention) for attention in (True, False)
        )
        self.up = nn.ModuleList()
        for i, target in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                width_in = width + skips.pop()
                self.up.append(Block(width_in, target, embedding, groups, i == attention_level))
                width = target
            if i > 0:
                self.up.append(Upsample(width))
        self.norm = NormSiLU(groups, width)
        self.head = nn.Conv2d(width, out_channels, 3, padding=1)
        self.count = conditions if conditioned else 0
        self.conditions = ConditionEmbedding(self.count, base) if self.count else None
        _initialise(self, seed)
        if self.conditions is not None:
            self.conditions.silence()

    def forward(
        self, x: Float[Tensor, "b i h w"], level: Float[Tensor, "b *k"] | None = None
    ) -> Float[Tensor, "b o h w"]:
        """The clean image F(x, level).

        ``x`` holds images in [−1, 1]; ``level`` is √ᾱ of each, needed by a conditioned
        network and refused by the other (ValueError); with ``conditions``, (B, 1 + C).
        """
        if (level is None) is not (self.embed is None):
            raise ValueError("a conditioned network needs a level, and no other takes one")
        with full_precision(x.device):
            embedded = None if self.embed is None or level is None else self._embedded(level)
            h = self.stem(x)
        h = as_autocast(h)
        skips = [h]
        for layer in self.down:
            h = layer(h, embedded) if isinstance(layer, Block) else layer(h)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, embedded)
        for layer in self.up:
            if isinstance(layer, Upsample):
                h = layer(h)
                continue
            skip = skips.pop()
            if h.shape[2:] != skip.shape[2:]:
                h = F.interpolate(h, size=skip.shape[2:], mode="nearest")
            h = layer(torch.cat([h, skip], dim=1), embedded)
        with full_precision(x.device):
            return self.head(self.norm(h.float()))

    def _embedded(self, level: Float[Tensor, "b *k"]) -> Float[Tensor, "b e"]:
        level, conditions = split(level, self.count)
        assert self.embed is not None
        vector: Tensor = self.embed(level)
        if self.conditions is not None:
            vector = vector + self.conditions(conditions)
        return vector


def _initialise(network: nn.Module, seed: int) -> None:
    """Orthogonal weights and zero biases, from ``seed`` alone."""
    key = int(stream(seed, "network weights").integers(2**63))
    generator = torch.Generator().manual_seed(key)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
