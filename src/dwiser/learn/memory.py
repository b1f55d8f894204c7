"""Running a network over batches that fit: on out-of-memory the batch is halved and tried again."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dwiser.learn.capture import CapturedForward
from dwiser.learn.precision import Precision, autocast, convolutions

SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device or the host ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError) or any(s in str(error) for s in SIGNS)


def batched(
    net: nn.Module, batch: int, *, precision: Precision = "float32"
) -> Callable[..., Tensor]:
    """F for the chain from a network: (x_t (B, H, W), level (B,)) → x_out (B, H, W).

    A network that is told directions takes them with the level: (B, 1 + C).
    Without a level, and with several channels in (B, C, H, W), for the networks that are
    no part of a chain. At most ``batch`` slices are in the network at once; channels-last.
    On a GPU, shapes that come often are evaluated as CUDA graphs.
    """
    size = batch

    def forward(inputs: Tensor, level: Tensor | None) -> Tensor:
        device = inputs.device
        with torch.inference_mode(), autocast(precision, device), convolutions(precision, device):
            out: Tensor = net(inputs, level)
            return out

    captured = CapturedForward(forward)

    def evaluate(
        x: Float[Tensor, "b *c h w"], level: Float[Tensor, "b *k"] | None = None
    ) -> Float[Tensor, "b h w"]:
        nonlocal size
        out, at = x.new_empty(len(x), *x.shape[-2:]), 0
        run = captured if x.device.type == "cuda" else forward
        while at < len(x):
            part = slice(at, at + size)
            inputs = x[part] if x.ndim == 4 else x[part, None]
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            try:
                result = run(inputs, None if level is None else level[part])
                out[part] = result[:, 0].float()
            except RuntimeError as error:
                if not out_of_memory(error) or size == 1:
                    raise
                size = max(1, size // 2)
                continue
            at += size
        return out

    return evaluate
