"""The precision of a network's arithmetic: float32, TF32 or bfloat16."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Precision = Literal["float32", "tf32", "bf16"]


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Forward passes inside are in bfloat16 for "bf16", else as they are; not for gradients."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def convolutions(precision: Precision, device: torch.device) -> Iterator[None]:
    """Whether a GPU's float32 convolutions inside, and their gradients, may use TF32.

    "float32" is strict: PyTorch's own setting lets them (a mantissa of 10 bits instead of 23).
    On a CPU, which has no TF32, nothing changes. A network's embedding, stem and head are float32
    in each precision (`nets.layers.full_precision`).
    """
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    allowed, cudnn.allow_tf32 = cudnn.allow_tf32, precision != "float32"
    try:
        yield
    finally:
        cudnn.allow_tf32 = allowed
