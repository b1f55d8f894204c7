"""The mask's bounding box: work inside, put the result back where it came from."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool


@dataclass(frozen=True)
class Box:
    """Three slices of a grid, x, y, z."""

    x: slice
    y: slice
    z: slice

    @classmethod
    def around(cls, mask: Bool[np.ndarray, "x y z"], margin: int = 0) -> "Box":
        """The smallest box that holds the mask, ``margin`` voxels wider in x and y."""
        parts = []
        for axis, wider in zip(range(3), (margin, margin, 0), strict=True):
            other = tuple(a for a in range(3) if a != axis)
            occupied = np.flatnonzero(mask.any(axis=other))
            low, high = int(occupied[0]) - wider, int(occupied[-1]) + 1 + wider
            parts.append(slice(max(0, low), min(mask.shape[axis], high)))
        return cls(*parts)

    @classmethod
    def full(cls, shape: tuple[int, ...]) -> "Box":
        return cls(*(slice(0, n) for n in shape[:3]))

    @property
    def index(self) -> tuple[slice, slice, slice]:
        return self.x, self.y, self.z
