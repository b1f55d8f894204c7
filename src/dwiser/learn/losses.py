"""The running loss of a training, read from the device now and then: reading it waits for it."""

from dataclasses import dataclass, field
from math import isfinite
from time import perf_counter

import torch
from jaxtyping import Float
from torch import Tensor

from dwiser.errors import Code, InputError
from dwiser.learn.checkpointing import TrainingState

SMOOTH = 0.98  # of the running loss in progress reports
CURVE = 50  # points of the training curve that are recorded
READ_EVERY = 50  # iterations, and seconds below, between two readings from a GPU
READ_SECONDS = 0.5


@dataclass(eq=False)
class Losses:
    """Losses of the iterations that are not yet in the training's state.

    ``iterations`` are those of the whole training, ``learning_rate`` is named in the error.
    """

    at: TrainingState
    iterations: int
    learning_rate: float
    task: str
    waiting: list[tuple[int, Tensor]] = field(default_factory=list)
    read_at: float = field(default_factory=perf_counter)

    def add(self, done: int, loss: Float[Tensor, ""]) -> None:
        """The loss of an iteration, as it lies on its device."""
        self.waiting.append((done, loss))

    @property
    def due(self) -> bool:
        """Whether to read them: on a CPU always, from a GPU after some time."""
        if not self.waiting:
            return False
        return (
            self.waiting[-1][1].device.type == "cpu"
            or len(self.waiting) >= READ_EVERY
            or perf_counter() - self.read_at >= READ_SECONDS
        )

    def read(self) -> None:
        """Bring the running loss and the curve up to date.

        Raises
        ------
        InputError
            Where a loss is NaN or infinite.
        """
        if not self.waiting:
            return
        every = max(1, self.iterations // CURVE)
        values = torch.stack([loss for _, loss in self.waiting]).cpu().tolist()
        for (done, _), loss in zip(self.waiting, values, strict=True):
            if not isfinite(loss):
                raise InputError(
                    f"The loss of the {self.task} is {loss} at iteration {done} of "
                    f"{self.iterations}, for it diverged: set a learning_rate below "
                    f"{self.learning_rate:g}.",
                    code=Code.METHOD_DIVERGED,
                )
            at = self.at
            at.loss = loss if done == 1 else SMOOTH * at.loss + (1 - SMOOTH) * loss
            if done % every == 0 or done == self.iterations:
                at.curve[str(done)] = float(f"{at.loss:.4g}")
        self.waiting.clear()
        self.read_at = perf_counter()
