"""What learned methods share: prepare, count the budget, learn, apply, give the units back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dwiser.errors import InputError
from dwiser.learn.budget import Pace, Work, measure, plan_work
from dwiser.learn.loop import Batch, Decay, train
from dwiser.learn.memory import batched
from dwiser.machine import Machine
from dwiser.methods.base import Denoised, Weights
from dwiser.methods.budgets import DEFAULT
from dwiser.methods.networks import Network
from dwiser.methods.options import option
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.pairs import FEWEST_B0S, Neighbour, Partner
from dwiser.prepare.stack import Stack, build_stack
from dwiser.scan import Scan
from dwiser.watch import Watch, silent

Draw = Callable[[int], Batch]
Evaluate = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class Ready:
    """A scan made ready: its mask, σ map and stack of pairs."""

    mask: Bool[np.ndarray, "x y z"]
    sigma: Float[np.ndarray, "x y z"]
    stack: Stack


@dataclass(frozen=True, eq=False)
class Found:
    """The denoised stack (K, Z, H, W) in [−1, 1] units, and what to record of it."""

    unit: Float[np.ndarray, "k z h w"]
    record: dict[str, Any]


@dataclass(frozen=True)
class Learned:
    """A method that learns from the scan it denoises.

    A subclass says what x' is (``_partner``), how it learns (``_learn``) and what it makes of
    a stack (``_find``); the rest is the same for all.
    """

    name: ClassVar[str]
    least_directions: ClassVar[int]
    has_seed: ClassVar[bool] = True

    iterations: int = option(DEFAULT["iterations"], "training iterations", least=1)
    minutes: float | None = option(
        None, "bound of the whole run, turned once into iterations", least=0
    )
    learning_rate: float = option(DEFAULT["learning_rate"], "Adam's learning rate", least=0)
    decay: Decay = option(DEFAULT["decay"], "learning rate over the training")
    crop: bool = option(
        DEFAULT["crop"], "work in the mask's box, and shuffle noise inside the mask"
    )
    fewest_b0s: int = option(FEWEST_B0S, "fewer b0s than this pass through unchanged", least=2)

    def denoise(
        self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Train on the scan, then apply what was learned to it.

        Returns the input's units and volume order; voxels outside the mask and volumes
        that cannot be paired (a single b0) are the input's.
        """
        begun = perf_counter()
        ready = self._prepare(scan)
        method = self._budgeted(ready, machine, seed, begun)
        weights = method._learn(ready, machine, seed, watch)
        return method._restored(weights, ready, scan, machine, seed, watch)

    def fit(self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent) -> Weights:
        """Learn from the scan alone."""
        begun = perf_counter()
        ready = self._prepare(scan)
        return self._budgeted(ready, machine, seed, begun)._learn(ready, machine, seed, watch)

    def apply(
        self, weights: Weights, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Denoise a scan with weights learned before, on it or on one like it."""
        return self._restored(weights, self._prepare(scan), scan, machine, seed, watch)

    def pace(self, scan: Scan, *, machine: Machine, seed: int) -> Pace:
        """Seconds a training iteration and an evaluation of all slices, measured."""
        return self._pace(self._prepare(scan), machine, seed)

    def _prepare(self, scan: Scan) -> Ready:
        directions = int((~scan.gradients.is_b0).sum())
        if directions < self.least_directions:
            raise InputError(
                f"{self.name} needs at least {self.least_directions} diffusion-weighted volumes, "
                f"the scan has {directions}: use a method that works on single volumes."
            )
        mask = object_mask(scan)
        sigma = sigma_map(scan, mask)
        stack = build_stack(
            scan, mask, sigma,
            pairing=self._partner, neighbour=self._order, fewest_b0s=self.fewest_b0s,
            crop=self.crop,
        )  # fmt: skip
        if not len(stack.items):
            why = "; ".join(sorted(set(stack.plan.passed.values())))
            raise InputError(f"{self.name} finds no volume that it can denoise: each is {why}.")
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

    def _learn(self, ready: Ready, machine: Machine, seed: int, watch: Watch) -> Weights:
        raise NotImplementedError

    def _find(
        self, weights: Weights, stack: Stack, machine: Machine, seed: int, watch: Watch
    ) -> Found:
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
        found = self._find(weights, ready.stack, machine, seed, watch)
        data = np.maximum(ready.stack.restore(scan.data, found.unit), np.minimum(scan.data, 0))
        plan = ready.stack.plan
        record = {
            "training": weights.record,
            "sampling": found.record | {"seconds": round(perf_counter() - begun, 2)},
            "volumes_denoised": len(plan.volumes),
            "volumes_passed_through": {str(v): why for v, why in plan.passed.items()},
        }
        return Denoised(data, ready.sigma, None, weights, record, ready.mask)

    def _budgeted(self, ready: Ready, machine: Machine, seed: int, begun: float) -> "Learned":
        """With ``minutes``, the same method with iterations and evaluations counted out."""
        if self.minutes is None:
            return self
        pace = self._pace(ready, machine, seed)
        left = self.minutes * 60 - (perf_counter() - begun)
        return self._counted(plan_work(left, pace, self._most_evaluations))


@dataclass(frozen=True)
class Networked(Learned):
    """A learned method whose network sees batches of patches: ``_network`` and ``_draw``."""

    network: Network = option(DEFAULT["network"], "the fast network, or the paper's U-Net")
    width: int = option(DEFAULT["width"], "channels of the network's first level", least=4)
    batch: int = option(DEFAULT["batch"], "training items an iteration", least=1)
    patch: int | None = option(
        DEFAULT["patch"], "edge of training patches; none: whole slices", least=8
    )
    sampling_batch: int = option(64, "slices in the network at once when sampling", least=1)

    def _network(self, stack: Stack, seed: int) -> nn.Module:
        raise NotImplementedError

    def _draw(self, stack: Stack, machine: Machine, seed: int) -> Draw:
        raise NotImplementedError

    def _evaluate(
        self, f: Evaluate, stack: Stack, items: np.ndarray, machine: Machine, seed: int
    ) -> None:
        """One evaluation of some items, for the clock."""
        raise NotImplementedError

    def _learn(self, ready: Ready, machine: Machine, seed: int, watch: Watch) -> Weights:
        net = self._network(ready.stack, seed).to(machine.device)
        return self._trained(net, self._draw(ready.stack, machine, seed), machine, watch)

    def _trained(
        self,
        net: nn.Module,
        draw: Draw,
        machine: Machine,
        watch: Watch,
        iterations: int | None = None,
        task: str = "training",
    ) -> Weights:
        """Fit a network on its device; its weights, and the work that went into them."""
        begun = perf_counter()
        trained = train(
            net, draw, iterations=iterations or self.iterations,
            learning_rate=self.learning_rate, decay=self.decay,
            bf16=machine.device == "cuda", watch=watch, task=task,
        )  # fmt: skip
        record = {
            "iterations": trained.iterations,
            "batch": self.batch,
            "patch": self.patch,
            "pixels": trained.pixels,
            "evaluations_most": self._most_evaluations,
            "loss": trained.loss,
            "curve": trained.curve,
            "seconds": round(perf_counter() - begun, 2),
            "parameters": sum(p.numel() for p in net.parameters()),
        }
        return Weights({k: v.cpu() for k, v in net.state_dict().items()}, record)

    def _loaded(self, net: nn.Module, state: dict[str, Any], machine: Machine) -> Evaluate:
        net.load_state_dict(state)
        return self._batched(net.to(machine.device), machine)

    def _batched(self, net: nn.Module, machine: Machine) -> Evaluate:
        return batched(net.eval(), self.sampling_batch, bf16=machine.device == "cuda")

    def _pace(self, ready: Ready, machine: Machine, seed: int) -> Pace:
        stack = ready.stack
        net = self._network(stack, seed).to(machine.device)
        f = self._batched(net, machine)
        share = min(len(stack.items), self.sampling_batch)

        def evaluate() -> float:
            begun = perf_counter()
            self._evaluate(f, stack, stack.items[:share], machine, seed)
            return (perf_counter() - begun) * len(stack.items) / max(1, share)

        return measure(
            net, self._draw(stack, machine, seed), evaluate, bf16=machine.device == "cuda"
        )
