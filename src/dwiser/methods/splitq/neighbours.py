"""A mask's voxels as a list, and where in the list each one's neighbours stand."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dwiser.machine import side_by_side

Centres = Literal["all", "checkerboard", "second"]
REACH = 2  # voxels a neighbourhood may reach; the padding of the index


def cube(radius: int) -> Int[np.ndarray, "o 3"]:
    """Offsets of the (2r+1)³ voxels around one, itself included."""
    axis = np.arange(-radius, radius + 1)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)


def cross() -> Int[np.ndarray, "o 3"]:
    """A voxel and the six it shares a face with."""
    around = cube(1)
    return around[np.abs(around).sum(1) <= 1]


@dataclass(frozen=True, eq=False)
class Grid:
    """The n voxels of a mask in C order.

    ``index`` is the padded field of view, flat: a voxel's number in the list, n outside the
    mask. ``at`` (n,) are the voxels' places in it, ``strides`` its steps along x, y, z.
    """

    index: Int[Tensor, "p"]
    at: Int[Tensor, "n"]
    strides: Int[np.ndarray, "3"]

    @classmethod
    def of(cls, mask: Bool[np.ndarray, "x y z"], device: str = "cpu") -> "Grid":
        padded = np.pad(mask, REACH)
        at = np.flatnonzero(padded)
        index = np.full(padded.size, len(at), np.int64)
        index[at] = np.arange(len(at))
        y, z = padded.shape[1:]
        strides = np.array([y * z, z, 1])
        return cls(torch.from_numpy(index).to(device), torch.from_numpy(at).to(device), strides)

    def __len__(self) -> int:
        return len(self.at)

    def around(self, rows: Int[Tensor, "c"], offsets: Int[np.ndarray, "o 3"]) -> Int[Tensor, "c o"]:
        """The numbers of the voxels at ``offsets`` from those of ``rows``; n where outside."""
        steps = torch.from_numpy(offsets @ self.strides).to(self.at.device)
        return self.index[self.at[rows][:, None] + steps]

    def centres(self, which: Centres) -> Int[Tensor, "c"]:
        """The numbers of every voxel, of the checkerboard's, or of every second on each axis."""
        if which == "all":
            return torch.arange(len(self), device=self.at.device)
        remainder, coordinates = self.at, []
        for step in self.strides.tolist():
            coordinates.append(torch.div(remainder, step, rounding_mode="floor"))
            remainder = remainder % step
        odd = torch.stack(coordinates, 1) % 2
        on = odd.sum(1) % 2 == 0 if which == "checkerboard" else odd.sum(1) == 0
        return torch.nonzero(on)[:, 0]


def with_outside(values: Float[Tensor, "n k"]) -> Float[Tensor, "m k"]:
    """The list with one row of zeros more, which stands for all that is outside."""
    return torch.cat([values, values.new_zeros(1, values.shape[1])])


def neighbour_mean(
    values: Float[Tensor, "n k"],
    grid: Grid,
    offsets: Int[np.ndarray, "o 3"],
    *,
    chunk: int = 4096,
    threads: int = 1,
) -> Float[Tensor, "n k"]:
    """Mean over the neighbours at ``offsets`` that are in the mask; 0 where there is none."""
    padded, out = with_outside(values), torch.empty_like(values)

    def work(rows: Int[Tensor, "c"]) -> None:
        near = grid.around(rows, offsets)
        count = (near < len(grid)).sum(1, keepdim=True).clamp(min=1)
        out[rows] = padded[near].sum(1) / count

    parts = torch.arange(len(grid), device=values.device).split(chunk)
    list(side_by_side(work, parts, threads))  # each writes rows of its own
    return out
