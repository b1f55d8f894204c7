"""When to stop sampling a slice: adaptive termination (Eq. 13), and a bound by the noise.

A rule is a pure function of (x, x_out, σ) → one number a slice; a slice stops once the
number exceeds its threshold. x_out drifts away from x as the chain goes on, so a larger
threshold means more steps and a smoother result.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

BODY_LOW, BODY_HIGH = -0.95, -0.93  # the program's two brain thresholds in [−1, 1] units


@runtime_checkable
class Stop(Protocol):
    """A rule for when to stop a slice."""

    @property
    def threshold(self) -> float:
        """A slice whose distance exceeds it stops."""
        ...

    def distance(
        self,
        x: Float[Tensor, "b h w"],
        x_out: Float[Tensor, "b h w"],
        sigma: Float[Tensor, "b h w"],
    ) -> Float[Tensor, "b"]:
        """How far x_out is from x, in the rule's own measure. σ is 0 outside the mask."""
        ...


def body_factor(x: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """b_x = √(½N/N_{x>−0.95} + ½N/N_{x>−0.93}): what share of the slice is tissue.

    A slice with no tissue counts as one with a single pixel of it, which ends it at once.
    """
    pixels = x[0].numel()
    low = (x > BODY_LOW).sum((1, 2)).clamp(min=1)
    high = (x > BODY_HIGH).sum((1, 2)).clamp(min=1)
    return torch.sqrt(0.5 * pixels / low + 0.5 * pixels / high)


@dataclass(frozen=True)
class Adaptive:
    """Eq. 13: d_x = RMSE(x, x_out)·b_x, in [−1, 1] units.

    The threshold is bound to the data's noise: 0.040 (the program's) is below what even a
    perfect x_out gives on a noisy scan, where every slice stops at its first evaluation.
    """

    threshold: float = 0.040

    def distance(
        self,
        x: Float[Tensor, "b h w"],
        x_out: Float[Tensor, "b h w"],
        sigma: Float[Tensor, "b h w"],
    ) -> Float[Tensor, "b"]:
        return (x - x_out).square().mean((1, 2)).sqrt() * body_factor(x)


@dataclass(frozen=True)
class NoiseBound:
    """RMS of (x − x_out)/σ inside the mask against 1: no more is removed than the noise."""

    threshold: float = 1.0

    def distance(
        self,
        x: Float[Tensor, "b h w"],
        x_out: Float[Tensor, "b h w"],
        sigma: Float[Tensor, "b h w"],
    ) -> Float[Tensor, "b"]:
        inside: Bool[Tensor, "b h w"] = sigma > 0
        ratio = torch.where(inside, (x - x_out) / sigma.clamp(min=1e-12), 0.0)
        count = inside.sum((1, 2))
        mean = ratio.square().sum((1, 2)) / count.clamp(min=1)
        return torch.where(count > 0, mean.sqrt(), torch.inf)  # nothing inside: done at once
