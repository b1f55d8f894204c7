"""The learning loop: draw a batch, take a step, report progress."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dwiser.learn.checkpointing import Course, TrainingState
from dwiser.learn.memory import out_of_memory
from dwiser.watch import Progress, Watch, silent

Decay = Literal["constant", "cosine"]
WARM_UP = 50  # iterations of rising learning rate before a cosine
SMOOTH = 0.98  # of the running loss in progress reports
CURVE = 50  # points of the training curve that are recorded


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs (B, C, H, W), levels (B,), (B, K) or None, and the targets for the output.

    ``weights`` multiply the squared error before its mean is taken; None: all alike.
    """

    inputs: Float[Tensor, "b c h w"]
    level: Float[Tensor, "b *k"] | None
    targets: Float[Tensor, "b c2 h2 w2"]
    weights: Float[Tensor, "b c2 h2 w2"] | None = None


@dataclass(frozen=True)
class Trained:
    """How a training went: iterations done, the running loss (MSE) at its end, pixels seen.

    A batch of B targets of H × W counts B·H·W pixels: the unit of work that methods share.
    ``curve`` is the running loss along the way, by iterations done, evenly spaced.
    """

    iterations: int
    loss: float
    pixels: int = 0
    curve: dict[str, float] = field(default_factory=dict)


def rate(iteration: int, iterations: int, peak: float, decay: Decay) -> float:
    """Learning rate at an iteration: constant, or a warm-up and half a cosine down to 0."""
    if decay == "constant":
        return peak
    warm = min(WARM_UP, max(1, iterations // 10))
    if iteration < warm:
        return peak * (iteration + 1) / warm
    share = torch.tensor((iteration - warm) / max(1, iterations - warm))
    return peak * 0.5 * (1 + float(torch.cos(torch.pi * share)))


def train(
    net: nn.Module,
    draw: Callable[[int], Batch],
    *,
    iterations: int,
    learning_rate: float,
    decay: Decay = "constant",
    bf16: bool = False,
    watch: Watch = silent,
    task: str = "training",
    finished: Callable[[int], bool] | None = None,
    course: Course | None = None,
) -> Trained:
    """Fit ``net`` in place by Adam on the mean squared error; weights are not averaged.

    ``draw(i)`` gives the batch of iteration i. On out-of-memory the batch is split and its
    gradients accumulated: the same step, in parts. ``finished(done)``, asked after each
    iteration, may end the training early. A ``course`` takes snapshots, and may hold one to
    resume from.
    """
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
    at = TrainingState() if course is None else course.resumed(task, net, optimizer)
    every = max(1, iterations // CURVE)
    for i in range(at.done, at.done if at.finished else iterations):
        for group in optimizer.param_groups:
            group["lr"] = rate(i, iterations, learning_rate, decay)
        batch = draw(i)
        while True:
            try:
                loss = _step(net, optimizer, batch, at.parts, bf16)
                break
            except RuntimeError as error:
                if not out_of_memory(error) or at.parts >= len(batch.inputs):
                    raise
                at.parts *= 2
        at.loss = loss if i == 0 else SMOOTH * at.loss + (1 - SMOOTH) * loss
        at.done = i + 1
        at.pixels += len(batch.targets) * prod(batch.targets.shape[2:])
        if at.done % every == 0 or at.done == iterations:
            at.curve[str(at.done)] = float(f"{at.loss:.4g}")
        watch(Progress(task, at.done, iterations, f"loss {at.loss:.3e}"))
        if finished is not None and finished(at.done):
            break
        if course is not None:
            course.keep(task, net, optimizer, at)
    at.finished = True
    if course is not None:
        course.keep(task, net, optimizer, at)
    net.eval()
    return Trained(at.done, at.loss, at.pixels, at.curve)


def _step(
    net: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, parts: int, bf16: bool
) -> float:
    optimizer.zero_grad(set_to_none=True)
    count = len(batch.inputs)
    total, size = batch.inputs.new_zeros(()), -(-count // parts)
    for first in range(0, count, size):
        chosen = slice(first, first + size)  # a view: indices would copy the batch
        level = None if batch.level is None else batch.level[chosen]
        with torch.autocast(batch.inputs.device.type, torch.bfloat16, enabled=bf16):
            out = net(batch.inputs[chosen], level)
        error = (out.float() - batch.targets[chosen]).square()
        if batch.weights is not None:
            error = error * batch.weights[chosen]
        loss = error.mean() * (len(error) / count)
        loss.backward()
        total += loss.detach()
    optimizer.step()
    return float(total)  # only now: it waits for a GPU
