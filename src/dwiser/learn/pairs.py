"""Di-Fusion's training batches: items drawn from a stack, flipped, fused, noised."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from dwiser.chain.fusion import Fusion, forward, fuse, fusion_weights, shuffle_noise
from dwiser.chain.schedule import Schedule
from dwiser.learn.patches import Cut, Window, as_tensor, drawn_flips, flip_number, window
from dwiser.learn.step import Batch
from dwiser.prepare.stack import Stack
from dwiser.seeds import stream

Noise = Literal["shuffled", "gaussian"]
StepInterval = Literal["own", "program"]


@dataclass(frozen=True, eq=False)
class PairDraw:
    """Draws the batch of an iteration, as ``learn.loop.train`` wants it.

    Parameters
    ----------
    latter : Tc; steps t are uniform on 1 … Tc.
    patch : edge of the square patches, centred in the mask; None takes whole slices.
    within : shuffle ξ inside the mask only (for slices cropped to it).
    shared_step : one t and one permutation for the whole batch (the authors' program); s is
        drawn for each item either way.
    step_interval : "own": t on 1 … Tc, s in [level(t + 1), level(t)], where F is told
        level(t + 1) in sampling; "program": t on 1 … Tc − 1, s in [level(t), level(t − 1)].
    conditions : (K, 4, C) what F is told of each volume under each flip, in columns after the
        level's; None: the level alone.
    """

    stack: Stack
    schedule: Schedule
    seed: int
    batch: int
    latter: int
    fusion: Fusion = "target"
    noise: Noise = "shuffled"
    patch: int | None = None
    within: bool = True
    device: str = "cpu"
    shared_step: bool = False
    step_interval: StepInterval = "own"
    conditions: Float[np.ndarray, "k 4 c"] | None = None

    def __call__(self, iteration: int) -> Batch:
        rng = stream(self.seed, "training", iteration)
        t = rng.integers(1, last_step(self) + 1, 1 if self.shared_step else self.batch)
        low, high = interval(self.schedule, t, self.step_interval)
        level = _column(rng.uniform(low, high, self.batch))
        lambda1, lambda2 = (_column(w) for w in fusion_weights(self.schedule, t))
        chosen = self.stack.items[rng.integers(0, len(self.stack.items), self.batch)]
        drawn = [self._item(int(k), int(z), rng, iteration) for k, z in chosen]
        x, partner, xi, flips = (np.stack(part) for part in zip(*drawn, strict=True))
        inputs = forward(fuse(x, partner, lambda1, lambda2, self.fusion), xi, level)
        return Batch(
            as_tensor(inputs[:, None], self.device),
            as_tensor(self._known(level.ravel(), chosen[:, 0], flips), self.device),
            as_tensor(x[:, None], self.device),
        )

    def _known(
        self, level: Float[np.ndarray, "b"], volumes: np.ndarray, flips: np.ndarray
    ) -> Float[np.ndarray, "b *c"]:
        """What F is told of each item: its level (B,), or level and conditions (B, 1 + C)."""
        if self.conditions is None:
            return level
        return np.concatenate([level[:, None], self.conditions[volumes, flips]], axis=1)

    def _item(
        self, k: int, z: int, rng: np.random.Generator, iteration: int
    ) -> tuple[np.ndarray | int, ...]:
        """(x, x', ξ) of one slice or patch, flipped alike, and the flip's number."""
        inside = self.stack.inside[z]
        cut = Cut(k, z, self._window(inside, rng), drawn_flips(rng))
        x, partner = cut.of(self.stack.target[k, z]), cut.of(self.stack.neighbour[k, z])
        if self.noise == "gaussian":
            xi = rng.standard_normal(x.shape, np.float32)
        else:
            order = stream(self.seed, "permutation", iteration) if self.shared_step else rng
            xi = shuffle_noise(x - partner, order, cut.of(inside) if self.within else None)
        return x, partner, xi, flip_number(cut.flips)

    def _window(self, inside: np.ndarray, rng: np.random.Generator) -> Window:
        return window(inside, self.patch, rng)


def last_step(draw: PairDraw) -> int:
    """The highest t that is drawn: Tc, or Tc − 1 as in the authors' program."""
    return draw.latter if draw.step_interval == "own" else max(1, draw.latter - 1)


def interval(
    schedule: Schedule, t: Int[np.ndarray, "b"], kind: StepInterval
) -> tuple[Float[np.ndarray, "b"], Float[np.ndarray, "b"]]:
    """The least and the highest level s of an item at step t."""
    least = t + 1 if kind == "own" else t
    return schedule.level(least), schedule.level(least - 1)


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)[:, None, None]
