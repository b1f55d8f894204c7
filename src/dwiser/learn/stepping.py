"""How the steps of a training are taken: eagerly, on two threads, or as a CUDA graph."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dwiser.learn.capture import CapturedStep
from dwiser.learn.checkpointing import TrainingState
from dwiser.learn.memory import out_of_memory
from dwiser.learn.precision import Precision
from dwiser.learn.step import HALVES, Batch, Run, gradient, one_by_one, two_threads

LONG = 20_000  # iterations from which on cuDNN may try its algorithms: 24 s on an H200
TRIED = 4  # of these, for each convolution


def adam(net: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Adam in one fused kernel; on a GPU its rate is a tensor, as a captured step needs."""
    parameters = list(net.parameters())
    if parameters[0].device.type != "cuda":
        return torch.optim.Adam(parameters, lr=learning_rate, fused=True)
    rate_on_device = torch.full((), learning_rate, device=parameters[0].device)
    return torch.optim.Adam(parameters, lr=rate_on_device, fused=True, capturable=True)


def set_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """The rate of the next step, without waiting for a GPU."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(learning_rate)
        else:
            group["lr"] = learning_rate


@dataclass(eq=False)
class Eager:
    """A step, operation by operation; in more parts from the first lack of memory on."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    precision: Precision
    at: TrainingState
    halves: Run | None = None
    note: str = ""

    def __call__(self, batch: Batch) -> Float[Tensor, ""]:
        """One step; its loss on the device."""
        while True:
            try:
                return self._step(batch)
            except RuntimeError as error:
                if not out_of_memory(error) or self.at.parts >= len(batch.inputs):
                    raise
                self.at.parts *= 2

    def _step(self, batch: Batch) -> Float[Tensor, ""]:
        if self.at.parts == 1 and self.halves is not None:
            return self.whole(batch, HALVES, self.halves)
        return self.whole(batch, self.at.parts)

    def whole(self, batch: Batch, parts: int = 1, run: Run = one_by_one) -> Float[Tensor, ""]:
        """One step on the whole batch at once, or in so many parts."""
        loss = gradient(self.net, batch, self.precision, parts, run)
        self.optimizer.step()
        return loss


@contextmanager
def steps(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    precision: Precision,
    at: TrainingState,
    iterations: int,
    items: int,
) -> Iterator[Eager | CapturedStep]:
    """How steps are taken on the network's device, with batches of so many items."""
    eager = Eager(net, optimizer, precision, at)
    kind = next(net.parameters()).device.type
    if kind == "cpu":
        with two_threads(items) as eager.halves:
            yield eager
        return
    if kind != "cuda":
        yield eager
        return
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.benchmark_limit
    cudnn.benchmark, cudnn.benchmark_limit = iterations >= LONG, TRIED
    try:
        yield CapturedStep(eager.whole, eager)
    finally:
        cudnn.benchmark, cudnn.benchmark_limit = before
