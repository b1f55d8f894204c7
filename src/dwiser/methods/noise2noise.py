"""Noise2Noise: one pass of a network that has learned x from its partner x'."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from torch import nn

from dwiser.learn.device_draws import DeviceStack, Examples, cuts_on_device
from dwiser.learn.passes import single_pass
from dwiser.learn.patches import Cut, CutDraw, Example, as_tensor
from dwiser.learn.step import Batch
from dwiser.learn.where_drawn import Draw
from dwiser.machine import Machine
from dwiser.methods.base import Weights
from dwiser.methods.budgets import PAPER, budget
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.learned import DenoisedStack
from dwiser.methods.networked import Evaluate, Networked
from dwiser.methods.networks import Scaling, build_network
from dwiser.methods.options import Presets, Sourced, option
from dwiser.prepare.pairs import Neighbour, Pairing
from dwiser.prepare.stack import Stack
from dwiser.watch import Watch

PRESETS: Presets = {
    "paper": {
        "pairing": Sourced("adjacent", f"{PAPER}: the same pair as Di-Fusion's"),
        "neighbour": Sourced("shell", "ours: the volume before it in its own shell"),
    }
    | budget("paper"),
    "laptop": {
        "pairing": Sourced("predicted", "as difusion at laptop: the other pairs lose to the scan"),
    }
    | budget("laptop"),
}
PRESETS["smoke"] = PRESETS["laptop"] | budget("smoke")


@dataclass(frozen=True)
class Noise2Noise(Networked):
    """Learn x from x' by mean squared error; the result is F(x').

    Lehtinen et al., *Noise2Noise: Learning Image Restoration without Clean Data*, ICML 2018,
    arXiv 1803.04189; here with Di-Fusion's pairs and its network without the level.

    Notes
    -----
    With noise in x that is independent of x', the optimum of E‖F(x') − x‖² is E[x | x'],
    the same as with the clean image as target. Where x' has another contrast than x (another
    gradient direction), that is the mean contrast.
    """

    name: ClassVar[str] = "noise2noise"

    pairing: Pairing = option(
        "predicted",
        "what x' is: the volume before, the nearest direction of the shell, or the prediction "
        "from all other volumes",
    )
    neighbour: Neighbour = option(
        "shell", "order of adjacent pairs: within the shell, or the series"
    )

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do."""
        return replace(
            self._learned,
            presets=PRESETS,
            least_directions=6,
            uses_directions=self.pairing == "angular",
        )

    @property
    def _plan_words(self) -> tuple[str, ...]:
        return f"{self.pairing} pairs", f"{self.iterations} iterations"

    @property
    def _partner(self) -> Pairing:
        return self.pairing

    @property
    def _order(self) -> Neighbour:
        return self.neighbour

    def _network(self, stack: Stack, seed: int) -> nn.Module:
        scaling = Scaling.between(stack, stack.neighbour)
        return build_network(self.network, self.width, scaling, seed, conditioned=False)

    def _draw(self, stack: Stack, machine: Machine, seed: int) -> Draw:
        def pair(cut: Cut, rng: np.random.Generator) -> Example:
            partner, x = (
                cut.of(images[cut.k, cut.z])[None] for images in (stack.neighbour, stack.target)
            )
            return Example(partner, x)

        def pairs(on: DeviceStack) -> Examples:
            return lambda cuts, _: Batch(
                cuts.of(on.neighbour)[:, None], None, cuts.of(on.target)[:, None]
            )

        draw = CutDraw(stack, pair, seed, self.batch, self.patch, machine.device)
        return cuts_on_device(draw, pairs)

    def _evaluate(
        self, f: Evaluate, stack: Stack, items: np.ndarray, machine: Machine, seed: int
    ) -> None:
        f(as_tensor(stack.neighbour[items[:, 0], items[:, 1]], machine.device))

    def _denoise_stack(
        self, weights: Weights, stack: Stack, machine: Machine, seed: int, watch: Watch
    ) -> DenoisedStack:
        f = self._loaded(self._network(stack, seed), weights.state, machine)
        unit = single_pass(
            f,
            stack,
            lambda items: stack.neighbour[items[:, 0], items[:, 1]],
            batch=self.sampling_batch, device=machine.device, watch=watch,
        )  # fmt: skip
        return DenoisedStack(unit, {"evaluations": 1} | f.record)
