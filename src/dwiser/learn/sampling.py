"""Sampling every slice of a stack, in groups that fit the device."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dwiser.chain.fusion import Fusion, forward, fuse, fusion_weights, shuffle_noise
from dwiser.chain.sample import FLIPS, Sampled, sample
from dwiser.chain.schedule import Schedule
from dwiser.chain.stop import Stop
from dwiser.chain.transition import Transition
from dwiser.chain.walk import Steps
from dwiser.learn.conditions import Directions, pair_conditions
from dwiser.learn.pairs import Noise
from dwiser.prepare.stack import Stack
from dwiser.seeds import stream
from dwiser.watch import Progress, Watch, silent

Flips = Literal["four", "drawn"]
GROUP = 16  # sampling batches in a group: slices that walk on are pooled into full batches


@dataclass(frozen=True, eq=False)
class Walks:
    """The denoised stack (K, Z, H, W) in [−1, 1] units, and each item's walk.

    ``evaluations`` and ``distance`` are (n,), in the order of the stack's items.
    """

    unit: Float[np.ndarray, "k z h w"]
    evaluations: Int[np.ndarray, "n"]
    distance: Float[np.ndarray, "n"]


@dataclass(frozen=True, eq=False)
class Walker:
    """How slices are sampled: Run-Walk's steps, the stop rule, flips, noise and seed.

    ``directions``: whether F is told those of x and x' (`learn.conditions`).
    """

    schedule: Schedule
    steps: Steps
    stop: Stop | None
    fusion: Fusion
    noise: Noise
    flips: Flips
    within: bool
    seed: int
    device: str = "cpu"
    transition: Transition = field(default_factory=Transition)
    directions: Directions = "unknown"

    def group(
        self, f: Callable[[Tensor, Tensor], Tensor], stack: Stack, items: Int[np.ndarray, "n 2"]
    ) -> Sampled:
        """Walk some items of a stack together."""
        first = self.steps[0]
        lambda1, lambda2 = (np.float32(w) for w in fusion_weights(self.schedule, first))
        level = float(self.schedule.level(first + 1))
        x = stack.target[items[:, 0], items[:, 1]]
        partner = stack.neighbour[items[:, 0], items[:, 1]]
        xi = np.stack([self._noise(stack, int(k), int(z)) for k, z in items])
        start = forward(fuse(x, partner, lambda1, lambda2, self.fusion), xi, level)
        sigma = np.stack([stack.sigma_of(int(k), int(z)) for k, z in items])

        def renewed(places: Tensor, evaluation: int) -> Tensor:
            chosen = items[places.cpu().numpy()]
            drawn = [self._noise(stack, int(k), int(z), evaluation + 1) for k, z in chosen]
            return self._tensor(np.stack(drawn))

        goes_on = len(self.steps) > 1
        fuses = goes_on and self.transition.state == "fused"
        return sample(
            f,
            self._tensor(start),
            self._tensor(x),
            self._tensor(sigma),
            schedule=self.schedule,
            steps=self.steps,
            stop=self.stop,
            draws=self._draws(stack, items),
            transition=self.transition,
            partner=self._tensor(partner) if fuses else None,
            start_noise=self._tensor((1 - level**2) ** 0.5 * xi) if goes_on else None,
            noise=renewed,
            conditions=self._conditions(stack, items),
        )

    def _noise(self, stack: Stack, k: int, z: int, *evaluation: int) -> np.ndarray:
        """ξ of one slice: the start's, or the one drawn anew after an evaluation."""
        place = int(stack.plan.volumes[k]), z + (stack.box.z.start or 0), *evaluation
        rng = stream(self.seed, "start", *place)
        if self.noise == "gaussian":
            return rng.standard_normal(stack.target.shape[2:], np.float32)
        difference = stack.target[k, z] - stack.neighbour[k, z]
        return shuffle_noise(difference, rng, stack.inside[z] if self.within else None)

    def _conditions(self, stack: Stack, items: np.ndarray) -> Float[Tensor, "n 4 c"] | None:
        if self.directions == "unknown":
            return None
        return self._tensor(pair_conditions(stack)[items[:, 0]])

    def _draws(self, stack: Stack, items: np.ndarray) -> Int[Tensor, "n k"] | None:
        return flip_draws(self.flips, stack, items, len(self.steps), self.seed, self.device)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)


def flip_draws(
    flips: Flips,
    stack: Stack,
    items: Int[np.ndarray, "n 2"],
    evaluations: int,
    seed: int,
    device: str,
) -> Int[Tensor, "n k"] | None:
    """One flip an evaluation, keyed by volume and slice: batches change nothing.

    None where all four are averaged.
    """
    if flips == "four":
        return None
    rows = [
        stream(seed, "flip", int(stack.plan.volumes[k]), int(z)).integers(
            len(FLIPS), size=evaluations
        )
        for k, z in items
    ]
    return torch.from_numpy(np.stack(rows)).to(device)


def walk_stack(
    f: Callable[[Tensor, Tensor], Tensor],
    stack: Stack,
    walker: Walker,
    *,
    batch: int,
    watch: Watch = silent,
) -> Walks:
    """Every item of the stack at the end of its walk; untouched slices keep their target."""
    unit = stack.target.copy()
    count = len(stack.items)
    evaluations, distance = np.zeros(count, np.int64), np.zeros(count, np.float64)
    for lo in range(0, count, GROUP * batch):
        items = stack.items[lo : lo + GROUP * batch]
        rows = slice(lo, lo + len(items))
        done = walker.group(f, stack, items)
        unit[items[:, 0], items[:, 1]] = done.image.cpu().numpy()
        evaluations[rows] = done.evaluations.cpu().numpy()
        distance[rows] = done.distance.cpu().numpy()
        watch(Progress("sampling", lo + len(items), count, f"{evaluations[rows].mean():.1f} steps"))
    return Walks(unit, evaluations, distance)


def stopping(walks: Walks, steps: Steps) -> dict[str, Any]:
    """Where the slices stopped: evaluations and stopping steps, each with its slices."""
    counts, many = np.unique(walks.evaluations, return_counts=True)
    slices = [(int(c), int(n)) for c, n in zip(counts, many, strict=True)]
    finite = walks.distance[np.isfinite(walks.distance)]
    return {
        "evaluations": {str(c): n for c, n in slices},
        "stopping_step": {str(steps[c - 1]): n for c, n in slices},
        "first_stop_share": round(float((walks.evaluations == 1).mean()), 4),
        "mean_evaluations": round(float(walks.evaluations.mean()), 2),
        "mean_distance": round(float(finite.mean()), 4) if len(finite) else None,
    }
