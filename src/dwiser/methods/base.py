"""The one interface: a scan goes in, a denoised scan and its record come out."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from dwiser.machine import Machine
from dwiser.scan import Scan
from dwiser.watch import Watch, silent


@dataclass(frozen=True, eq=False)
class Denoised:
    """What a denoiser gives back.

    Parameters
    ----------
    data : (X, Y, Z, V) float32, the input's units and volume order, never below 0.
    sigma : (X, Y, Z) or None, sd of the noise in the data's units.
    uncertainty : (X, Y, Z) or None, sd of the result's error in the data's units.
    record : plain values for the sidecar: what was done, and what it found.
    """

    data: Float[np.ndarray, "x y z v"]
    sigma: Float[np.ndarray, "x y z"] | None = None
    uncertainty: Float[np.ndarray, "x y z"] | None = None
    record: dict[str, Any] = field(default_factory=dict)


class Denoiser(Protocol):
    """A frozen dataclass: its fields are its configuration, its options and its provenance."""

    def denoise(
        self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Denoise ``scan``; the same seed gives the same result. ``scan`` is not touched."""
        ...
