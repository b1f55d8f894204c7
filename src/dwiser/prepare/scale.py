"""Scanner units to [−1, 1] and back: each volume divided by its own maximum, v ↦ 2v − 1."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Scale:
    """One maximum a volume, in the scan's units; 1 for an all-zero volume."""

    maxima: Float[np.ndarray, "v"]

    @classmethod
    def of(cls, data: Float[np.ndarray, "x y z v"]) -> "Scale":
        maxima = np.array([data[..., v].max() for v in range(data.shape[3])], np.float64)
        return cls(np.where(maxima > 0, maxima, 1.0))

    def to_unit(self, data: Float[np.ndarray, "*s"], volume: int) -> Float[np.ndarray, "*s"]:
        """Values of one volume in [−1, 1]."""
        return (data * (2 / self.maxima[volume]) - 1).astype(np.float32)

    def from_unit(self, unit: Float[np.ndarray, "*s"], volume: int) -> Float[np.ndarray, "*s"]:
        """The inverse of ``to_unit``."""
        return ((unit.astype(np.float64) + 1) * (self.maxima[volume] / 2)).astype(np.float32)

    def sigma_to_unit(self, sigma: Float[np.ndarray, "*s"], volume: int) -> Float[np.ndarray, "*s"]:
        """A noise sd: scaled, not shifted."""
        return (sigma * (2 / self.maxima[volume])).astype(np.float32)

    def sd_from_unit(self, unit: Float[np.ndarray, "*s"], volume: int) -> Float[np.ndarray, "*s"]:
        """The inverse of ``sigma_to_unit``."""
        return (unit * (self.maxima[volume] / 2)).astype(np.float32)
