"""GroupNorm and SiLU in one: Triton kernels over channels-last images, forward and backward.

Written for memory traffic, which is where a GPU's time goes in both: an image is read twice and
written once (its gradient: read twice more), in its own type; PyTorch's two operations convert a
channels-last image to channels-first and back, and in bfloat16 to float32 and back. All arithmetic
is float32, and no sum depends on which program ends first: the same input gives the same bits.

NVIDIA's apex has such an operation too, but only for channels from 128 on, so that most of the
paper's layers would not have it, and it must be compiled with CUDA where it is installed.

Importing this module needs Triton, which comes with PyTorch's builds for CUDA.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

TILE = 8192  # numbers of a program's tile: 32 a thread
CHANNELS = 64  # most of a tile
WARPS = 8
CHUNKS = 64  # whose sums are added at a time


@triton.jit
def _tile(b, chunk, P, C, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr):
    """Where a tile's numbers are in an image, whether they exist, and its channels."""
    c = tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)
    p = chunk * BLOCK_P + tl.arange(0, BLOCK_P)
    exists = (p < P)[:, None] & (c < C)[None, :]
    return b.to(tl.int64) * P * C + p[:, None] * C + c[None, :], exists, c


@triton.jit
def _shifted(x, shift, at, exists, b, c, C, SHIFTED: tl.constexpr):
    """x of a tile in float32, with the shift of its channels."""
    values = tl.load(x + at, exists, 0.0).to(tl.float32)
    if SHIFTED:
        values += tl.load(shift + b * C + c, c < C, 0.0).to(tl.float32)[None, :]
    return values


