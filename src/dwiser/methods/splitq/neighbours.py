"""A mask's voxels as a list, and where in the list each one's neighbours stand."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.compiled import patches
from dwiser.machine import side_by_side
from dwiser.methods.splitq.arrays import Array, as_numpy, namespace, on_device, rows_at, slices

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

    index: Int[Array, "p"]
    at: Int[Array, "n"]
    strides: Int[np.ndarray, "3"]
    _centres: dict[Centres, Array] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, mask: Bool[np.ndarray, "x y z"], device: str = "cpu") -> "Grid":
        padded = np.pad(mask, REACH)
        at = np.flatnonzero(padded)
        index = np.full(padded.size, len(at), np.int64)
        index[at] = np.arange(len(at))
        y, z = padded.shape[1:]
        strides = np.array([y * z, z, 1])
        return cls(on_device(index, device), on_device(at, device), strides)

    def __len__(self) -> int:
        return len(self.at)

    @property
    def planes(self) -> int:
        """How many planes of constant x the voxels lie in, from the first to the last."""
        if not len(self):
            return 1
        first, last = (int(place) // int(self.strides[0]) for place in (self.at[0], self.at[-1]))
        return last - first + 1

    def around(
        self, rows: slice | Int[Array, "c"], offsets: Int[np.ndarray, "o 3"]
    ) -> Int[Array, "c o"]:
        """The numbers of the voxels at ``offsets`` from those of ``rows``; n where outside."""
        steps = namespace(self.at).asarray(offsets @ self.strides, device=self.at.device)
        return rows_at(self.index, self.at[rows][:, None] + steps)

    def centres(self, which: Centres) -> Int[Array, "c"]:
        """The numbers of every voxel, of the checkerboard's, or of every second on each axis."""
        if which == "all":
            return namespace(self.at).arange(len(self), device=self.at.device)
        if which not in self._centres:
            self._centres[which] = self._every_second(which)
        return self._centres[which]

    def _every_second(self, which: Centres) -> Int[Array, "c"]:
        high, wide, _ = self.strides.tolist()
        shape = len(self.index) // high, high // wide, wide
        x, y, z = ((np.arange(n) % 2).astype(np.int8) for n in shape)
        odd = (x[:, None, None] + y[:, None] + z).ravel()
        on = odd % 2 == 0 if which == "checkerboard" else odd == 0
        return on_device(np.flatnonzero(on[as_numpy(self.at)]), str(self.at.device))


def with_outside(values: Float[Array, "n k"]) -> Float[Array, "m k"]:
    """The list with one row of zeros more, which stands for all that is outside."""
    padded = namespace(values).zeros((len(values) + 1, *values.shape[1:]), dtype=values.dtype)
    padded = padded if isinstance(values, np.ndarray) else padded.to(values.device)
    padded[:-1] = values
    return padded


def neighbour_mean(
    values: Float[Array, "n k"],
    grid: Grid,
    offsets: Int[np.ndarray, "o 3"],
    *,
    chunk: int = 16_384,
    threads: int = 1,
) -> Float[Array, "n k"]:
    """Mean over the neighbours at ``offsets`` that are in the mask; 0 where there is none."""
    xp, compiled = namespace(values), patches is not None and isinstance(values, np.ndarray)
    padded = np.ascontiguousarray(values, np.float32) if compiled else with_outside(values)
    out = xp.empty_like(padded[: len(values)])

    def work(rows: slice) -> None:
        if compiled:
            steps = offsets @ grid.strides
            patches.means(padded, grid.index, grid.at[rows], steps, out[rows])
            return
        near = grid.around(rows, offsets)
        held = xp.asarray(near < len(grid), dtype=values.dtype)
        total = (held[:, None] @ rows_at(padded, near))[:, 0]
        out[rows] = total / held.sum(1, keepdims=True).clip(min=1)

    list(side_by_side(work, slices(len(grid), chunk), threads))  # each writes rows of its own
    return out
