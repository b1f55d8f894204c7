"""Di-Fusion: self-supervised denoising by iterative and stable refinement (ICLR 2025)."""

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from torch import nn

from dwiser.chain.fusion import Fusion
from dwiser.chain.schedule import Schedule
from dwiser.chain.stop import Adaptive, NoiseBound, Stop
from dwiser.chain.transition import State, StateNoise, Transition
from dwiser.chain.walk import Steps, run_walk
from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.learn.budget import Work
from dwiser.learn.conditions import PER_PAIR, Directions, pair_conditions
from dwiser.learn.device_draws import on_device
from dwiser.learn.pairs import Noise, PairDraw, StepInterval
from dwiser.learn.sampling import Flips, Walker, Walks, stopping
from dwiser.learn.where_drawn import Draw
from dwiser.machine import Machine
from dwiser.methods.base import Weights
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.difusion.presets import PRESETS
from dwiser.methods.difusion.samples import sampled
from dwiser.methods.learned import DenoisedStack
from dwiser.methods.networked import Evaluate, Networked
from dwiser.methods.networks import Scaling, build_network
from dwiser.methods.options import option
from dwiser.prepare.pairs import Neighbour, Pairing
from dwiser.prepare.stack import Stack
from dwiser.watch import Watch

FEWEST_SAMPLES = 8  # from which an sd is taken
FIRST_STOP_WARNING = 0.2  # share of slices that stop at their first evaluation


