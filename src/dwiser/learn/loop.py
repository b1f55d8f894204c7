"""The learning loop: draw a batch, take a step, report progress."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Literal

import torch
from torch import nn

from dwiser.learn.checkpointing import Course, TrainingState
from dwiser.learn.losses import Losses
from dwiser.learn.precision import Precision
from dwiser.learn.step import Batch
from dwiser.learn.stepping import adam, set_rate, steps
from dwiser.watch import Progress, Watch, silent

Decay = Literal["constant", "cosine"]
WARM_UP = 50  # iterations of rising learning rate before a cosine


@dataclass(frozen=True)
class Trained:
    """How a training went: iterations done, the running loss (MSE) at its end, pixels seen.

    A batch of B targets of H × W counts B·H·W pixels: the unit of work that methods share.
    ``curve`` is the running loss along the way, by iterations done, evenly spaced; ``note`` says
    whether a GPU's steps were captured as one graph, and why not.
    """

    iterations: int
    loss: float
    pixels: int = 0
    curve: dict[str, float] = field(default_factory=dict)
    note: str = ""


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
    precision: Precision = "float32",
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

    Raises
    ------
    InputError
        For a loss that is not finite; snapshots that were written before stay.
    """
    net.train()
    optimizer = adam(net, learning_rate)
    at = TrainingState() if course is None else course.resumed(task, net, optimizer)
    losses = Losses(at, iterations, learning_rate, task)
    first = at.done
    batch = draw(first)
    with steps(net, optimizer, precision, at, iterations, len(batch.inputs)) as step:
        for i in range(first, first if at.finished else iterations):
            set_rate(optimizer, rate(i, iterations, learning_rate, decay))
            batch = batch if i == first else draw(i)
            losses.add(i + 1, step(batch))
            at.done = i + 1
            at.pixels += len(batch.targets) * prod(batch.targets.shape[2:])
            snapshot_due = course is not None and course.due
            if losses.due or at.done == iterations or snapshot_due:
                losses.read()
                watch(Progress(task, at.done, iterations, f"loss {at.loss:.3e}"))
            if finished is not None and finished(at.done):
                break
            if course is not None and snapshot_due:
                course.keep(task, net, optimizer, at)
    losses.read()
    at.finished = True
    if course is not None:
        course.keep(task, net, optimizer, at)
    net.zero_grad(set_to_none=True)
    net.eval()
    return Trained(at.done, at.loss, at.pixels, at.curve, step.note)
