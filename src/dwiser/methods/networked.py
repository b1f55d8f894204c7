"""Learned methods whose network sees batches of patches."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from torch import Tensor, nn

from dwiser.learn.budget import Pace, measure
from dwiser.learn.checkpointing import Course, load_learned
from dwiser.learn.loop import train
from dwiser.learn.memory import BatchedNetwork
from dwiser.learn.precision import Precision
from dwiser.learn.where_drawn import Draw, note_of
from dwiser.machine import Machine
from dwiser.methods.base import Weights
from dwiser.methods.budgets import DEFAULT
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.learned import Learned, Ready
from dwiser.methods.networks import Network
from dwiser.methods.options import option
from dwiser.nets.norm import normalisation
from dwiser.prepare.stack import Stack
from dwiser.watch import Watch

Evaluate = Callable[..., Tensor]


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
    precision: Precision = option(
        DEFAULT["precision"],
        "of the network's arithmetic; tf32 is a GPU's convolutions with 10 bits (on a CPU it is "
        "float32); embedding, stem and head are float32 in each",
    )

    @property
    def _learned(self) -> Capabilities:
        return replace(super()._learned, reusable_weights=True)

    def _network(self, stack: Stack, seed: int) -> nn.Module:
        raise NotImplementedError

    def _draw(self, stack: Stack, machine: Machine, seed: int) -> Draw:
        raise NotImplementedError

    def _evaluate(
        self, f: Evaluate, stack: Stack, items: np.ndarray, machine: Machine, seed: int
    ) -> None:
        """One evaluation of some items, for the clock."""
        raise NotImplementedError

    def _learn(
        self, ready: Ready, machine: Machine, seed: int, watch: Watch, course: Course
    ) -> Weights:
        net = self._network(ready.stack, seed).to(machine.device)
        course.begin(net)
        return self._trained(net, self._draw(ready.stack, machine, seed), machine, watch, course)

    def _trained(
        self,
        net: nn.Module,
        draw: Draw,
        machine: Machine,
        watch: Watch,
        course: Course,
        iterations: int | None = None,
        task: str = "training",
        finished: Callable[[int], bool] | None = None,
    ) -> Weights:
        """Fit a network on its device; its weights, and the work that went into them.

        ``finished(done)``, asked after each iteration, may end it early.
        """
        begun = perf_counter()
        trained = train(
            net, draw, iterations=iterations or self.iterations,
            learning_rate=self.learning_rate, decay=self.decay,
            precision=self.precision, watch=watch, task=task, course=course,
            finished=finished,
        )  # fmt: skip
        record: dict[str, Any] = {
            "iterations": trained.iterations,
            "batch": self.batch,
            "patch": self.patch,
            "pixels": trained.pixels,
            "evaluations_most": self._most_evaluations,
            "loss": trained.loss,
            "curve": trained.curve,
            "seconds": round(perf_counter() - begun, 2),
            "parameters": sum(p.numel() for p in net.parameters()),
            "precision": self.precision,
        }
        notes = {
            "steps": trained.note,
            "batches": note_of(draw, machine.device),
            "normalisation": normalisation(net),
        }
        record |= {name: note for name, note in notes.items() if note}
        return Weights({k: v.cpu() for k, v in net.state_dict().items()}, record)

    def _loaded(self, net: nn.Module, state: dict[str, Any], machine: Machine) -> BatchedNetwork:
        load_learned(net, state)
        return self._batched(net.to(machine.device), machine)

    def _batched(self, net: nn.Module, machine: Machine) -> BatchedNetwork:
        return BatchedNetwork(net.eval(), self.sampling_batch, self.precision)

    def _pace(self, ready: Ready, machine: Machine, seed: int) -> Pace:
        stack = ready.stack
        net = self._network(stack, seed).to(machine.device)
        f = self._batched(net, machine)
        share = min(len(stack.items), self.sampling_batch)

        def evaluate() -> float:
            begun = perf_counter()
            self._evaluate(f, stack, stack.items[:share], machine, seed)
            return (perf_counter() - begun) * len(stack.items) / max(1, share)

        return measure(net, self._draw(stack, machine, seed), evaluate, precision=self.precision)
