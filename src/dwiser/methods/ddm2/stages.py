"""DDM2's Stages II and III: where each slice is on the chain, and the chain from there down."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dwiser.chain.fusion import forward, shuffle_noise
from dwiser.chain.sample import sample
from dwiser.chain.schedule import Schedule
from dwiser.chain.transition import Transition
from dwiser.chain.walk import Steps, run
from dwiser.learn.patches import Cut, Example, as_tensor
from dwiser.learn.sampling import GROUP, Flips, flip_draws
from dwiser.methods.ddm2.noise_matching import matched_state
from dwiser.prepare.stack import Stack
from dwiser.seeds import stream
from dwiser.watch import Progress, Watch, silent

Goal = Literal["noisy", "guess"]  # of Stage III: x, or x̂


@dataclass(frozen=True, eq=False)
class Matched:
    """x̂ of every slice (K, Z, H, W), and its state t* (K, Z) on the chain; 0 off the items."""

    clean: Float[np.ndarray, "k z h w"]
    state: Int[np.ndarray, "k z"]


def match_states(
    schedule: Schedule, stack: Stack, clean: Float[np.ndarray, "k z h w"], *, within: bool
) -> Matched:
    """Stage II for every item; ``within`` counts the pixels in the mask only."""
    state = np.zeros(clean.shape[:2], np.int64)
    for k, z in stack.items:
        where = stack.inside[z] if within else None
        state[k, z] = matched_state(schedule, stack.target[k, z], clean[k, z], where)
    return Matched(clean, state)


@dataclass(frozen=True, eq=False)
class StateExample:
    """Stage III's example: s·(x̂ + m) + √(1−s²)·ξ → x or x̂ + m, ξ the slice's own noise, shuffled.

    The noise is the residual x − level(t*)·x̂ over its sd on the chain. ξ is centred, and m, the
    residual's mean, is added back to x̂ (the authors' released settings, as reported): without it
    the input at t* lacks what x has on average beyond x̂, and sampling starts from x.

    ``latter`` is the last t of t ~ U{1 … latter}, s uniform in [level(t), level(t−1)].
    """

    schedule: Schedule
    stack: Stack
    matched: Matched
    latter: int
    within: bool
    target: Goal = "noisy"

    def __call__(self, cut: Cut, rng: np.random.Generator) -> Example:
        t = int(rng.integers(1, self.latter + 1))
        level = rng.uniform(self.schedule.level(t), self.schedule.level(t - 1))
        x = cut.of(self.stack.target[cut.k, cut.z])
        clean = cut.of(self.matched.clean[cut.k, cut.z])
        matched_level = float(self.schedule.level(self.matched.state[cut.k, cut.z]))
        inside = cut.of(self.stack.inside[cut.z]) if self.within else None
        residual = x - matched_level * clean
        xi = shuffle_noise(residual / np.float32((1 - matched_level**2) ** 0.5), rng, inside)
        clean = clean + mean_within(residual, inside)
        state = forward(clean, xi, np.full_like(x, level))
        goal = x if self.target == "noisy" else clean
        return Example(state[None], goal[None], float(level))


def mean_within(
    values: Float[np.ndarray, "h w"], where: Bool[np.ndarray, "h w"] | None
) -> np.floating[Any]:
    """The mean that `shuffle_noise` takes away: of the pixels ``where``; of all if none is."""
    return (values if where is None or not where.any() else values[where]).mean()


@dataclass(frozen=True, eq=False)
class Descent:
    """How slices are taken down from where they are: x itself is the state at t*.

    ``evaluations`` bounds how many a slice takes (None: one a step), ``stochastic`` draws
    from the posterior instead of taking its mean.
    """

    schedule: Schedule
    evaluations: int | None
    flips: Flips
    stochastic: bool
    batch: int
    seed: int
    device: str = "cpu"

    def steps(self, state: int) -> Steps:
        """From state t* to the clean end: every step, or so strided that few enough are taken."""
        first = state - 1
        if self.evaluations is None or self.evaluations > first:
            return run(first, 1)
        return run(first, -(-first // max(1, self.evaluations - 1)))[: self.evaluations]

    def stack(
        self, f: Callable[..., Tensor], stack: Stack, matched: Matched, watch: Watch = silent
    ) -> Float[np.ndarray, "k z h w"]:
        """Every item at the end of its descent, those of one state together."""
        unit, done = stack.target.copy(), 0
        states = matched.state[stack.items[:, 0], stack.items[:, 1]]
        for state in np.unique(states).tolist():
            alike = stack.items[states == state]
            for lo in range(0, len(alike), GROUP * self.batch):
                items = alike[lo : lo + GROUP * self.batch]
                unit[items[:, 0], items[:, 1]] = self.items(f, stack, items, int(state))
                done += len(items)
                watch(Progress("sampling", done, len(stack.items), f"from t = {state}"))
        return unit

    def items(
        self, f: Callable[..., Tensor], stack: Stack, items: Int[np.ndarray, "n 2"], state: int
    ) -> Float[np.ndarray, "n h w"]:
        """Some items, all at one state, at the clean end."""
        steps = self.steps(state)
        x = as_tensor(stack.target[items[:, 0], items[:, 1]], self.device)
        chosen = [(int(k), int(z)) for k, z in items]

        def noise(places: Tensor, evaluation: int) -> Tensor:
            drawn = [self._drawn(stack, *chosen[int(p)], evaluation) for p in places]
            return as_tensor(np.stack(drawn), self.device)

        sampled = sample(
            f, x, x, torch.ones_like(x), schedule=self.schedule, steps=steps,
            draws=flip_draws(self.flips, stack, items, len(steps), self.seed, self.device),
            transition=Transition(self.schedule, noise="posterior" if self.stochastic else "mean"),
            noise=noise,
        )  # fmt: skip
        return sampled.image.cpu().numpy()

    def _drawn(self, stack: Stack, k: int, z: int, evaluation: int) -> np.ndarray:
        place = int(stack.plan.volumes[k]), z + (stack.box.z.start or 0), evaluation
        rng = stream(self.seed, "posterior", *place)
        return rng.standard_normal(stack.target.shape[2:], np.float32)
