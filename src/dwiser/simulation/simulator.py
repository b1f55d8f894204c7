"""A simulated scan in two steps: all of its truth, then its series, whole or volume by volume."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from dwiser.errors import Code, InputError
from dwiser.scan import Gradients, Scan, edge_lengths, in_mm
from dwiser.simulation.acquire import NoiseModel, acquire, acquire_volumes
from dwiser.simulation.geometry import HeadAnatomy
from dwiser.simulation.lesions import labels, place_lesions, tissues_with
from dwiser.simulation.noise import sigma_map
from dwiser.simulation.phase import ShotPhase, check_complex
from dwiser.simulation.series import EVERY, Signal, TrueSeries, true_series
from dwiser.simulation.tensor import tensor_metrics

WHITE = 0.5  # voxels with more white matter than this make the SNR's mean
SNR_DEFINITION = (
    "mean true b0 signal in voxels of more than half white matter over the mean sigma in the "
    "mask; sigma is the sd of one channel's real part"
)
NO_WEIGHTING = Gradients(np.zeros(1), np.zeros((1, 3)))


@dataclass(frozen=True, eq=False, kw_only=True)
class TrueMaps:
    """What is true about a simulated scan beside its series.

    Parameters
    ----------
    tissues : name to (X, Y, Z) volume fraction ("wm", "gm", "csf", "lesion" if any).
    fa, md, v1 : the truth's tensor metrics (md in mm²/s, v1 (X, Y, Z, 3)), DIPY's WLS fit of
        the noiseless b0s and volumes of b ≤ 1500 s/mm².
    sigma : (X, Y, Z) sd of the noise in one channel's real part.
    shares : (X, Y, Z, F) shares of the fibre populations in the white matter, largest first.
    axes : (X, Y, Z, F, 3) their unit axes; zeros where there is none.
    lesions : (X, Y, Z) label of each lesion, 0 elsewhere; ``record["lesions"]`` describes them.
    """

    tissues: dict[str, Float[np.ndarray, "x y z"]]
    fa: Float[np.ndarray, "x y z"]
    md: Float[np.ndarray, "x y z"]
    v1: Float[np.ndarray, "x y z 3"]
    sigma: Float[np.ndarray, "x y z"]
    shares: Float[np.ndarray, "x y z f"]
    axes: Float[np.ndarray, "x y z f 3"]
    lesions: Int[np.ndarray, "x y z"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Simulation(TrueMaps):
    """A simulated scan and everything that is true about it.

    Parameters
    ----------
    scan : the noisy series; its mask and σ are None, as a scanner's are. It has a phase if one was
        simulated.
    truth : (X, Y, Z, V) float32, the series without noise, in the same units.
    mask : (X, Y, Z) the object.
    tissues, fa, md, v1, sigma, shares, axes, lesions : as in `TrueMaps`.
    record : plain values: every setting, and what was measured on the truth.

    Examples
    --------
    >>> from dwiser.simulation import phantom
    >>> simulation = phantom((16, 18, 12), shells=((1000.0, 6),), n_b0=1)
    >>> simulation.truth.shape == simulation.scan.shape
    True
    """

    scan: Scan
    truth: Float[np.ndarray, "x y z v"]
    mask: Bool[np.ndarray, "x y z"]
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Simulator(TrueMaps):
    """A simulated scan whose series is not computed yet.

    Parameters
    ----------
    series : the series without noise.
    noise : the noise, or none.
    seed : of the noise.
    affine : (4, 4) voxel to world in mm.
    header : the NIfTI header of a refitted scan, or None.
    tissues, fa, md, v1, sigma, shares, axes, lesions : as in `TrueMaps`.
    record : as in `Simulation`, but for what the noise clips.
    phase : of each shot; None for a scan of which the magnitude alone is simulated.
    """

    series: TrueSeries
    noise: NoiseModel
    seed: int
    affine: Float[np.ndarray, "4 4"]
    header: Any
    record: dict[str, Any]
    phase: ShotPhase | None = None

    @property
    def mask(self) -> Bool[np.ndarray, "x y z"]:
        """The object."""
        return self.series.mask

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel in mm."""
        return edge_lengths(in_mm(self.affine, self.header))

    def run(self) -> Simulation:
        """Compute the series in memory.

        Returns
        -------
        Simulation
        """
        truth, angle = self.series.whole(), None
        if self.phase is None:
            noisy, clipped = acquire(truth, self.sigma, self.noise, self.seed)
        else:
            noisy, angle, clipped = np.empty_like(truth), np.empty_like(truth), 0
            for v in range(truth.shape[3]):
                z = self.phase.complex_volume(truth[..., v], v, self.sigma, self.noise)
                noisy[..., v], angle[..., v] = np.abs(z), np.angle(z)
        return Simulation(
            scan=Scan(noisy, self.affine, self.series.gradients, header=self.header, phase=angle),
            truth=truth,
            mask=self.mask,
            record=self.complete_record(clipped),
            **{true.name: getattr(self, true.name) for true in fields(TrueMaps)},
        )

    def noisy_volumes(
        self, on_clipped: Callable[[int], None]
    ) -> Iterator[Float[np.ndarray, "x y z"]]:
        """The noisy volumes in turn, the same voxels as those of ``run``.

        Parameters
        ----------
        on_clipped : gets, for each volume, how many voxels were set to 0.

        Yields
        ------
        (X, Y, Z) float32, in the scanner's units
        """
        if self.phase is not None:
            yield from (np.abs(z) for z in self._complex_volumes(self.phase))
            return
        volumes = acquire_volumes(self.series.volumes(), self.sigma, self.noise, self.seed)
        for volume, clipped in volumes:
            on_clipped(clipped)
            yield volume

    def phase_volumes(self) -> Iterator[Float[np.ndarray, "x y z"]]:
        """The phases of the noisy volumes in turn, the same voxels as those of ``run``.

        Yields
        ------
        (X, Y, Z) float32, radians, −π to π
        """
        if self.phase is not None:
            yield from (np.angle(z) for z in self._complex_volumes(self.phase))

    def _complex_volumes(self, phase: ShotPhase) -> Iterator[Complex[np.ndarray, "x y z"]]:
        for v, volume in enumerate(self.series.volumes()):
            yield phase.complex_volume(volume, v, self.sigma, self.noise)

    def complete_record(self, clipped: int) -> dict[str, Any]:
        """The record of the scan.

        Parameters
        ----------
        clipped : how many voxels of the noisy series were set to 0.

        Returns
        -------
        dict
        """
        return {**self.record, "clipped_below_zero": clipped}


