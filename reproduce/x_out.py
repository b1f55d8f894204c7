"""x_out along a walk: what the results would be after so many evaluations, from one walk."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dwiser.learn.sampling import Walker, walk_stack
from dwiser.machine import Machine
from dwiser.methods.base import Weights
from dwiser.methods.difusion.method import Difusion
from dwiser.prepare.stack import Stack


@dataclass(eq=False)
class Onlooker:
    """A stop rule that stops nothing and shows x_out of every evaluation.

    Parameters
    ----------
    evaluations : of each slice's walk.
    see : (evaluation, from 1 on; which of the stack's items; x_out of these) → nothing. All
        evaluations of some items come before those of the next.
    """

    evaluations: int
    see: Callable[[int, slice, Tensor], None]
    threshold: float = float("inf")
    calls: int = 0
    first: int = 0

    def distance(self, x: Tensor, x_out: Tensor, sigma: Tensor) -> Tensor:
        evaluation = self.calls % self.evaluations + 1
        self.see(evaluation, slice(self.first, self.first + len(x)), x_out)
        self.calls += 1
        if evaluation == self.evaluations:
            self.first += len(x)
        return torch.zeros(len(x), dtype=x.dtype, device=x.device)


def looked_on(walker: Walker, see: Callable[[int, slice, Tensor], None]) -> Walker:
    """The walker with an onlooker in place of its stop rule."""
    return replace(walker, stop=Onlooker(len(walker.steps), see))


def along_walk(
    method: Difusion,
    weights: Weights,
    stack: Stack,
    machine: Machine,
    seed: int,
    wanted: Collection[int],
) -> dict[int, np.ndarray]:
    """Evaluation → the stack (K, Z, H, W) as it is after it, in [−1, 1] units."""
    seen: dict[int, list[Tensor]] = {}

    def keep(evaluation: int, _: slice, x_out: Tensor) -> None:
        if evaluation in wanted:
            seen.setdefault(evaluation, []).append(x_out.cpu().clone())

    walker = looked_on(method._walker(machine, seed), keep)
    f = method._loaded(method._network(stack, seed), weights.state, machine)
    walk_stack(f, stack, walker, batch=method.sampling_batch)
    units = {}
    for evaluation, images in seen.items():
        units[evaluation] = stack.target.copy()
        units[evaluation][stack.items[:, 0], stack.items[:, 1]] = torch.cat(images).numpy()
    return units
