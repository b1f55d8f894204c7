"""What the networks share: layers of full precision, and 1×1 convolutions as matrix products."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """What is computed inside is float32, whatever bfloat16 or TF32 is allowed outside.

    For the level's embedding, the stem and the head: in bfloat16 the 301 levels of Di-Fusion's
    latter steps are 7, and the output has steps of 0.0039 near ±1. The values are float32; the
    gradient's convolutions follow the setting outside.
    """
    if device.type != "cuda":
        with torch.autocast(device.type, enabled=False):
            yield
        return
    cudnn = torch.backends.cudnn
    allowed, cudnn.allow_tf32 = cudnn.allow_tf32, False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        cudnn.allow_tf32 = allowed


def as_autocast(x: Tensor) -> Tensor:
    """In the type that autocast computes in, if it is on: for what `full_precision` gave."""
    if not torch.is_autocast_enabled(x.device.type):
        return x
    return x.to(torch.get_autocast_dtype(x.device.type))


class Pointwise(nn.Conv2d):
    """A 1×1 convolution as one matrix product over the pixels of channels-last images.

    On one thread of a CPU PyTorch's own takes three times as long.
    """

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__(width_in, width, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        tokens = functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return tokens.permute(0, 3, 1, 2)
