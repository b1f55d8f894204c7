"""One training at a constant rate, stopped at milestones to be scored, and gone on with.

The state of the training is written to a checkpoint at each milestone and once a minute; a training
that the clock ended goes on from there, to the same bits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn

from dwiser.errors import Code, InputError
from dwiser.io import read_tensors, write_tensors
from dwiser.learn.checkpointing import NET, Course, Snapshot, TrainingState
from dwiser.machine import Machine
from dwiser.methods.base import Weights
from dwiser.methods.learned import Ready
from dwiser.methods.networked import Networked
from dwiser.run.reuse import arrays_of, tensors_of
from dwiser.watch import silent

TASK, KIND = "training", "learning curve"
EVERY = 60.0  # seconds between two checkpoints


@dataclass(frozen=True)
class Clock:
    """A bound on the time of a run: in seconds from ``begun``."""

    seconds: float
    begun: float = field(default_factory=perf_counter)

    @property
    def left(self) -> float:
        return self.seconds - (perf_counter() - self.begun)

    def over(self, done: int = 0) -> bool:
        return self.left <= 0


@dataclass(eq=False)
class Unfinished(Course):
    """A course whose training is always to be gone on with, wherever it was ended."""

    def keep(
        self, task: str, net: nn.Module, optimizer: torch.optim.Optimizer, at: TrainingState
    ) -> None:
        """As a course does, but with Adam's moments too where a part of the training ends."""
        every, self.every = self.every, 0.0 if at.finished else self.every
        super().keep(task, net, optimizer, replace(at, finished=False))
        self.every = every


def learned(path: Path) -> dict[str, torch.Tensor]:
    """The network's parameters in a checkpoint, to begin another training with.

    Raises
    ------
    InputError
        For a file that is missing or no checkpoint of a curve.
    """
    arrays, about = read_tensors(path)
    if about.get("kind") != KIND:
        raise InputError(
            f"{path}: it is no checkpoint of a learning curve: measure one first.",
            code=Code.WEIGHTS_INVALID,
        )
    tensors = dict(tensors_of(arrays))
    return {k.removeprefix(NET): v for k, v in tensors.items() if k.startswith(NET)}


def unfinished_run(path: Path, run: Mapping[str, Any]) -> Unfinished:
    """The course of a training, begun anew or read from its checkpoint.

    Raises
    ------
    InputError
        For a checkpoint of another arm, size, scan or seed; it stays.
    """

    def write(course: Course) -> None:
        snapshot = course.snapshots[TASK]
        about = {"kind": KIND, "run": dict(run), "training": snapshot.metadata}
        write_tensors(path, arrays_of(snapshot.tensors), about)

    if not path.exists():
        return Unfinished(write=write, every=EVERY)
    arrays, about = read_tensors(path)
    theirs = about.get("run", {}) if about.get("kind") == KIND else {}
    other = [name for name in run if theirs.get(name) != run[name]]
    if other:
        raise InputError(
            f"{path}: this checkpoint is of another training ({', '.join(other)}): ask for that "
            "one, name another folder by --checkpoints, or remove the file.",
            code=Code.CHECKPOINT_OTHER_RUN,
        )
    snapshot = Snapshot(dict(tensors_of(arrays)), about["training"])
    return Unfinished(snapshots={TASK: snapshot}, write=write, every=EVERY)


@dataclass(frozen=True, eq=False)
class Training:
    """A method's network in training on a scan that is ready."""

    method: Networked
    ready: Ready
    machine: Machine
    seed: int

    @property
    def items(self) -> int:
        """The slices of a pass."""
        return len(self.ready.stack.items)

    def iterations(self, passes: float) -> int:
        """After so many passes."""
        return max(1, round(passes * self.items / self.method.batch))

    def milestones(
        self, passes: tuple[float, ...], course: Unfinished, clock: Clock
    ) -> Iterator[tuple[float, Weights | None]]:
        """(passes, weights) of each milestone; weights are None where the clock ended it before."""
        net = self.method._network(self.ready.stack, self.seed).to(self.machine.device)
        course.begin(net)
        draw = self.method._draw(self.ready.stack, self.machine, self.seed)
        for wanted in sorted(passes):
            iterations = self.iterations(wanted)
            weights = self.method._trained(
                net, draw, self.machine, silent, course, iterations, TASK, clock.over
            )
            done = weights.record["iterations"]
            if done > iterations:
                raise InputError(
                    f"The checkpoint is past {wanted:g} passes, which are not on record: remove it "
                    "to begin anew, or ask for more passes.",
                    code=Code.CHECKPOINT_OTHER_RUN,
                )
            yield wanted, weights if done == iterations else None
            if done < iterations:
                return


def parameters(method: Networked) -> dict[str, Any]:
    """A method's fields as plain values, without those that a curve sets itself."""
    return {k: v for k, v in asdict(method).items() if k not in ("iterations", "minutes")}
