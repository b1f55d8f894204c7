"""What learned methods share: prepare, count the budget, learn, apply, give the units back."""

from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float

from dwiser.errors import Code, InputError
from dwiser.learn.budget import Pace, TrainingPlan, Work, plan_work
from dwiser.learn.checkpointing import Course
from dwiser.learn.loop import Decay
from dwiser.machine import Machine
from dwiser.methods.base import Denoised, Weights, need_vectors, need_volumes
from dwiser.methods.budgets import DEFAULT
from dwiser.methods.capabilities import Capabilities, WorkingMemory
from dwiser.methods.options import option
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.pairs import FEWEST_B0S, B0s, Neighbour, Partner
from dwiser.prepare.stack import Stack, build_stack
from dwiser.scan import Scan
from dwiser.watch import Watch, silent


@dataclass(frozen=True, eq=False)
class Ready:
    """A scan made ready: its mask, σ map and stack of pairs."""

    mask: Bool[np.ndarray, "x y z"]
    sigma: Float[np.ndarray, "x y z"]
    stack: Stack


@dataclass(frozen=True, eq=False)
class DenoisedStack:
    """The denoised stack (K, Z, H, W) in [−1, 1] units, and its entries of the record.

    ``sd`` is the sd of its error in the same units, where the method gives one.
    """

    unit: Float[np.ndarray, "k z h w"]
    record: dict[str, Any]
    sd: Float[np.ndarray, "k z h w"] | None = None


@dataclass(frozen=True)
class Learned:
    """A method that learns from the scan it denoises.

    A subclass says what x' is (``_partner``), how it learns (``_learn``) and how it denoises a
    stack (``_denoise_stack``); the rest is the same for all.
    """

    name: ClassVar[str]

    iterations: int = option(DEFAULT["iterations"], "training iterations", least=1)
    minutes: float | None = option(
        None, "bound of the whole run, turned once into iterations", least=0
    )
    learning_rate: float = option(DEFAULT["learning_rate"], "Adam's learning rate", least=0)
    decay: Decay = option(DEFAULT["decay"], "learning rate over the training")
    crop: bool = option(
        DEFAULT["crop"], "work in the mask's box, and shuffle noise inside the mask"
    )
    b0s: B0s = option(
        DEFAULT["b0s"], "b0s are denoised as a shell of their own, or never shown to the network"
    )
    fewest_b0s: int = option(FEWEST_B0S, "fewer b0s than this pass through unchanged", least=2)

    @property
    def capabilities(self) -> Capabilities:
        """A subclass adds its own to `_learned`."""
        raise NotImplementedError

    @property
    def _learned(self) -> Capabilities:
        """What holds for all: the mask's voxels, x, x' and the result in [−1, 1] units."""
        place: Literal["box", "field of view"] = "box" if self.crop else "field of view"
        memory = WorkingMemory(4.0, 4.0, place)
        return Capabilities(has_seed=True, device="cpu or cuda", memory=memory)

    def denoise(
        self,
        scan: Scan,
        *,
        machine: Machine,
        seed: int,
        watch: Watch = silent,
        course: Course | None = None,
    ) -> Denoised:
        """Train on the scan, then apply what was learned to it.

        Returns the input's units and volume order; voxels outside the mask and volumes
        that cannot be paired (a single b0) are the input's.
        """
        begun, course = perf_counter(), course or Course()
        ready = self._prepare(scan)
        method = self._budgeted(ready, machine, seed, begun, course)
        weights = method._learn(ready, machine, seed, watch, course)
        return method._restored(weights, ready, scan, machine, seed, watch)

    def fit(self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent) -> Weights:
        """Learn from the scan alone."""
        begun, course = perf_counter(), Course()
        ready = self._prepare(scan)
        method = self._budgeted(ready, machine, seed, begun, course)
        return method._learn(ready, machine, seed, watch, course)

    def apply(
        self, weights: Weights, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Denoise a scan with weights learned before, on it or on one like it."""
        return self._restored(weights, self._prepare(scan), scan, machine, seed, watch)

    def training_plan(self, scan: Scan, *, machine: Machine, seed: int) -> TrainingPlan:
        """What the training and the sampling come to; a few steps of each are timed."""
        pace = self._pace(self._prepare(scan), machine, seed)
        return TrainingPlan(
            self._plan_words, self.iterations, self._most_evaluations, self.minutes, pace
        )

    @property
    def _plan_words(self) -> tuple[str, ...]:
        return (f"{self.iterations} iterations",)

    def _prepare(self, scan: Scan) -> Ready:
        need_volumes(scan, self.name, self.capabilities)
        need_vectors(scan, self)
        mask = object_mask(scan)
        sigma = sigma_map(scan, mask)
        stack = build_stack(
            scan, mask, sigma,
            pairing=self._partner, neighbour=self._order, fewest_b0s=self.fewest_b0s,
            crop=self.crop, b0s=self.b0s,
        )  # fmt: skip
        if not len(stack.items):
            why = "; ".join(sorted(set(stack.plan.passed.values())))
            raise InputError(
                f"{self.name} finds no volume that it can denoise: each is {why}.",
                code=Code.METHOD_NOTHING_TO_LEARN,
            )
        return Ready(mask, sigma, stack)

    @property
    def _partner(self) -> Partner:
        return "itself"

    @property
    def _order(self) -> Neighbour:
        return "shell"

    @property
    def _most_evaluations(self) -> int:
        return 1

    def _learn(
        self, ready: Ready, machine: Machine, seed: int, watch: Watch, course: Course
    ) -> Weights:
        raise NotImplementedError

    def _denoise_stack(
        self, weights: Weights, stack: Stack, machine: Machine, seed: int, watch: Watch
    ) -> DenoisedStack:
        raise NotImplementedError

    def _pace(self, ready: Ready, machine: Machine, seed: int) -> Pace:
        raise NotImplementedError

    def _counted(self, work: Work) -> "Learned":
        return replace(self, minutes=None, iterations=work.iterations)

    def _restored(
        self,
        weights: Weights,
        ready: Ready,
        scan: Scan,
        machine: Machine,
        seed: int,
        watch: Watch,
    ) -> Denoised:
        begun = perf_counter()
        estimate = self._denoise_stack(weights, ready.stack, machine, seed, watch)
        data = ready.stack.restore(scan.data, estimate.unit)
        for v in range(scan.shape[3]):  # never below 0, where the scan is not
            data[..., v] = np.maximum(data[..., v], np.minimum(scan.data[..., v], 0))
        plan = ready.stack.plan
        sd = None if estimate.sd is None else ready.stack.sd_map(scan.shape[:3], estimate.sd)
        record = {
            "training": weights.record,
            "sampling": estimate.record | {"seconds": round(perf_counter() - begun, 2)},
        }
        return Denoised(
            data, ready.sigma, sd, weights, record, ready.mask, passed_through=plan.passed
        )

    def _budgeted(
        self, ready: Ready, machine: Machine, seed: int, begun: float, course: Course
    ) -> "Learned":
        """With ``minutes``, the same method with iterations and evaluations counted out."""
        if self.minutes is None:
            return self
        if not course.counted:
            pace = self._pace(ready, machine, seed)
            seconds_left = self.minutes * 60 - (perf_counter() - begun)
            method = self._counted(plan_work(seconds_left, pace, self._most_evaluations))
            before = asdict(self)
            course.counted = {k: v for k, v in asdict(method).items() if v != before[k]}
        return replace(self, **course.counted)
