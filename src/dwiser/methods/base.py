"""The one interface: a scan goes in, a denoised scan and its record come out."""

import warnings
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from dwiser.errors import DwiserWarning, InputError
from dwiser.machine import Machine
from dwiser.prepare.noise_correlation import NoiseCorrelation
from dwiser.scan import Scan
from dwiser.watch import Watch, silent


@dataclass(frozen=True, eq=False)
class Weights:
    """What a learned method has learned: a network's tensors by name, and how it came to them."""

    state: dict[str, Any]
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Denoised:
    """What a denoiser gives back.

    Parameters
    ----------
    data : (X, Y, Z, V) float32, the input's units and volume order, never below 0.
    sigma : (X, Y, Z) or None, sd of the noise in the data's units.
    uncertainty : (X, Y, Z) or None, sd of the result's error in the data's units.
    weights : what was learned, for methods that learn.
    record : plain values for the sidecar: what was done, and what it found.
    mask : (X, Y, Z), where the method worked; the rest is the input's.
    noise_correlation : of the scan's noise between neighbours, where the method measured it.
    """

    data: Float[np.ndarray, "x y z v"]
    sigma: Float[np.ndarray, "x y z"] | None = None
    uncertainty: Float[np.ndarray, "x y z"] | None = None
    weights: Weights | None = None
    record: dict[str, Any] = field(default_factory=dict)
    mask: Bool[np.ndarray, "x y z"] | None = None
    noise_correlation: NoiseCorrelation | None = None


@runtime_checkable
class Denoiser(Protocol):
    """A frozen dataclass: its fields are its configuration, its options and its provenance.

    Notes
    -----
    What a method can do beyond this, it says by class attributes; without them it cannot:
    ``takes_phase`` (a scan with a phase), ``takes_noise_map`` (a σ map changes its result), a
    field ``uncertainty``, ``trains`` (``denoise`` takes a ``course`` of checkpoints), ``reusable``
    (``apply`` is sound on another scan; if not, ``not_reusable`` says why), ``working``,
    ``working_mapped`` and ``works_in`` (what it holds: see `run.memory_needed.bytes_needed`).
    """

    @property
    def has_seed(self) -> bool:
        """Whether another seed gives another result; without it every run gives the same."""
        ...

    def denoise(
        self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Denoise ``scan``; the same seed gives the same result. ``scan`` is not touched."""
        ...


def need_directions(scan: Scan, name: str, least: int) -> None:
    """Refuse a scan with fewer diffusion-weighted volumes than the method needs."""
    directions = int((~scan.gradients.is_b0).sum())
    if directions < least:
        raise InputError(
            f"{name} needs at least {least} diffusion-weighted volumes, "
            f"the scan has {directions}: use a method that works on single volumes."
        )


def warn_of_no_noise(name: str) -> None:
    """Say that a scan without noise comes back as it is."""
    warnings.warn(
        f"No noise was found in the scan: {name} gives it back as it is.",
        DwiserWarning,
        stacklevel=4,
    )
