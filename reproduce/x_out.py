"""x_out along a walk: what the results would be after so many evaluations, from one walk."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dwiser.learn.sampling import Walker, walk_stack
from dwiser.machine import Machine
from dwiser.methods.base import Weights
from dwiser.methods.difusion.method import Difusion
from dwiser.prepare.stack import Stack


@dataclass(eq=False)
class XOut:
    """A stop rule that stops nothing and keeps x_out of some evaluations, in the items' order."""

    evaluations: int
    wanted: Collection[int]
    images: dict[int, list[Tensor]] = field(default_factory=dict)
    threshold: float = float("inf")
    calls: int = 0

    def distance(self, x: Tensor, x_out: Tensor, sigma: Tensor) -> Tensor:
        evaluation = self.calls % self.evaluations + 1
        self.calls += 1
        if evaluation in self.wanted:
            self.images.setdefault(evaluation, []).append(x_out.cpu().clone())
        return torch.zeros(len(x), dtype=x.dtype, device=x.device)


def along_walk(
    method: Difusion,
    weights: Weights,
    stack: Stack,
    machine: Machine,
    seed: int,
    wanted: Collection[int],
) -> dict[int, np.ndarray]:
    """Evaluation → the stack (K, Z, H, W) as it is after it, in [−1, 1] units."""
    seen = XOut(len(method.steps), wanted)
    walker = Walker(**{**vars(method._walker(machine, seed)), "stop": seen})
    f = method._loaded(method._network(stack, seed), weights.state, machine)
    walk_stack(f, stack, walker, batch=method.sampling_batch)
    units = {}
    for evaluation, images in seen.images.items():
        units[evaluation] = stack.target.copy()
        units[evaluation][stack.items[:, 0], stack.items[:, 1]] = torch.cat(images).numpy()
    return units
