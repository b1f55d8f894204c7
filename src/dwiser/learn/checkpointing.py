"""Checkpoints of a training: its first parameters, its state, and snapshots to resume from.

Every random number of a training is keyed by its iteration, so that the iteration, the weights
and Adam's moments are all of its state: a resumed training ends in the same bits.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from dwiser.errors import Code, InputError

Fit: TypeAlias = Callable[[], tuple[int, int]]  # to the last iteration, and the best one
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
    """One task at one moment: its tensors by name, and its metadata as plain values."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


@dataclass(eq=False)
class Course:
    """Keeps snapshots of the tasks of a run, and returns them to a run that resumes.

    Parameters
    ----------
    start : parameters to begin with instead of fresh ones; empty for none.
    snapshots : by task; those of the interrupted run, in one that resumes.
    counted : the fields that a budget of minutes was converted to, once.
    write : called with the course when it is time; None: no snapshot is written.
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
            parameters = {
                k.removeprefix(prefix): v for k, v in self.start.items() if k.startswith(prefix)
            }
            load_learned(net, parameters)

    def resumed(self, task: str, net: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
        """The task's state; its network and optimizer are restored to it."""
        snapshot = self.snapshots.get(task)
        if snapshot is None:
            return TrainingState()
        net.load_state_dict(tensors_under(snapshot.tensors, NET))
        state = TrainingState(**snapshot.metadata)
        if not state.finished:
            for i, parameter in enumerate(optimizer.param_groups[0]["params"]):
                optimizer.state[parameter] = {
                    name: _like(snapshot.tensors[f"{name}.{i}"], parameter) for name in MOMENTS
                }
        return state

    def keep(
        self, task: str, net: nn.Module, optimizer: torch.optim.Optimizer, at: TrainingState
    ) -> None:
        """Take a snapshot of the task: once it is finished, and when it is time to write."""
        if self.write is None or not (at.finished or self.due):
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
        """A short fit without intermediate snapshots: its iterations, with the network fitted."""
        snapshot = self.snapshots.get(task)
        if snapshot is not None:
            net.load_state_dict(tensors_under(snapshot.tensors, NET))
            ended, best = snapshot.metadata["fit"]
            return int(ended), int(best)
        result = fit()
        if self.write is not None:
            tensors = {NET + k: v.detach().cpu().clone() for k, v in net.state_dict().items()}
            self._note(task, Snapshot(tensors, {"fit": list(result)}))
        return result

    @property
    def due(self) -> bool:
        """Whether it is time to write a snapshot."""
        return self.write is not None and perf_counter() - self.written >= self.every

    def _note(self, task: str, snapshot: Snapshot) -> None:
        self.snapshots[task] = snapshot
        if self.write is not None and self.due:
            self.write(self)
            self.written = perf_counter()


def load_learned(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load learned parameters into a network; its buffers, measured on its own scan, stay.

    Raises
    ------
    InputError
        For parameters of another network.
    """
    parameters = dict(net.named_parameters())
    for name, parameter in parameters.items():
        if name not in state or state[name].shape != parameter.shape:
            raise InputError(
                "The weights are of a network of another kind or size: give those of the same "
                "method, network and width.",
                code=Code.WEIGHTS_MISMATCH,
            )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state[name])


def tensors_under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin with a prefix, under the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _like(moment: Tensor, parameter: Tensor) -> Tensor:
    """A moment on its parameter's device, laid out in memory as the parameter is."""
    if moment.ndim == 0:  # its step: fused Adam counts on the parameter's device
        return moment.to(parameter.device, copy=True)
    return torch.empty_like(parameter).copy_(moment)
