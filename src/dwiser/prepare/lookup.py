"""Functions on a regular grid with linear interpolation, faster than ``np.interp``'s search."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from dwiser.compiled import pointwise


@dataclass(frozen=True, eq=False)
class Lookup:
    """k functions at ``low``, ``low + step``, …; float32, as images are."""

    values: Float32[np.ndarray, "k t"]
    low: float
    step: float

    def at(self, x: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "k *s"]:
        """Linear between the points; constant beyond the grid's ends."""
        x = np.asarray(x, np.float32)
        if x.flags.f_contiguous and not x.flags.c_contiguous:
            return np.moveaxis(self.at(x.T), 0, -1).T
        if pointwise is not None:
            values, out = (
                np.ascontiguousarray(self.values),
                np.empty((len(self.values), *x.shape), np.float32),
            )
            pointwise.interpolate(values, self.low, 1 / self.step, np.ascontiguousarray(x), out)
            return out
        return self._at(x)

    def _at(self, x: Float32[np.ndarray, "*s"]) -> Float32[np.ndarray, "k *s"]:
        last = self.values.shape[1] - 1
        place = (x - np.float32(self.low)) * np.float32(1 / self.step)
        place = place.clip(0, np.float32(last * (1 - 1e-6)))
        below = place.astype(np.intp)
        place -= below
        interpolated = np.empty((len(self.values), *place.shape), np.float32)
        for row, values in zip(interpolated, self.values, strict=True):
            np.take(np.diff(values), below, out=row)
            row *= place
            row += np.take(values, below)
        return interpolated
