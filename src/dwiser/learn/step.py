"""One step of a training: the gradient of a batch, in parts; on a CPU, two at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dwiser.learn.precision import Precision, autocast, convolutions

HALVES = 2  # parts of a batch that a CPU computes at a time


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs (B, C, H, W), levels (B,), (B, K) or None, and the targets for the output.

    ``weights`` multiply the squared error before its mean is taken; None: all alike.
    """

    inputs: Float[Tensor, "b c h w"]
    level: Float[Tensor, "b *k"] | None
    targets: Float[Tensor, "b c2 h2 w2"]
    weights: Float[Tensor, "b c2 h2 w2"] | None = None

    def part(self, chosen: slice) -> "Batch":
        """Some of the items: views, not copies."""
        return Batch(
            self.inputs[chosen],
            None if self.level is None else self.level[chosen],
            self.targets[chosen],
            None if self.weights is None else self.weights[chosen],
        )

    @property
    def shapes(self) -> tuple[torch.Size | None, ...]:
        """Of its tensors, in the order of the fields."""
        return tuple(None if t is None else t.shape for t in self._tensors)

    @property
    def finite(self) -> bool:
        """Whether all its numbers are; it waits for the device."""
        return all(bool(t.isfinite().all()) for t in self._tensors if t is not None)

    def clone(self) -> "Batch":
        """A copy in memory of its own."""
        return Batch(*(None if t is None else t.clone() for t in self._tensors))  # type: ignore[arg-type]

    def copy_(self, other: "Batch") -> None:
        """Take over the values of a batch of the same shapes, in place."""
        for own, theirs in zip(self._tensors, other._tensors, strict=True):
            if own is not None and theirs is not None:
                own.copy_(theirs)

    @property
    def _tensors(self) -> tuple[Tensor | None, ...]:
        return self.inputs, self.level, self.targets, self.weights


Gradient = tuple[Tensor, tuple[Tensor, ...]]  # a loss, and its gradient by each parameter
Part = Callable[[], Gradient]
Run = Callable[[list[Part]], Iterator[Gradient]]  # in the order of the parts


def one_by_one(parts: list[Part]) -> Iterator[Gradient]:
    """Each part after the other: only one is in memory."""
    return (part() for part in parts)


def loss_of(net: nn.Module, batch: Batch, precision: Precision) -> Float[Tensor, ""]:
    """The weighted mean squared error of the network's output."""
    with autocast(precision, batch.inputs.device):
        out = net(batch.inputs, batch.level)
    error = (out.float() - batch.targets).square()
    if batch.weights is not None:
        error = error * batch.weights
    return error.mean()


def gradient(
    net: nn.Module, batch: Batch, precision: Precision, parts: int = 1, run: Run = one_by_one
) -> Float[Tensor, ""]:
    """Put the gradient of the batch's loss into the parameters' ``grad``; returns the loss.

    The loss stays on its device: nothing waits for a GPU. In several parts the gradients are
    summed, always in the order of the parts.
    """
    count = len(batch.inputs)
    size = -(-count // parts)
    parameters = [p for p in net.parameters() if p.requires_grad]

    def part(first: int) -> Gradient:
        items = batch.part(slice(first, first + size))
        loss = loss_of(net, items, precision) * (len(items.inputs) / count)
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        return loss.detach(), gradients

    with convolutions(precision, batch.inputs.device):
        results = run([partial(part, first) for first in range(0, count, size)])
        total, sums = next(results)
        for loss, gradients in results:
            total = total + loss
            sums = tuple(a + b for a, b in zip(sums, gradients, strict=True))
    for parameter, value in zip(parameters, sums, strict=True):
        parameter.grad = _laid_out(value, parameter)
    return total


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """A gradient laid out in memory as its parameter is, which fused optimizers rely on."""
    if value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter).copy_(value)


@contextmanager
def two_threads(items: int) -> Iterator[Run | None]:
    """Runs two parts at a time, each on half of PyTorch's threads; None if it has one thread.

    Threads that meet once a step lose less time than threads that meet after each operation,
    above all where other programs run. None is left behind, whatever happens inside. ``items``
    are those of a batch: one alone has no halves.
    """
    threads = torch.get_num_threads()
    if threads < HALVES or items < HALVES:
        yield None
        return
    torch.set_num_threads(threads // HALVES)
    try:
        with ThreadPoolExecutor(1) as pool:
            yield partial(_side_by_side, pool)
    finally:
        torch.set_num_threads(threads)


def _side_by_side(pool: ThreadPoolExecutor, parts: list[Part]) -> Iterator[Gradient]:
    """One part on the pool's thread, the next on this one, and so on."""
    for first in range(0, len(parts), HALVES):
        others = [pool.submit(part) for part in parts[first + 1 : first + HALVES]]
        try:
            own = parts[first]()
        finally:
            wait(others)
        yield own
        yield from (other.result() for other in others)
