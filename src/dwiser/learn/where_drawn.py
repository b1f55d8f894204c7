"""Whether a training's batches are drawn on its GPU or in NumPy, and the word on record."""

from collections.abc import Callable
from dataclasses import dataclass

from dwiser.learn.memory import out_of_memory
from dwiser.learn.step import Batch

ON_DEVICE, IN_NUMPY = "drawn on the device", "drawn in NumPy"
Draw = Callable[[int], Batch]  # the batch of an iteration


@dataclass(frozen=True, eq=False)
class FallenBack:
    """NumPy's draw in place of the device's, and why."""

    draw: Draw
    note: str

    def __call__(self, iteration: int) -> Batch:
        """The batch of an iteration."""
        return self.draw(iteration)


def on_gpu(device: str) -> bool:
    """Whether batches are drawn where a network on this device is."""
    return device == "cuda"


def where_possible(draw: Draw, device: str, build: Callable[[], Draw]) -> Draw:
    """What ``build`` gives, where the network is on a GPU and the first batch is finite.

    ``draw``, NumPy's, otherwise: a GPU without room for the scan, or one that refuses an
    operation, is no reason to end. ``note_of`` says which it is.
    """
    if not on_gpu(device):
        return draw
    try:
        drawn = build()
        reason = "" if drawn(0).finite else "the device's first batch is not finite"
    except RuntimeError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = "the device has no memory for it" if out_of_memory(error) else lines[0]
    return FallenBack(draw, f"{IN_NUMPY}: {reason}") if reason else drawn


def note_of(draw: Draw, device: str) -> str:
    """Where batches are drawn, for the record; empty where the network is on no GPU."""
    return str(getattr(draw, "note", ON_DEVICE)) if on_gpu(device) else ""