@dataclass(frozen=True)
class Difusion(Networked):
    """Learn to turn each slice's partner x' into the slice x along a Markov chain; walk it.

    Wu, Kong, Jiang, Zhou, *Self-Supervised Diffusion MRI Denoising via Iterative and Stable
    Refinement*, ICLR 2025, arXiv 2501.13514.
    """

    name: ClassVar[str] = "difusion"

    pairing: Pairing = option(
        "predicted",
        "what x' is: the volume before (the paper), the nearest "
        "direction of the shell, or the prediction from all other volumes",
    )
    neighbour: Neighbour = option(
        "shell", "order of adjacent pairs: within the shell, or the series"
    )
    fusion: Fusion = option("target", "Eq. 6 with x and x' (target), or with x' twice (neighbour)")
    start_fusion: Fusion | None = option(
        None, "Eq. 6 where the sampling starts; none: as in the training"
    )
    directions: Directions = option(
        "unknown",
        "whether F is told the gradient directions of x and x', which the paper's is not "
        "(unknown), or gets g·gᵀ of both beside the noise level (embedded)",
    )
    noise: Noise = option("shuffled", "the chain's noise: Di- (Eq. 8), or plain Gaussian")
    latter: int = option(
        300, "Tc: train on the latter steps 1 ... Tc, sample from Tc", least=1, most=999
    )
    shared_step: bool = option(
        False, "one t and one permutation for a training batch, or a t for each item"
    )
    step_interval: StepInterval = option(
        "own", "training levels: t on 1 ... Tc, s in [level(t+1), level(t)], which holds the level "
        "that sampling tells F; or the program's: t on 1 ... Tc-1, s in [level(t), level(t-1)]",
    )  # fmt: skip
    turn: int = option(50, "Tr: where running turns into walking", least=0)
    stride: int = option(10, "p: steps skipped while running", least=1)
    start: int | None = option(50, "the step that sampling starts from; none: Tc", least=0)
    state: State = option(
        "fused",
        "the next state's image: of Eq. 10, x_out and x' fused again as in training (Eq. 6), or "
        "of Eq. 10 with the program's fading weights",
    )
    state_noise: StateNoise = option(
        "drawn",
        "the next state's noise: what Eq. 10's mean leaves (eta = 0), with its sigma z, or as "
        "much as F is told: the start's, or drawn anew",
    )
    flips: Flips = option("drawn", "mean over four flips, or one drawn flip, at each evaluation")
    stop: Literal["adaptive", "noise", "never"] = option(
        "noise", "when a slice's walk ends: Eq. 13, RMS of (x - x_out)/sigma, or at the end"
    )
    threshold: float = option(1.0, "of the stop rule; larger: more steps, smoother", least=0)
    evaluations: int | None = option(
        1, "most evaluations of a slice; none: all of Run-Walk", least=1
    )
    samples: int = option(1, "walks, each with another xi, whose mean is the result", least=1)
    uncertainty: bool = option(
        False, f"also the sd of the samples, {FEWEST_SAMPLES} at least; it is less than the error's"
    )

    def __post_init__(self) -> None:
        if self.state == "released" and self.state_noise != "mean":
            raise InputError(
                f"state=released of difusion has the noise that its weights leave: set "
                f"state_noise=mean, not {self.state_noise}, or take another state.",
                code=Code.SETTING_VALUE,
            )

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do; the σ map is used where a walk ends at the noise."""
        return replace(
            self._learned,
            presets=PRESETS,
            least_directions=6,
            uses_directions=self.pairing == "angular",
            takes_noise_map=self.stop == "noise",
            gives_uncertainty=True,
        )

    @property
    def _plan_words(self) -> tuple[str, ...]:
        return (
            f"{self.pairing} pairs" + (", directions told" * (self.directions == "embedded")),
            f"{self.iterations} iterations",
            f"then up to {len(self.steps)} evaluations a slice (stop={self.stop})",
        )

    @property
    def steps(self) -> Steps:
        """The steps that are visited: Run-Walk from ``start``, cut off after ``evaluations``."""
        first = self.latter if self.start is None else min(self.start, self.latter)
        return run_walk(first, min(self.turn, first), self.stride)[: self.evaluations]

    @property
    def _partner(self) -> Pairing:
        return self.pairing

    @property
    def _order(self) -> Neighbour:
        return self.neighbour

    @property
    def _samples(self) -> int:
        return max(self.samples, FEWEST_SAMPLES if self.uncertainty else 1)

    @property
    def _most_evaluations(self) -> int:
        return len(self.steps)

    def _counted(self, work: Work) -> "Difusion":
        return replace(self, minutes=None, iterations=work.iterations, evaluations=work.evaluations)

    def _network(self, stack: Stack, seed: int) -> nn.Module:
        scaling = Scaling.between(stack, stack.neighbour)
        conditions = PER_PAIR if self.directions == "embedded" else 0
        return build_network(self.network, self.width, scaling, seed, conditions=conditions)

    def _draw(self, stack: Stack, machine: Machine, seed: int) -> Draw:
        draw = PairDraw(
            stack, Schedule(), seed, self.batch, self.latter, self.fusion, self.noise,
            self.patch, within=self.crop, device=machine.device,
            conditions=pair_conditions(stack) if self.directions == "embedded" else None,
            shared_step=self.shared_step, step_interval=self.step_interval,
        )  # fmt: skip
        return on_device(draw)

    def _denoise_stack(
        self, weights: Weights, stack: Stack, machine: Machine, seed: int, watch: Watch
    ) -> DenoisedStack:
        f = self._loaded(self._network(stack, seed), weights.state, machine)
        done = sampled(
            f, stack, self._walker(machine, seed), self._samples,
            batch=self.sampling_batch, watch=watch,
        )  # fmt: skip
        record = self._stopping(done.walks) | {"samples": self._samples} | f.record
        return DenoisedStack(done.walks.unit, record, done.sd if self.uncertainty else None)

    def _walker(self, machine: Machine, seed: int) -> Walker:
        rules: dict[str, Stop | None] = {
            "adaptive": Adaptive(self.threshold),
            "noise": NoiseBound(self.threshold),
            "never": None,
        }
        return Walker(
            Schedule(), self.steps, rules[self.stop], self.start_fusion or self.fusion,
            self.noise, self.flips, within=self.crop, seed=seed, device=machine.device,
            transition=Transition(
                Schedule(), self.state, self.state_noise, self.fusion, self.turn, self.stride
            ),
            directions=self.directions,
        )  # fmt: skip

    def _stopping(self, walks: Walks) -> dict[str, Any]:
        """The stopping steps on record; a warning where Run-Walk was a single pass."""
        record = stopping(walks, self.steps)
        first = record["first_stop_share"]
        if first > FIRST_STOP_WARNING and len(self.steps) > 1:
            warnings.warn(
                f"{first:.0%} of the slices stopped at their first evaluation (stop={self.stop}, "
                f"threshold {self.threshold:g}): for them Run-Walk was a single pass.",
                DwiserWarning,
                stacklevel=2,
            )
        return record

    def _evaluate(
        self, f: Evaluate, stack: Stack, items: np.ndarray, machine: Machine, seed: int
    ) -> None:
        one = replace(self, stop="never", evaluations=1)._walker(machine, seed)
        one.group(f, stack, items)
