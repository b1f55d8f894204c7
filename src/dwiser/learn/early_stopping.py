"""Early stopping, before a fit learns the noise: two criteria for ``loop.train``."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

EVERY = 10  # iterations between two checks


@dataclass(eq=False)
class HeldOutStopping:
    """Stop once the error on held-out voxels has not fallen for some checks; keep the best weights.

    Parameters
    ----------
    net, output : the network that is fitted, and its current output, (K, H, W).
    target, held : (K, H, W), the data, and the weight of a voxel's error: 0 if not held out.
    patience : checks without a new best before the stop.

    Notes
    -----
    Noise that is independent from voxel to voxel and volume to volume cannot be learned from
    what was not held out, so the held-out error is the error plus σ², whatever σ is.
    """

    net: nn.Module
    output: Callable[[], Tensor]
    target: Float[Tensor, "k h w"]
    held: Float[Tensor, "k h w"]
    patience: int
    best: float = torch.inf
    at: int = 0
    state: dict[str, Any] = field(default_factory=dict)

    def __call__(self, done: int) -> bool:
        if done % EVERY or not bool(self.held.any()):
            return False
        square = (self.output() - self.target).square() * self.held
        error = float(square.sum() / self.held.sum())
        if error < self.best:
            self.best, self.at, self.state = error, done, deepcopy(self.net.state_dict())
        return done - self.at >= self.patience * EVERY

    def settle(self, done: int) -> int:
        """Restore the best weights; returns their iteration."""
        if not self.state:
            return done
        self.net.load_state_dict(self.state)
        return self.at


@dataclass(eq=False)
class DiscrepancyStopping:
    """Stop once the RMS of (x − output)/σ over the voxels with σ > 0 is at the threshold.

    The discrepancy principle (Morozov). ``target`` and ``sigma`` are (K, H, W) in one unit.
    """

    output: Callable[[], Tensor]
    target: Float[Tensor, "k h w"]
    sigma: Float[Tensor, "k h w"]
    threshold: float = 1.0

    def __call__(self, done: int) -> bool:
        known = self.sigma > 0
        if done % EVERY or not bool(known.any()):
            return False
        ratio = (self.output() - self.target)[known] / self.sigma[known]
        return float(ratio.square().mean().sqrt()) <= self.threshold

    def settle(self, done: int) -> int:
        """Keeps the last weights: those that met the threshold."""
        return done