def simulator(
    anatomy: HeadAnatomy,
    signal: Signal,
    gradients: Gradients,
    affine: Float[np.ndarray, "4 4"],
    model: NoiseModel,
    *,
    lesions: bool,
    seed: int,
    settings: dict[str, Any],
    header: Any = None,
    phase: bool = False,
) -> Simulator:
    """All that is true about a scan of an anatomy.

    Parameters
    ----------
    anatomy : the object, its tissues and fibres.
    signal : gives the noiseless signal of some of the mask's voxels for any gradient table.
    gradients : the table to scan with.
    affine : (4, 4) voxel to world in mm.
    model : the noise.
    lesions : whether to add lesions.
    seed : of lesions and noise.
    settings : written to the record.
    header : the NIfTI header of a refitted scan, or None.
    phase : whether to simulate the phase too.

    Returns
    -------
    Simulator

    Raises
    ------
    InputError
        For a phase with noise of another kind than one complex image's, for an anatomy without
        white matter, for which no SNR can be set, and for a table of one volume.
    """
    if phase:
        check_complex(model)
    mask = anatomy.mask
    white = anatomy.tissues["wm"] > WHITE
    if not white.any():
        raise InputError(
            "The object holds no white matter, so no SNR can be set: enlarge it.",
            code=Code.SCAN_TOO_SMALL,
        )
    if len(gradients) < 2:
        raise InputError(
            "The scan would have one volume only: give more directions or b0s.",
            code=Code.ARGUMENT_VALUE,
        )
    placed_lesions = place_lesions(anatomy, gradients, seed) if lesions else []
    labelled = labels(placed_lesions, mask)
    series, changed = true_series(signal, gradients, mask, placed_lesions, labelled)
    fa, md, v1, fitted = tensor_metrics(series)
    b0 = float(signal(NO_WEIGHTING, EVERY)[white[mask], 0].mean(dtype=float))
    level = 0.0 if model.kind == "none" else b0 / model.snr
    size = edge_lengths(in_mm(affine, header))
    shape = mask.shape[0], mask.shape[1], mask.shape[2]
    shots = ShotPhase(gradients, shape, size, seed) if phase else None
    record = {
        **settings,
        "shape": list(series.shape),
        "seed": seed,
        "noise": asdict(model),
        "snr_definition": SNR_DEFINITION,
        "mean_b0_white_matter": b0,
        "mean_sigma": level,
        "tensor": fitted,
        "lesions": [
            asdict(lesion) | {"change": change}
            for lesion, change in zip(placed_lesions, changed, strict=True)
        ],
    }
    return Simulator(
        series=series,
        noise=model,
        seed=seed,
        affine=affine,
        header=header,
        tissues=tissues_with(anatomy, placed_lesions),
        fa=fa,
        md=md,
        v1=v1,
        sigma=sigma_map(model.sigma_map, level, mask, seed),
        shares=anatomy.shares,
        axes=anatomy.axes,
        lesions=labelled,
        record=record if shots is None else record | {"phase": shots.record},
        phase=shots,
    )
