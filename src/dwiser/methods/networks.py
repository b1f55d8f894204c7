"""The network of a learned method: the fast one, scaled to the stack, or the paper's U-Net."""

from dataclasses import dataclass
from math import gcd, inf
from typing import Literal

import numpy as np
import torch
from torch import nn

from dwiser.nets.compact import Compact
from dwiser.nets.unet import GROUPS, UNet
from dwiser.prepare.stack import Stack
from dwiser.seeds import stream

Network = Literal["compact", "unet"]
SPREAD_SAMPLE = 200_000  # voxels from which the compact network's scaling is measured


@dataclass(frozen=True)
class Scaling:
    """What the compact network knows about its images; see ``nets.compact.Compact``."""

    centre: float
    spread: float
    noise: float = 0.0
    images: float = inf

    @classmethod
    def between(cls, stack: Stack, guess: np.ndarray) -> "Scaling":
        """Mean of ``guess`` (K, Z, H, W) in the mask, and the sd of target − guess."""
        x, partner = inside(stack, stack.target), inside(stack, guess)
        return cls(float(partner.mean()), float((x - partner).std()) or 1.0)


def inside(stack: Stack, images: np.ndarray) -> np.ndarray:
    """Values of (K, Z, H, W) images in the mask, thinned to a sample."""
    where = np.broadcast_to(stack.inside, stack.target.shape)
    return images[where][:: max(1, int(where.sum()) // SPREAD_SAMPLE)]


def build_network(
    kind: Network,
    width: int,
    scaling: Scaling,
    seed: int,
    *,
    channels: int = 1,
    conditioned: bool = True,
    conditions: int = 0,
    purpose: str = "weights",
) -> nn.Module:
    """A network with fresh weights; ``conditioned`` ones get the level of their input.

    ``conditions``: how many numbers they are told beside it.
    """
    torch.manual_seed(int(stream(seed, purpose).integers(2**31)))
    net: nn.Module
    if kind == "unet":
        groups = gcd(width, GROUPS)
        net = UNet(
            channels, base=width, groups=groups, conditioned=conditioned, conditions=conditions,
            seed=seed,
        )  # fmt: skip
    else:
        net = Compact(
            width, scaling.centre, scaling.spread,
            channels=channels, noise=scaling.noise, images=scaling.images,
            conditions=conditions,
        )  # fmt: skip
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
