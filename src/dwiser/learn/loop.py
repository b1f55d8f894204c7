"""The learning loop: draw a batch, take a step, tell the watcher."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dwiser.learn.memory import out_of_memory
from dwiser.watch import Progress, Watch, silent

Decay = Literal["constant", "cosine"]
WARM_UP = 50  # iterations of rising learning rate before a cosine
SMOOTH = 0.98  # of the running loss that is shown
CURVE = 50  # points of the training curve that are kept


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
) -> Trained:
    """Fit ``net`` in place by Adam on the mean squared error; weights are not averaged.

    ``draw(i)`` gives the batch of iteration i. On out-of-memory the batch is split and its
    gradients accumulated: the same step, in parts. ``finished(done)``, asked after each
    iteration, may end the training early.
    """
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
    running, parts, done, pixels = 0.0, 1, 0, 0
    every, curve = max(1, iterations // CURVE), {}
    for i in range(iterations):
        for group in optimizer.param_groups:
            group["lr"] = rate(i, iterations, learning_rate, decay)
        batch = draw(i)
        while True:
            try:
                loss = _step(net, optimizer, batch, parts, bf16)
                break
            except RuntimeError as error:
                if not out_of_memory(error) or parts >= len(batch.inputs):
                    raise
                parts *= 2
        running = loss if i == 0 else SMOOTH * running + (1 - SMOOTH) * loss
        done = i + 1
        pixels += len(batch.targets) * prod(batch.targets.shape[2:])
        if done % every == 0 or done == iterations:
            curve[str(done)] = float(f"{running:.4g}")
        watch(Progress(task, done, iterations, f"loss {running:.3e}"))
        if finished is not None and finished(done):
            break
    net.eval()
    return Trained(done, running, pixels, curve)


def _step(
    net: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, parts: int, bf16: bool
) -> float:
    optimizer.zero_grad(set_to_none=True)
    total, count = 0.0, len(batch.inputs)
    for chosen in torch.arange(count).chunk(parts):
        level = None if batch.level is None else batch.level[chosen]
        with torch.autocast(batch.inputs.device.type, torch.bfloat16, enabled=bf16):
            out = net(batch.inputs[chosen], level)
        error = (out.float() - batch.targets[chosen]).square()
        if batch.weights is not None:
            error = error * batch.weights[chosen]
        loss = error.mean() * (len(chosen) / count)
        loss.backward()
        total += float(loss.detach())
    optimizer.step()
    return total
