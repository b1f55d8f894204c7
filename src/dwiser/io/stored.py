"""An image of any format whose header was read: its geometry, and where its voxels are stored."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

ByteStream: TypeAlias = Any  # a file of bytes, plain or gzip's


@dataclass(frozen=True)
class StoredVoxels:
    """Where an image's voxels are stored, in which type and order.

    Parameters
    ----------
    path : the file that holds them.
    kind : of a voxel, with its byte order; uint8 for single bits.
    order : the image's axes as the file has them, the fastest first.
    backward : axes that the file has from their end to their beginning.
    start : bytes of the file before the voxels; before what is compressed, where it is.
    packed : whether the file is gzip-compressed from there on.
    offset : bytes before the voxels in what is compressed.
    bits : whether a voxel is a bit, eight in a byte, the highest first.
    slope, inter : a voxel's value is ``slope`` times what is stored, plus ``inter``.
    """

    path: Path
    kind: np.dtype[Any]
    order: tuple[int, ...]
    backward: frozenset[int] = frozenset()
    start: int = 0
    packed: bool = False
    offset: int = 0
    bits: bool = False
    slope: float = 1.0
    inter: float = 0.0

    @property
    def in_order(self) -> bool:
        """Whether the file has the axes as the image, volume after volume."""
        return self.order == tuple(sorted(self.order)) and not self.backward

    @property
    def scaled(self) -> bool:
        """Whether stored values are to be multiplied or added to."""
        return (self.slope, self.inter) != (1, 0)


@dataclass(frozen=True, eq=False)
class StoredTable:
    """The gradient table that an image's own header holds.

    Parameters
    ----------
    name : what the header calls it, for an error.
    read : gives (V, 4), direction in scanner axes (x to the right, y to the front, z up) and
        b-value; it raises where the header's numbers are none.
    """

    name: str
    read: Callable[[], Float[np.ndarray, "v 4"]]


@dataclass(frozen=True, eq=False)
class StoredImage:
    """An image whose header was read and checked, its voxels not yet.

    Parameters
    ----------
    path : the file that was named.
    shape : of all axes.
    affine : (4, 4), voxel to world.
    header : a NIfTI header; for another format one with the same geometry.
    voxels : where they are.
    table : the gradient table in the header, if it has one.
    source : another format's own header, from which an image is written in that format again.
    """

    path: Path
    shape: tuple[int, ...]
    affine: Float[np.ndarray, "4 4"]
    header: Any
    voxels: StoredVoxels
    table: StoredTable | None = None
    source: Any = field(default=None, repr=False)

    @property
    def ndim(self) -> int:
        return len(self.shape)
