"""The one interface: a scan goes in, a denoised scan and its record come out."""

import warnings
from collections.abc import Mapping
from dataclasses import Field, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.machine import Machine
from dwiser.methods.capabilities import Capabilities
from dwiser.prepare.noise_correlation import NoiseCorrelation
from dwiser.prepare.volume_roles import VolumeRoles
from dwiser.scan import Scan
from dwiser.watch import Watch, silent

if TYPE_CHECKING:  # they need torch, which a method without training does not
    from dwiser.learn.budget import TrainingPlan
    from dwiser.learn.checkpointing import Course
else:
    Course = Any

WITHOUT_DIRECTIONS = ("splitq", "mppca")  # methods that take any DWI
VolumeReasons = Mapping[int, str]  # volume, counted from 0: a reason, in words


@dataclass(frozen=True, eq=False)
class Weights:
    """What a learned method has learned: a network's tensors by name, and how it came to them."""

    state: dict[str, Any]
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Denoised:
    """What a denoiser returns.

    Parameters
    ----------
    data : (X, Y, Z, V) float32, the input's units and volume order, never below 0.
    sigma : (X, Y, Z) or None, sd of the noise in the data's units.
    uncertainty : (X, Y, Z) or None, sd of the result's error in the data's units.
    rank : (X, Y, Z) or None, degrees of freedom of each voxel's V measured volumes that the result
        keeps, 0 … V; 0 outside the mask.
    variance_removed : (X, Y, Z) or None, share of the variance within the shells that was removed.
    real, phase : (X, Y, Z, V) or None, of a complex scan: the denoised image is
        real·exp(i·phase), real in the data's units and below 0 too, phase in radians.
    weights : what was learned, for methods that learn.
    record : plain values for the sidecar: what the method did, and what it measured; entries of
        the fields below are added to it. Nothing in a run reads it back.
    mask : (X, Y, Z), where the method worked; the rest is the input's.
    coils : channels behind the magnitude that the method took or measured; 0 for a real part,
        None where it does not ask.
    bias_removed : whether the Rician (nc-χ) bias was removed; None where the method has no word.
    passed_through : volumes that came back unchanged.
    not_shared : volumes that were no part of what the method learned across volumes; None where
        it does not learn across them.
    outlier_volumes : of these, the ones that dropped out, moved or repeat another.
    noise_correlation : of the scan's noise between neighbours, where the method measured it.
    roles : which volumes are measurements and what the others are, where that was looked at.
    """

    data: Float[np.ndarray, "x y z v"]
    sigma: Float[np.ndarray, "x y z"] | None = None
    uncertainty: Float[np.ndarray, "x y z"] | None = None
    weights: Weights | None = None
    record: dict[str, Any] = field(default_factory=dict)
    mask: Bool[np.ndarray, "x y z"] | None = None
    coils: float | int | None = None
    bias_removed: bool | None = None
    passed_through: VolumeReasons = field(default_factory=dict)
    not_shared: VolumeReasons | None = None
    outlier_volumes: VolumeReasons | None = None
    noise_correlation: NoiseCorrelation | None = None
    roles: VolumeRoles | None = None
    rank: Float[np.ndarray, "x y z"] | None = None
    variance_removed: Float[np.ndarray, "x y z"] | None = None
    real: Float[np.ndarray, "x y z v"] | None = None
    phase: Float[np.ndarray, "x y z v"] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "record", self.record | self._entries())

    def _entries(self) -> dict[str, Any]:
        """What the record says of the typed fields."""
        entries: dict[str, Any] = {
            "volumes_denoised": self.data.shape[3] - len(self.passed_through),
            "volumes_passed_through": _by_text(self.passed_through),
        }
        if self.not_shared is not None:
            entries["volumes_on_their_own"] = _by_text(self.not_shared)
        if self.coils is not None:
            entries["coils"] = self.coils
        if self.bias_removed is not None:
            entries["noise_floor"] = "removed" if self.bias_removed else "kept"
        return entries


def _by_text(reasons: VolumeReasons) -> dict[str, str]:
    return {str(volume): why for volume, why in sorted(reasons.items())}


@runtime_checkable
class Denoiser(Protocol):
    """A frozen dataclass: its fields are its configuration, its options and its provenance."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    name: ClassVar[str]

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do, with the settings that it has."""
        ...

    def denoise(
        self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Denoise ``scan``; the same seed gives the same result. ``scan`` is not touched."""
        ...


@runtime_checkable
class TrainableDenoiser(Denoiser, Protocol):
    """One whose learning can be done apart from its application."""

    def fit(self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent) -> Weights:
        """Learn from the scan alone."""
        ...

    def apply(
        self, weights: Weights, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Denoise a scan with weights learned before, of the same or (reusable) of another."""
        ...


@runtime_checkable
class IterativeDenoiser(TrainableDenoiser, Protocol):
    """One that trains for minutes: it keeps checkpoints, and its time can be planned."""

    def denoise(
        self,
        scan: Scan,
        *,
        machine: Machine,
        seed: int,
        watch: Watch = silent,
        course: Course | None = None,
    ) -> Denoised:
        """Denoise ``scan``; ``course`` keeps checkpoints of the training, and resumes it."""
        ...

    def training_plan(self, scan: Scan, *, machine: Machine, seed: int) -> "TrainingPlan":
        """What its training and sampling come to, from a few steps that are timed."""
        ...


def need_volumes(scan: Scan, name: str, able: Capabilities) -> None:
    """Refuse a scan with fewer b0s or diffusion-weighted volumes than the method needs.

    `dwiser.run` refuses it before, and names methods that take this very scan.
    """
    words = shortage_of(scan, able)
    if words is not None:
        raise InputError(f"{name} {words}: take a method that does not.", code=code_of(scan, able))


def shortage_of(scan: Scan, able: Capabilities) -> str | None:
    """What the scan lacks for such a method, to complete "NAME …"; None if nothing."""
    b0s = int(scan.gradients.is_b0.sum())
    return able.shortage(b0s, len(scan.gradients) - b0s)


def code_of(scan: Scan, able: Capabilities) -> Code:
    """The kind of fault that `shortage_of` tells of."""
    enough = int((~scan.gradients.is_b0).sum()) >= max(1, able.least_directions)
    return Code.GRADIENTS_NO_B0 if enough else Code.GRADIENTS_TOO_FEW


def need_vectors(scan: Scan, method: Denoiser) -> None:
    """Refuse DWIs without a direction for a method that uses directions."""
    without = int(scan.gradients.without_direction.sum())
    if without and method.capabilities.uses_directions:
        raise InputError(
            f"{method.name} with these settings needs directions, and {without} DWIs have none "
            f"(their b-vectors are null): take {' or '.join(WITHOUT_DIRECTIONS)}.",
            code=Code.GRADIENTS_VALUES,
        )


def warn_of_no_noise(name: str) -> None:
    """Say that a scan without noise comes back as it is."""
    warnings.warn(
        f"No noise was found in the scan: {name} gives it back as it is.",
        DwiserWarning,
        stacklevel=4,
    )
