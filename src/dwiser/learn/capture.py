"""Training steps and evaluations as CUDA graphs: a thousand kernels launched as one."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from dwiser.learn.step import Batch

WARM_UP = 3  # steps before the capture: Adam's state and the libraries' workspaces come to be
EVALUATED = 2  # evaluations of a shape before its capture
MOST_SHAPES = 4  # graphs of a sampling: each holds the memory of its own evaluation
CAPTURED = "captured as a CUDA graph"
Step = Callable[[Batch], Tensor]


@dataclass(eq=False)
class CapturedStep:
    """Steps on batches of one shape: the first ones eagerly, then by replaying a CUDA graph.

    Parameters
    ----------
    step : batch → its loss on the device, without waiting for it; it must keep to the device.
    eager : the same step where a graph cannot be had, in parts if the memory asks for it.

    Notes
    -----
    Where the capture fails, for whatever reason, all further steps are eager, and ``note`` says
    why. No step is lost or taken twice: a capture executes nothing.
    """

    step: Step
    eager: Step
    note: str = ""
    taken: int = 0
    static: Batch | None = None
    loss: Tensor | None = None
    graph: "torch.cuda.CUDAGraph | None" = field(default=None, repr=False)

    def __call__(self, batch: Batch) -> Float[Tensor, ""]:
        """One step; its loss on the device."""
        self.taken += 1
        if self.taken <= WARM_UP:
            with aside():
                return self.eager(batch)
        if self.taken == WARM_UP + 1:
            self._capture(batch)
        if self.graph is None or self.static is None or self.loss is None:
            return self.eager(batch)
        if batch.shapes != self.static.shapes:
            return self.eager(batch)
        self.static.copy_(batch)
        self.graph.replay()
        return self.loss.clone()

    def _capture(self, batch: Batch) -> None:
        try:
            static = batch.clone()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                loss = self.step(static)
        except RuntimeError as error:
            self.note = not_captured(error)
            return
        self.static, self.loss, self.graph, self.note = static, loss, graph, CAPTURED


def not_captured(error: BaseException) -> str:
    """What the record says of a capture that failed."""
    return f"not captured as a CUDA graph: {str(error).strip().splitlines()[0]}"


@contextmanager
def aside() -> Iterator[None]:
    """On a stream of its own, as is asked of what comes before a capture."""
    stream, current = torch.cuda.Stream(), torch.cuda.current_stream()
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        yield
    current.wait_stream(stream)


@dataclass(eq=False)
class CapturedForward:
    """A network's evaluations, replayed from one CUDA graph for each shape that comes often.

    Parameters
    ----------
    forward : (inputs, level or None) → output; it must keep to the device.

    Notes
    -----
    A shape is captured when it comes for the third time, ``MOST_SHAPES`` at most; after a failure
    nothing more is, and ``note`` says why. What is returned is overwritten by the next call: copy
    it.
    """

    forward: Callable[[Tensor, Tensor | None], Tensor]
    note: str = ""
    failed: bool = False
    seen: Counter[torch.Size] = field(default_factory=Counter)
    graphs: dict[torch.Size, tuple["torch.cuda.CUDAGraph", list[Tensor | None], Tensor]] = field(
        default_factory=dict
    )

    def __call__(self, inputs: Tensor, level: Tensor | None) -> Tensor:
        """The network's output."""
        shape = inputs.shape
        self.seen[shape] += 1
        if shape not in self.graphs and self._worth(shape):
            self._capture(inputs, level)
        if shape not in self.graphs:
            return self.forward(inputs, level)
        graph, (static, static_level), out = self.graphs[shape]
        if static is not None:
            static.copy_(inputs)
        if static_level is not None and level is not None:
            static_level.copy_(level)
        graph.replay()
        return out

    def _worth(self, shape: torch.Size) -> bool:
        return self.seen[shape] > EVALUATED and len(self.graphs) < MOST_SHAPES and not self.failed

    def _capture(self, inputs: Tensor, level: Tensor | None) -> None:
        try:
            static = inputs.clone(), None if level is None else level.clone()
            with aside():
                self.forward(*static)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                out = self.forward(*static)
        except RuntimeError as error:  # no graph: evaluations stay as they are
            self.failed, self.note = True, not_captured(error)
            return
        self.graphs[inputs.shape], self.note = (graph, list(static), out), CAPTURED