@triton.jit
def _affine(weight, bias, mean, rstd, b, c, C, GROUP: tl.constexpr):
    """Weight and bias of the channels; mean and 1/sd of their groups."""
    group = b * (C // GROUP) + c // GROUP
    return (
        tl.load(weight + c, c < C, 0.0).to(tl.float32)[None, :],
        tl.load(bias + c, c < C, 0.0).to(tl.float32)[None, :],
        tl.load(mean + group, c < C, 0.0)[None, :],
        tl.load(rstd + group, c < C, 0.0)[None, :],
    )


@triton.jit
def _chunk_moments(
    x, shift, chunk_mean, chunk_square, P, C,
    SHIFTED: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Of each channel of a chunk of pixels: the mean, and the sum of squares about it."""
    chunk, b = tl.program_id(0), tl.program_id(1)
    at, exists, c = _tile(b, chunk, P, C, BLOCK_P, BLOCK_C)
    values = tl.where(exists, _shifted(x, shift, at, exists, b, c, C, SHIFTED), 0.0)
    mean = tl.sum(values, 0) / tl.minimum(P - chunk * BLOCK_P, BLOCK_P)
    about = tl.where(exists, values - mean[None, :], 0.0)
    place = (b * tl.num_programs(0) + chunk) * C + c
    tl.store(chunk_mean + place, mean, c < C)
    tl.store(chunk_square + place, tl.sum(about * about, 0), c < C)


@triton.jit
def _group_moments(
    chunk_mean, chunk_square, channel_mean, mean, rstd, P, C, chunks, eps,
    GROUP: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Of one group of one image: the mean of each channel, the group's mean and 1/sd.

    The chunks' moments are put together as Chan, Golub, LeVeque 1979 have it: no difference of
    large sums is taken.
    """
    g, b = tl.program_id(0), tl.program_id(1)
    within = tl.arange(0, BLOCK_G)
    c = g * GROUP + within
    n = tl.arange(0, BLOCK_N)
    total = tl.zeros((BLOCK_G,), tl.float32)
    for first in range(0, chunks, BLOCK_N):
        exists = (first + n < chunks)[:, None] & (within < GROUP)[None, :]
        place = (b * chunks + first + n)[:, None] * C + c[None, :]
        count = tl.minimum(P - (first + n) * BLOCK_P, BLOCK_P).to(tl.float32)[:, None]
        total += tl.sum(tl.load(chunk_mean + place, exists, 0.0) * count, 0)
    tl.store(channel_mean + b * C + c, total / P, within < GROUP)
    group_mean = tl.sum(total, 0) / P / GROUP
    square = tl.zeros((BLOCK_G,), tl.float32)
    for first in range(0, chunks, BLOCK_N):
        exists = (first + n < chunks)[:, None] & (within < GROUP)[None, :]
        place = (b * chunks + first + n)[:, None] * C + c[None, :]
        count = tl.minimum(P - (first + n) * BLOCK_P, BLOCK_P).to(tl.float32)[:, None]
        away = tl.where(exists, tl.load(chunk_mean + place, exists, 0.0) - group_mean, 0.0)
        square += tl.sum(tl.load(chunk_square + place, exists, 0.0) + away * away * count, 0)
    place = b * (C // GROUP) + g
    tl.store(mean + place, group_mean)
    tl.store(rstd + place, 1.0 / tl.sqrt(tl.sum(square, 0) / P / GROUP + eps))


@triton.jit
def _normalise(
    x, shift, weight, bias, mean, rstd, y, P, C,
    GROUP: tl.constexpr, SHIFTED: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """y = SiLU of the normalised image."""
    chunk, b = tl.program_id(0), tl.program_id(1)
    at, exists, c = _tile(b, chunk, P, C, BLOCK_P, BLOCK_C)
    w, offset, m, r = _affine(weight, bias, mean, rstd, b, c, C, GROUP)
    z = (_shifted(x, shift, at, exists, b, c, C, SHIFTED) - m) * r * w + offset
    tl.store(y + at, (z * tl.sigmoid(z)).to(y.dtype.element_ty), exists)


@triton.jit
def _before_silu(dy, at, exists, normalised, w, offset):
    """The gradient by what SiLU took, in a tile."""
    z = normalised * w + offset
    s = tl.sigmoid(z)
    return tl.load(dy + at, exists, 0.0).to(tl.float32) * s * (1.0 + z * (1.0 - s))


@triton.jit
def _chunk_gradients(
    x, shift, weight, bias, mean, rstd, dy, chunk_bias, chunk_weight, P, C,
    GROUP: tl.constexpr, SHIFTED: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """A chunk's part of the gradient by bias and by weight."""
    chunk, b = tl.program_id(0), tl.program_id(1)
    at, exists, c = _tile(b, chunk, P, C, BLOCK_P, BLOCK_C)
    w, offset, m, r = _affine(weight, bias, mean, rstd, b, c, C, GROUP)
    normalised = (_shifted(x, shift, at, exists, b, c, C, SHIFTED) - m) * r
    dz = _before_silu(dy, at, exists, normalised, w, offset)  # 0 where nothing exists
    place = (b * tl.num_programs(0) + chunk) * C + c
    tl.store(chunk_bias + place, tl.sum(dz, 0), c < C)
    tl.store(chunk_weight + place, tl.sum(dz * normalised, 0), c < C)


@triton.jit
def _group_gradients(
    chunk_bias, chunk_weight, weight, channel_mean, mean, rstd,
    image_bias, image_weight, share, slope, dshift, P, C, chunks,
    GROUP: tl.constexpr, SHIFTED: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Of one group of one image: its part of the gradients by bias and weight, by channel.

    And the means over the group of the gradient by the normalised image, alone (``share``) and
    times that image (``slope``); and the gradient by the channels' shift: that by x, summed over
    the pixels.
    """
    g, b = tl.program_id(0), tl.program_id(1)
    within = tl.arange(0, BLOCK_G)
    c = g * GROUP + within
    n = tl.arange(0, BLOCK_N)
    by_bias = tl.zeros((BLOCK_G,), tl.float32)
    by_weight = tl.zeros((BLOCK_G,), tl.float32)
    for first in range(0, chunks, BLOCK_N):
        exists = (first + n < chunks)[:, None] & (within < GROUP)[None, :]
        place = (b * chunks + first + n)[:, None] * C + c[None, :]
        by_bias += tl.sum(tl.load(chunk_bias + place, exists, 0.0), 0)
        by_weight += tl.sum(tl.load(chunk_weight + place, exists, 0.0), 0)
    channels = b * C + c
    tl.store(image_bias + channels, by_bias, within < GROUP)
    tl.store(image_weight + channels, by_weight, within < GROUP)
    w = tl.load(weight + c, within < GROUP, 0.0).to(tl.float32)
    alone = tl.sum(w * by_bias, 0) / P / GROUP
    times = tl.sum(w * by_weight, 0) / P / GROUP
    place = b * (C // GROUP) + g
    tl.store(share + place, alone)
    tl.store(slope + place, times)
    if SHIFTED:
        m, r = tl.load(mean + place), tl.load(rstd + place)
        normalised = (tl.load(channel_mean + channels, within < GROUP, 0.0) - m) * r
        by_shift = r * (w * by_bias - P * (alone + times * normalised))
        tl.store(dshift + channels, by_shift.to(dshift.dtype.element_ty), within < GROUP)


@triton.jit
def _by_image(
    x, shift, weight, bias, mean, rstd, share, slope, dy, dx, P, C,
    GROUP: tl.constexpr, SHIFTED: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """The gradient by x."""
    chunk, b = tl.program_id(0), tl.program_id(1)
    at, exists, c = _tile(b, chunk, P, C, BLOCK_P, BLOCK_C)
    w, offset, m, r = _affine(weight, bias, mean, rstd, b, c, C, GROUP)
    normalised = (_shifted(x, shift, at, exists, b, c, C, SHIFTED) - m) * r
    dz = _before_silu(dy, at, exists, normalised, w, offset)
    group = b * (C // GROUP) + c // GROUP
    alone = tl.load(share + group, c < C, 0.0)[None, :]
    times = tl.load(slope + group, c < C, 0.0)[None, :]
    gradient = r * (dz * w - alone - normalised * times)
    tl.store(dx + at, gradient.to(dx.dtype.element_ty), exists)


class _Tiling:
    """How an image (B, C, H, W) is cut for the kernels."""

    def __init__(self, x: Tensor, groups: int) -> None:
        self.images, self.channels = x.shape[:2]
        self.pixels = x.shape[2] * x.shape[3]
        self.groups = groups
        block_c = min(CHANNELS, triton.next_power_of_2(self.channels))
        block_p = min(TILE // block_c, triton.next_power_of_2(self.pixels))
        self.chunks = triton.cdiv(self.pixels, block_p)
        self.tiles = (self.chunks, self.images, triton.cdiv(self.channels, block_c))
        self.all_groups = (groups, self.images)
        self.group = {"GROUP": self.channels // groups}
        self.tile = {"BLOCK_P": block_p, "BLOCK_C": block_c, "num_warps": WARPS}
        self.pixels_a_chunk = {"BLOCK_P": block_p}
        self.sums = {
            "BLOCK_G": triton.next_power_of_2(self.channels // groups),
            "BLOCK_N": min(CHUNKS, triton.next_power_of_2(self.chunks)),
        }

    def empty(self, like: Tensor, *shape: int) -> Tensor:
        return torch.empty(self.images, *shape, device=like.device, dtype=torch.float32)


class _SiLUOfNorm(torch.autograd.Function):
    """SiLU(GroupNorm(x + shift)); the statistics are saved for the gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        shift: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        groups: int,
        eps: float,
        dtype: torch.dtype,
    ) -> Tensor:
        cut = _Tiling(x, groups)
        sizes, add = (cut.pixels, cut.channels), x if shift is None else shift
        shifted = {"SHIFTED": shift is not None}
        parts = [cut.empty(x, cut.chunks, cut.channels) for _ in range(2)]
        channel_mean = cut.empty(x, cut.channels)
        mean, rstd = cut.empty(x, groups), cut.empty(x, groups)
        y = torch.empty_like(x, dtype=dtype)
        _chunk_moments[cut.tiles](x, add, *parts, *sizes, **shifted, **cut.tile)
        _group_moments[cut.all_groups](
            *parts, channel_mean, mean, rstd, *sizes, cut.chunks, eps,
            **cut.group, **cut.pixels_a_chunk, **cut.sums,
        )  # fmt: skip
        _normalise[cut.tiles](
            x, add, weight, bias, mean, rstd, y, *sizes, **cut.group, **shifted, **cut.tile
        )
        ctx.save_for_backward(x, shift, weight, bias, channel_mean, mean, rstd)
        ctx.groups = groups
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, shift, weight, bias, channel_mean, mean, rstd = ctx.saved_tensors
        cut = _Tiling(x, ctx.groups)
        sizes, add = (cut.pixels, cut.channels), x if shift is None else shift
        shifted = {"SHIFTED": shift is not None}
        dy = dy.contiguous(memory_format=torch.channels_last)
        affine = (x, add, weight, bias, mean, rstd)
        parts = [cut.empty(x, cut.chunks, cut.channels) for _ in range(2)]
        by_bias, by_weight = (cut.empty(x, cut.channels) for _ in range(2))
        share, slope = cut.empty(x, cut.groups), cut.empty(x, cut.groups)
        dshift = None if shift is None else torch.empty_like(shift)
        dx = torch.empty_like(x)
        _chunk_gradients[cut.tiles](*affine, dy, *parts, *sizes, **cut.group, **shifted, **cut.tile)
        _group_gradients[cut.all_groups](
            *parts, weight, channel_mean, mean, rstd, by_bias, by_weight, share, slope,
            by_bias if dshift is None else dshift, *sizes, cut.chunks,
            **cut.group, **shifted, **cut.sums,
        )  # fmt: skip
        _by_image[cut.tiles](
            *affine, share, slope, dy, dx, *sizes, **cut.group, **shifted, **cut.tile
        )
        dweight, dbias = by_weight.sum(0).to(weight.dtype), by_bias.sum(0).to(bias.dtype)
        return dx, dshift, dweight, dbias, None, None, None


def silu_of_norm(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "c"],
    bias: Float[Tensor, "c"],
    groups: int,
    eps: float,
    *,
    shift: Float[Tensor, "b c"] | None = None,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "b c h w"]:
    """SiLU(GroupNorm(x + shift)), channels-last.

    Parameters
    ----------
    x : any floating type of at most 32 bits. shift : added to each channel before.
    groups : of channels; they divide C. eps : added to the variance.
    dtype : of the result, rounded once from float32; None: x's.
    """
    image = x.contiguous(memory_format=torch.channels_last)
    add = None if shift is None else shift.contiguous()
    result: Tensor = _SiLUOfNorm.apply(image, add, weight, bias, groups, eps, dtype or x.dtype)
    return result
