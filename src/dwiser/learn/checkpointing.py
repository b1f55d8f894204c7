"""The course of a training: what it begins with, where it stands, what is kept to go on from.

Every random number of a training is keyed by its iteration, so that the iteration, the weights
and Adam's moments are all of its state: one that goes on from there ends in the same bits.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from dwiser.errors import InputError

Fit: TypeAlias = Callable[[], tuple[int, int]]  # to the iteration at its end, and the one kept
NET, MOMENTS = "net.", ("step", "exp_avg", "exp_avg_sq")


@dataclass
class TrainingState:
    """How far a training is: iterations done, the running loss, pixels seen, parts of a batch."""

    done: int = 0
    loss: float = 0.0
    pixels: int = 0
    parts: int = 1
    curve: dict[str, float] = field(default_factory=dict)
    finished: bool = False


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One task at one moment: its tensors by name, and plain values."""

    tensors: dict[str, Tensor]
    told: dict[str, Any]


@dataclass(eq=False)
class Course:
    """Keeps snapshots of the tasks of a run, and hands them back to one that goes on.

    Parameters
    ----------
    start : parameters to begin with instead of fresh ones; empty for none.
    snapshots : by task; those of the broken run, in one that goes on.
    counted : the fields that a budget of minutes was turned into, once.
    write : called with the course when it is time; None: nothing is kept.
    every : seconds between two calls of ``write``, about.
    """

    start: Mapping[str, Tensor] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    counted: dict[str, Any] = field(default_factory=dict)
    write: Callable[["Course"], None] | None = None
    every: float = 60.0
    written: float = field(default_factory=perf_counter)

    def begin(self, net: nn.Module, prefix: str = "") -> None:
        """Give a fresh network the parameters to start with, if there are any."""
        if self.start:
            own = {k.removeprefix(prefix): v for k, v in self.start.items() if k.startswith(prefix)}
            learned_into(net, own)

    def resumed(self, task: str, net: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
        """Where the task stands; its network and optimizer are put back there."""
        kept = self.snapshots.get(task)
        if kept is None:
            return TrainingState()
        net.load_state_dict(_under(kept.tensors, NET))
        standing = TrainingState(**kept.told)
        if not standing.finished:
            for i, parameter in enumerate(optimizer.param_groups[0]["params"]):
                optimizer.state[parameter] = {
                    name: _like(kept.tensors[f"{name}.{i}"], parameter) for name in MOMENTS
                }
        return standing

    def keep(
        self, task: str, net: nn.Module, optimizer: torch.optim.Optimizer, at: TrainingState
    ) -> None:
        """Note where the task stands: once it is finished, and when it is time to write."""
        if self.write is None or not (at.finished or self._due):
            return
        tensors = {NET + k: v.detach().cpu().clone() for k, v in net.state_dict().items()}
        if not at.finished:
            for i, parameter in enumerate(optimizer.param_groups[0]["params"]):
                moments = optimizer.state[parameter]
                tensors |= {f"{name}.{i}": moments[name].cpu().clone() for name in MOMENTS}
        self._note(task, Snapshot(tensors, asdict(at)))

    def once(
        self, task: str, net: nn.Module, fit: Callable[[], tuple[int, int]]
    ) -> tuple[int, int]:
        """A short fit that is done whole or not at all: its numbers, and the network fitted."""
        kept = self.snapshots.get(task)
        if kept is not None:
            net.load_state_dict(_under(kept.tensors, NET))
            ended, best = kept.told["fit"]
            return int(ended), int(best)
        found = fit()
        if self.write is not None:
            tensors = {NET + k: v.detach().cpu().clone() for k, v in net.state_dict().items()}
            self._note(task, Snapshot(tensors, {"fit": list(found)}))
        return found

    @property
    def _due(self) -> bool:
        return perf_counter() - self.written >= self.every

    def _note(self, task: str, snapshot: Snapshot) -> None:
        self.snapshots[task] = snapshot
        if self.write is not None and self._due:
            self.write(self)
            self.written = perf_counter()


def learned_into(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put learned parameters into a network whose scaling stays the scan's own.

    What a network measured of its scan (its buffers) is no part of what it learned.

    Raises
    ------
    InputError
        For parameters of another network.
    """
    own = dict(net.named_parameters())
    for name, parameter in own.items():
        if name not in state or state[name].shape != parameter.shape:
            raise InputError(
                "The weights are of a network of another kind or size: give those of the same "
                "method, network and width."
            )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(state[name])


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _like(kept: Tensor, parameter: Tensor) -> Tensor:
    """A moment on its parameter's device, laid out in memory as the parameter is."""
    if kept.ndim == 0:
        return kept.clone()
    return torch.empty_like(parameter).copy_(kept)
