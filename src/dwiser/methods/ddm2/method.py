"""DDM2: a first network's guess places each slice on the chain; a second walks it down."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from dwiser.chain.schedule import LENGTH, Schedule
from dwiser.learn.budget import Work
from dwiser.learn.checkpointing import Course, tensors_under
from dwiser.learn.device_draws import DeviceCuts, DeviceStack, Examples, cuts_on_device
from dwiser.learn.passes import single_pass
from dwiser.learn.patches import Cut, CutDraw, Example, as_tensor
from dwiser.learn.sampling import Flips
from dwiser.learn.step import Batch
from dwiser.learn.where_drawn import Draw
from dwiser.machine import Machine
from dwiser.methods.base import Weights
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.ddm2.device_stages import DeviceStateExamples
from dwiser.methods.ddm2.presets import PRESETS
from dwiser.methods.ddm2.stages import Descent, Goal, Matched, StateExample, match_states
from dwiser.methods.learned import DenoisedStack, Ready
from dwiser.methods.networked import Evaluate, Networked
from dwiser.methods.networks import Scaling, build_network, inside
from dwiser.methods.options import option
from dwiser.prepare.pairs import Neighbour, Partner
from dwiser.prepare.stack import Stack
from dwiser.watch import Watch

FIRST, SECOND = "first.", "second."  # prefixes of the two networks' weights


@dataclass(frozen=True)
class DDM2(Networked):
    """Stage I guesses x̂ from the volumes before and after, II finds t*, III samples from x.

    Xiang, Yurt, Syed, Setsompop, Chaudhari, *DDM²: Self-Supervised Diffusion MRI Denoising
    with Generative Diffusion Models*, ICLR 2023, arXiv 2302.03018.

    Notes
    -----
    Where neighbouring volumes have other gradient directions, x̂ is the mean contrast; the
    difference to x then counts as noise, which sets t* too high and is sampled away. With x as
    Stage III's target the way down is stable only if x̂ = E[x | x̂]: what F adds to a clean x̂,
    it adds at each of the last steps. The residual's mean is added back to x̂ in Stage III, and
    Stage II takes the first state that matches (the authors' released settings, as reported); for
    images in [−1, 1] the first is also the nearest one. Voxels outside the mask and volumes
    that pass through are the input's; the authors' program writes whole slices.
    """

    name: ClassVar[str] = "ddm2"

    neighbour: Neighbour = option(
        "shell", "which volumes are before and after: within the shell, or in the series"
    )
    first_share: float = option(
        0.5, "share of the iterations for Stage I's network", least=0.01, most=0.99
    )
    latter: int | None = option(
        None, "train on t ~ U{1 ... latter}; none: up to the highest t* of a slice",
        least=1, most=LENGTH,
    )  # fmt: skip
    target: Goal = option(
        "guess", "what Stage III learns to give: x (noisy, the publication's), or Stage I's guess"
    )
    posterior: Literal["stochastic", "mean"] = option(
        "stochastic", "sampling draws from the posterior, or takes its mean"
    )
    flips: Flips = option("drawn", "mean over four flips, or one drawn flip, at each evaluation")
    evaluations: int | None = option(
        16, "most evaluations of a slice, by strides; none: all steps from t* down", least=1
    )

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do."""
        return replace(
            self._learned,
            presets=PRESETS,
            least_directions=3,
        )

    @property
    def _partner(self) -> Partner:
        return "adjacent"

    @property
    def _order(self) -> Neighbour:
        return self.neighbour

    @property
    def _most_evaluations(self) -> int:
        return self.evaluations or LENGTH

    def _counted(self, work: Work) -> "DDM2":
        return replace(self, minutes=None, iterations=work.iterations, evaluations=work.evaluations)

    @property
    def _shares(self) -> tuple[int, int]:
        """Iterations of Stage I and of Stage III."""
        first = min(max(1, round(self.iterations * self.first_share)), max(1, self.iterations - 1))
        return first, max(1, self.iterations - first)

    def _network(self, stack: Stack, seed: int) -> nn.Module:
        """Stage I's: the volumes before and after → x."""
        before, after = beside(stack)
        scaling = Scaling.between(stack, (stack.target[before] + stack.target[after]) / 2)
        return build_network(self.network, self.width, scaling, seed, channels=2, conditioned=False)

    def _second(self, stack: Stack, clean: np.ndarray, seed: int) -> nn.Module:
        """Stage III's: x̂ at a level of the chain, whose noise has sd 1, → x."""
        remaining = Scaling.between(stack, clean)
        images = float(inside(stack, stack.target).std()) or 1.0
        scaling = Scaling(remaining.centre, remaining.spread, noise=1.0, images=images)
        return build_network(self.network, self.width, scaling, seed, purpose="weights III")

    def _draw(self, stack: Stack, machine: Machine, seed: int) -> Draw:
        before, after = beside(stack)

        def example(cut: Cut, rng: np.random.Generator) -> Example:
            volumes = (before[cut.k], after[cut.k])
            inputs = np.stack([cut.of(stack.target[k, cut.z]) for k in volumes])
            return Example(inputs, cut.of(stack.target[cut.k, cut.z])[None])

        def examples(on: DeviceStack) -> Examples:
            volumes = [torch.from_numpy(places).to(machine.device) for places in (before, after)]

            def beside_x(cuts: DeviceCuts, _: torch.Generator) -> Batch:
                inputs = [cuts.of_volumes(on.target, places[cuts.k]) for places in volumes]
                return Batch(torch.stack(inputs, 1), None, cuts.of(on.target)[:, None])

            return beside_x

        draw = CutDraw(stack, example, seed, self.batch, self.patch, machine.device, "stage I")
        return cuts_on_device(draw, examples)

    def _evaluate(
        self, f: Evaluate, stack: Stack, items: np.ndarray, machine: Machine, seed: int
    ) -> None:
        x = as_tensor(stack.target[items[:, 0], items[:, 1]], machine.device)
        for _ in range(4 if self.flips == "four" else 1):
            f(x[:, None].expand(-1, 2, -1, -1))

    def _learn(
        self, ready: Ready, machine: Machine, seed: int, watch: Watch, course: Course
    ) -> Weights:
        stack, (few, many) = ready.stack, self._shares
        first = self._network(stack, seed).to(machine.device)
        course.begin(first, FIRST)
        draw = self._draw(stack, machine, seed)
        guess = self._trained(first, draw, machine, watch, course, few, "stage I")
        guessing = self._loaded(self._network(stack, seed), guess.state, machine)
        matched = self._matched(guessing, stack, machine, watch)
        second = self._second(stack, matched.clean, seed).to(machine.device)
        course.begin(second, SECOND)
        latter = self.latter or int(matched.state.max())
        example = StateExample(Schedule(), stack, matched, latter, self.crop, self.target)
        draw = cuts_on_device(
            CutDraw(stack, example, seed, self.batch, self.patch, machine.device, "stage III"),
            partial(DeviceStateExamples.of, example),
        )
        chain = self._trained(second, draw, machine, watch, course, many, "stage III")
        state = {FIRST + k: v for k, v in guess.state.items()}
        state |= {SECOND + k: v for k, v in chain.state.items()}
        record = {
            "iterations": few + many,
            "pixels": guess.record["pixels"] + chain.record["pixels"],
            "evaluations_most": self._most_evaluations,
            "stage_1": guess.record,
            "stage_3": chain.record | {"latter": latter},
        }
        return Weights(state, record)

    def _matched(self, f: Evaluate, stack: Stack, machine: Machine, watch: Watch) -> Matched:
        """Stage I's x̂ of every slice, and Stage II's t*."""
        before, after = beside(stack)
        clean = single_pass(
            f,
            stack,
            lambda items: np.stack(
                [stack.target[place[items[:, 0]], items[:, 1]] for place in (before, after)], 1
            ),
            batch=self.sampling_batch, device=machine.device, watch=watch, task="guessing",
        )  # fmt: skip
        return match_states(Schedule(), stack, clean, within=self.crop)

    def _denoise_stack(
        self, weights: Weights, stack: Stack, machine: Machine, seed: int, watch: Watch
    ) -> DenoisedStack:
        of_first = tensors_under(weights.state, FIRST)
        first = self._loaded(self._network(stack, seed), of_first, machine)
        matched = self._matched(first, stack, machine, watch)
        second = self._second(stack, matched.clean, seed)
        descent = Descent(
            Schedule(), self.evaluations, self.flips, self.posterior == "stochastic",
            self.sampling_batch, seed, machine.device,
        )  # fmt: skip
        f = self._loaded(second, tensors_under(weights.state, SECOND), machine)
        unit = descent.stack(f, stack, matched, watch)
        states = matched.state[stack.items[:, 0], stack.items[:, 1]]
        taken = [len(descent.steps(int(t))) for t in states]
        quartiles = np.percentile(states, (0, 25, 50, 75, 100))
        record: dict[str, Any] = {
            "matched_state": [int(t) for t in quartiles],
            "mean_evaluations": round(float(np.mean(taken)), 2),
        } | f.record
        if first.record:
            record["stage_1"] = first.record
        return DenoisedStack(unit, record)


def beside(stack: Stack) -> tuple[np.ndarray, np.ndarray]:
    """The places (K,) in the stack of the volumes before and after each."""
    place = {int(volume): k for k, volume in enumerate(stack.plan.volumes)}
    before = np.array([place[int(volume)] for volume in stack.plan.partners], int)
    after = np.empty_like(before)
    after[before] = np.arange(len(before))
    return before, after
