"""What a walk's images hold at every step: the partner's contrast (drift), and x's own noise."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from dwiser.chain.walk import Steps
from dwiser.learn.sampling import Walker
from dwiser.machine import Machine
from dwiser.methods.difusion.method import Difusion
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.stack import Stack, build_stack
from dwiser.simulation import Simulation
from reproduce.x_out import looked_on


@dataclass(eq=False)
class Slopes:
    """Sums what x_out holds, evaluation by evaluation.

    ``along`` are images of the stack's items, (n, H, W); each evaluation's error x_out − truth
    is regressed on each of them over the mask.
    """

    truth: np.ndarray
    along: dict[str, np.ndarray]
    inside: np.ndarray
    steps: Steps
    sums: dict[str, np.ndarray] = field(default_factory=dict)

    def see(self, evaluation: int, here: slice, x_out: Tensor) -> None:
        """Adds an evaluation of some items."""
        error = np.where(self.inside[here], x_out.cpu().numpy() - self.truth[here], 0)
        for name, images in self.along.items():
            total = self.sums.setdefault(name, np.zeros((len(self.steps), 2)))
            regressor = np.where(self.inside[here], images[here], 0).astype(float)
            total[evaluation - 1] += float((error * regressor).sum()), float((regressor**2).sum())

    def by_name(self) -> dict[str, list[float]]:
        """Name → regression slopes, one a step: 0 nothing of it, 1 all of it."""
        return {name: (s[:, 0] / s[:, 1]).tolist() for name, s in self.sums.items()}


@dataclass(frozen=True)
class Watched(Difusion):
    """Di-Fusion whose walk is watched in place of stopped."""

    slopes: Any = None

    def _walker(self, machine: Machine, seed: int) -> Walker:
        return looked_on(super()._walker(machine, seed), self.slopes.see)


def watched(method: Difusion, made: Simulation) -> Watched:
    """The method with the slopes of drift (towards the true x') and of x's own noise."""
    stack = build_stack(
        made.scan, object_mask(made.scan), sigma_map(made.scan, object_mask(made.scan)),
        pairing=method.pairing, neighbour=method.neighbour, fewest_b0s=method.fewest_b0s,
        crop=method.crop, b0s=method.b0s,
    )  # fmt: skip
    truth, partner = true_pairs(stack, made.truth)
    places = stack.items[:, 0], stack.items[:, 1]
    own = stack.target[places] - truth[places]
    along = {"partner": partner[places] - truth[places], "own noise": own}
    inside = stack.inside & made.mask[stack.box.index].transpose(2, 0, 1)
    slopes = Slopes(truth[places], along, inside[places[1]], method.steps)
    return Watched(**vars(method), slopes=slopes)


def true_pairs(stack: Stack, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The noiseless x and x' of a stack of adjacent volumes, (K, Z, H, W), in its units."""
    data, scale = truth[stack.box.index], stack.scale
    volumes, partners = stack.plan.volumes.tolist(), stack.plan.partners.tolist()
    true, other = (
        np.stack([scale.to_unit(data[..., v], v).transpose(2, 0, 1) for v in chosen])
        for chosen in (volumes, partners)
    )
    return true, other
