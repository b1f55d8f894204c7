"""A plain stack of convolutions on K latent channels, conditioned on the noise level of each."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dwiser.nets.compact import silence
from dwiser.nets.layers import as_autocast, full_precision


class Latent(nn.Module):
    """z and its levels → a better z; the identity at the start. No normalisation layers.

    Parameters
    ----------
    rank : K, channels in and out. width, depth : of the 3×3 convolutions.

    Notes
    -----
    The net sees z/level, where every channel's noise is 1, and returns z + level·net(·).
    """

    def __init__(self, rank: int, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        self.tell = nn.Linear(rank, width)
        self.enter = nn.Conv2d(rank, width, 3, padding=1)
        self.middle = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) for _ in range(max(0, depth - 2))
        )
        self.leave = nn.Conv2d(width, rank, 3, padding=1)
        silence(self.leave)

    def forward(
        self, z: Float[Tensor, "b k h w"], level: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b k h w"]:
        unit = level[:, :, None, None]
        with full_precision(z.device):
            shift = self.tell(torch.log(level))[:, :, None, None]
            stem = functional.relu(self.enter(z / unit) + shift)
        x = as_autocast(stem)
        for layer in self.middle:
            x = x + functional.relu(layer(x))
        with full_precision(z.device):
            return z + unit * self.leave(x.float())


class Expanded(nn.Module):
    """The latent network and the subspace behind it: z → ŷ of all volumes."""

    components: Tensor

    def __init__(self, latent: Latent, components: Float[Tensor, "m k"]) -> None:
        super().__init__()
        self.latent = latent
        self.register_buffer("components", components)

    def forward(
        self, z: Float[Tensor, "b k h w"], level: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b m h w"]:
        coordinates = self.latent(z, level)
        with full_precision(z.device):
            return torch.einsum("mk,bkhw->bmhw", self.components, coordinates)


def weight_count(rank: int, width: int, depth: int) -> int:
    """Weights of a ``Latent``, biases included."""
    layers = (9 * rank + 1) * width + max(0, depth - 2) * (9 * width + 1) * width
    return layers + (9 * width + 1) * rank + (rank + 1) * width
