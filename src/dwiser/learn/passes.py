"""A network once over every item of a stack, in groups that fit the device."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from dwiser.learn.patches import as_tensor
from dwiser.learn.sampling import GROUP
from dwiser.prepare.stack import Stack
from dwiser.watch import Progress, Watch, silent


def single_pass(
    f: Callable[..., Tensor],
    stack: Stack,
    inputs: Callable[[Int[np.ndarray, "n 2"]], Float[np.ndarray, "n *c h w"]],
    *,
    batch: int,
    device: str = "cpu",
    watch: Watch = silent,
    task: str = "sampling",
) -> Float[np.ndarray, "k z h w"]:
    """F of every item, clipped to [−1, 1]; slices that are no items keep their target.

    ``inputs`` gives the network's input (n, H, W) or (n, C, H, W) of some items.
    """
    unit, count = stack.target.copy(), len(stack.items)
    for lo in range(0, count, GROUP * batch):
        items = stack.items[lo : lo + GROUP * batch]
        out = f(as_tensor(inputs(items), device)).clamp(-1, 1)
        unit[items[:, 0], items[:, 1]] = out.cpu().numpy()
        watch(Progress(task, lo + len(items), count))
    return unit
