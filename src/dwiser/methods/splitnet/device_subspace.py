"""Splits of the volumes, and what the chosen ones tell, for a whole batch on its device.

`prepare.splits` and `prepare.subspace` are the reference, of one set of volumes at a time; here
no step waits for the device.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dwiser.prepare.splits import HELD_LEAST, HELD_MOST, Groups
from dwiser.prepare.subspace import SignalSubspace


@dataclass(frozen=True, eq=False)
class DeviceSplits:
    """The groups of M volumes, on the device.

    Parameters
    ----------
    group : (M,), which of the G groups each volume belongs to.
    in_order : (M,), the same of the volumes sorted by group.
    rank : (M,), how many of its group come before each in that order.
    members : (M, G), 1 where a volume belongs to a group.
    """

    group: Int[Tensor, "m"]
    in_order: Int[Tensor, "m"]
    rank: Int[Tensor, "m"]
    members: Float[Tensor, "m g"]

    @classmethod
    def of(cls, groups: Groups, volumes: Int[np.ndarray, "m"], device: str) -> "DeviceSplits":
        """Of groups that hold each of the volumes once."""
        group = np.empty(len(volumes), np.int64)
        for number, members in enumerate(groups):
            group[np.searchsorted(volumes, members)] = number
        in_order = np.sort(group)
        rank = np.arange(len(group)) - np.searchsorted(in_order, in_order)
        one = np.eye(len(groups))[group]
        return cls(*(torch.from_numpy(a).to(device) for a in (group, in_order, rank, one)))

    def split(self, shown: Bool[Tensor, "b m"], g: torch.Generator) -> Bool[Tensor, "b m"]:
        """`splits.split` of each item's shown volumes: which of them stay visible."""
        batch = len(shown)
        share, keys = (
            torch.rand(batch, n, generator=g, device=g.device, dtype=torch.float64)
            for n in (1, len(self.group))
        )
        share = HELD_LEAST + (HELD_MOST - HELD_LEAST) * share
        size = shown.double() @ self.members
        count = torch.minimum((share * size).round().clamp(min=1), size - 1)
        keys = keys + 2 * self.group + (~shown).double()  # a group's shown volumes come first
        held = self.rank < count[:, self.in_order]
        return shown & ~torch.zeros_like(shown).scatter(1, keys.argsort(1), held)

    def in_three(
        self, batch: int, g: torch.Generator
    ) -> tuple[Bool[Tensor, "b m"], Bool[Tensor, "b m"]]:
        """`splits.in_three` of each item: two disjoint sets, the larger first."""
        every = torch.ones(batch, len(self.group), dtype=torch.bool, device=self.group.device)
        visible = self.split(every, g)
        first = self.split(visible, g)
        return first, visible & ~first


@dataclass(frozen=True, eq=False)
class DeviceSubspace:
    """`subspace.SignalSubspace` on the device, in float64 as there.

    ``components`` (M, K), ``signal`` (K,) the variances, ``noise`` that of the noise.
    """

    components: Float[Tensor, "m k"]
    signal: Float[Tensor, "k"]
    noise: float

    @classmethod
    def of(cls, subspace: SignalSubspace, device: str) -> "DeviceSubspace":
        """Copies the components and their strength, once."""
        components, signal = (
            torch.from_numpy(np.ascontiguousarray(values, np.float64)).to(device)
            for values in (subspace.components, subspace.signal)
        )
        return cls(components, signal, subspace.noise)

    def posterior(
        self, chosen: Bool[Tensor, "b m"]
    ) -> tuple[Float[Tensor, "b k m"], Float[Tensor, "b k k"]]:
        """How y of the chosen volumes becomes z, and the covariance of z's error."""
        w = torch.where(chosen[:, :, None], self.components, 0)
        precision = w.mT @ w / self.noise + (1 / self.signal).diag()
        root = torch.linalg.cholesky_ex(precision)[0]
        one = torch.eye(len(self.signal), dtype=w.dtype, device=w.device)
        back = torch.linalg.solve_triangular(root, one.expand_as(root), upper=False)
        spread = back.mT @ back
        return spread @ w.mT / self.noise, spread

    def noise_alone(
        self, chosen: Bool[Tensor, "b m"], g: torch.Generator
    ) -> Float[Tensor, "b m k"]:
        """How y of the chosen volumes becomes K channels of what no component explains.

        A random frame of the residual's directions, unit columns over √noise. Where these are
        fewer than the components, dimensions that y lacks complete the frame, and only what lies
        in the others is used. All is 0 where none is left.
        """
        batch, (volumes, rank) = len(chosen), self.components.shape
        order = (~chosen).byte().argsort(dim=1, stable=True)  # the chosen rows come first
        exists = chosen.gather(1, order)[:, :, None]
        w = torch.where(exists, self.components[order], 0)
        explained = torch.linalg.qr(w)[0]
        normal = torch.randn(
            batch, volumes + rank, rank, generator=g, device=g.device, dtype=torch.float64
        )
        alone = torch.where(exists, normal[:, :volumes], 0)
        alone = alone - explained @ (explained.mT @ alone)
        free = chosen.sum(1)[:, None, None] - rank  # dimensions of the residual
        missing = torch.arange(rank, device=chosen.device)[None, :, None] < rank - free
        frame = torch.cat([alone, torch.where(missing, normal[:, volumes:], 0)], 1)
        frame = torch.linalg.qr(frame)[0][:, :volumes]
        length = torch.linalg.vector_norm(frame, dim=1, keepdim=True).clamp(min=1e-300)
        matrix = torch.where(free > 0, frame / length / self.noise**0.5, 0)
        return matrix.gather(1, order.argsort(1)[:, :, None].expand_as(matrix))
