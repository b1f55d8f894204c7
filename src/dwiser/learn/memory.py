"""Running a network over batches that fit: on out-of-memory the batch is halved and tried again."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dwiser.learn.capture import CapturedForward
from dwiser.learn.precision import Precision, autocast, convolutions
from dwiser.nets.norm import normalisation

SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device or the host ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError) or any(s in str(error) for s in SIGNS)


@dataclass(eq=False)
class Evaluation:
    """A network's evaluations in a precision: (inputs, level) → output.

    On a GPU, shapes that come often are evaluated as CUDA graphs. What is returned may be
    overwritten by the next call.
    """

    net: nn.Module
    precision: Precision = "float32"
    captured: CapturedForward = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.captured = CapturedForward(self._forward)

    @property
    def record(self) -> dict[str, str]:
        """How a GPU evaluated it; empty where there is nothing to say."""
        notes = {
            "network_evaluations": self.captured.note,
            "normalisation": normalisation(self.net),
        }
        return {name: note for name, note in notes.items() if note}

    def __call__(
        self, inputs: Float[Tensor, "b c h w"], level: Float[Tensor, "b *k"] | None = None
    ) -> Float[Tensor, "b d h w"]:
        """The network's output."""
        run = self.captured if inputs.device.type == "cuda" else self._forward
        return run(inputs, level)

    def _forward(self, inputs: Tensor, level: Tensor | None) -> Tensor:
        device, precision = inputs.device, self.precision
        with torch.inference_mode(), autocast(precision, device), convolutions(precision, device):
            out: Tensor = self.net(inputs, level)
            return out


@dataclass(eq=False)
class BatchedNetwork:
    """F for the chain from a network: (x_t (B, H, W), level (B,)) → x_out (B, H, W).

    A network that is told directions takes them with the level: (B, 1 + C).
    Without a level, and with several channels in (B, C, H, W), for the networks that are
    no part of a chain. At most ``batch`` slices are in the network at once; channels-last.
    """

    net: nn.Module
    batch: int
    precision: Precision = "float32"
    evaluation: Evaluation = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.evaluation = Evaluation(self.net, self.precision)

    @property
    def record(self) -> dict[str, str]:
        """How a GPU evaluated it; empty where there is nothing to say."""
        return self.evaluation.record

    def __call__(
        self, x: Float[Tensor, "b *c h w"], level: Float[Tensor, "b *k"] | None = None
    ) -> Float[Tensor, "b h w"]:
        """x_out of each slice; a smaller ``batch`` from the first lack of memory on."""
        out, at = x.new_empty(len(x), *x.shape[-2:]), 0
        while at < len(x):
            part = slice(at, at + self.batch)
            inputs = x[part] if x.ndim == 4 else x[part, None]
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            try:
                result = self.evaluation(inputs, None if level is None else level[part])
                out[part] = result[:, 0].float()
            except RuntimeError as error:
                if not out_of_memory(error) or self.batch == 1:
                    raise
                self.batch = max(1, self.batch // 2)
                continue
            at += self.batch
        return out
