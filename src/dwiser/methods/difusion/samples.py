"""Several walks of the same slices, each with another ξ: their mean and their sd."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from dwiser.learn.sampling import Walker, Walks, walk_stack
from dwiser.prepare.stack import Stack
from dwiser.seeds import stream
from dwiser.watch import Progress, Watch


@dataclass(frozen=True, eq=False)
class Samples:
    """The mean of the walks, every walk's evaluations, and the sd of the samples (K, Z, H, W).

    The sd is of one sample, in [−1, 1] units; None of a single walk.
    """

    walks: Walks
    sd: Float[np.ndarray, "k z h w"] | None


def sampled(
    f: Callable[[Tensor, Tensor], Tensor],
    stack: Stack,
    walker: Walker,
    count: int,
    *,
    batch: int,
    watch: Watch,
) -> Samples:
    """Walk every item ``count`` times; the first with the walker's own seed."""
    walks = walk_stack(f, stack, walker, batch=batch, watch=watch)
    if count == 1:
        return Samples(walks, None)
    mean, squares = walks.unit.astype(np.float64), np.zeros(walks.unit.shape)
    every = [walks]
    for i in range(1, count):

        def numbered(at: Progress, i: int = i) -> None:
            watch(replace(at, task=f"{at.task} {i + 1} of {count}"))

        seed = int(stream(walker.seed, "sample", i).integers(2**31))
        again = walk_stack(f, stack, replace(walker, seed=seed), batch=batch, watch=numbered)
        every.append(again)
        change = again.unit - mean
        mean += change / (i + 1)
        squares += change * (again.unit - mean)
    return Samples(
        Walks(
            mean.astype(np.float32),
            np.concatenate([w.evaluations for w in every]),
            np.concatenate([w.distance for w in every]),
        ),
        np.sqrt(squares / (count - 1)).astype(np.float32),
    )
