"""A phantom as a folder of files: simulate and write, for the command line and for Python."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from dwiser import __version__
from dwiser.errors import Code, InputError
from dwiser.io import find_inputs, load
from dwiser.io.truth import LESIONS, PHASE, SimulatedScan, check_folder, save_simulated
from dwiser.io.volume_stream import VolumeStream
from dwiser.scan import Scan
from dwiser.seeds import check_seed
from dwiser.simulation.acquire import NoiseModel
from dwiser.simulation.noise import Sampling
from dwiser.simulation.phantom import phantom_simulator
from dwiser.simulation.phase import check_complex
from dwiser.simulation.refit import refit_simulator
from dwiser.simulation.scheme import Shells, scheme
from dwiser.simulation.simulator import Simulation, Simulator
from dwiser.simulation.texture import Texture
from dwiser.watch import Progress, Watch, silent, step

SHAPE = (65, 78, 66)  # a whole head at 2.5 mm
VOXEL = 2.5  # mm
SHELLS = "1000:64,2000:64"
B0 = 6


@dataclass(frozen=True)
class SimulationRequest:
    """A simulation as a user asks for it; nothing is read or simulated yet.

    ``shells``, ``b0``, ``shape`` and ``voxel`` that are None take their defaults; with
    ``source``, a real scan to refit, they are that scan's.

    Parameters
    ----------
    folder : where the files are written.
    snr, noise, coils, sigma_map : as in `NoiseModel`.
    shells : text such as "1000:64,2000:64", b in s/mm² and directions.
    b0 : number of b0s.
    shape : text such as "65,78,66", in voxels.
    voxel : edge of a voxel in mm.
    partial_fourier, zero_fill : as in `Sampling`.
    lesions : whether to add lesions.
    texture, texture_correlation : strength and FWHM in voxels, as in `Texture`.
    source, bval, bvec, mask, grad : the files of a real scan to refit.
    seed : of everything random.
    force : replace files that exist.
    phase : whether to simulate the phase too.
    """

    folder: Path
    snr: float = 20.0
    shells: str | None = None
    b0: int | None = None
    shape: str | None = None
    voxel: float | None = None
    noise: str = "rician"
    coils: int = 1
    sigma_map: str = "uniform"
    partial_fourier: float = 1.0
    zero_fill: float = 1.0
    lesions: bool = False
    texture: float = 0.0
    texture_correlation: float = 1.0
    source: Path | None = None
    bval: Path | None = None
    bvec: Path | None = None
    mask: Path | None = None
    seed: int = 0
    force: bool = False
    grad: Path | None = None
    phase: bool = False


def simulate_files(
    request: SimulationRequest, watch: Watch = silent
) -> tuple[Simulator, tuple[Path, ...]]:
    """Simulate what was asked for and write it; wrong settings are refused before the work.

    The series are computed and written volume by volume: neither is ever whole in memory.

    Parameters
    ----------
    request : what to simulate, and where to write it.
    watch : gets the progress of a refit, and of the volumes.

    Returns
    -------
    simulator : the truth of the scan.
    files : what was written, dwi.nii.gz last.

    Raises
    ------
    InputError
        For settings that cannot be simulated, and a folder that cannot be written.
    """
    _check(request)
    inputs: tuple[Path, ...] = ()
    if request.source is not None:
        source_files = request.source, request.bval, request.bvec, request.mask, request.grad
        inputs = find_inputs(*source_files).files
        check_folder(request.folder, inputs=inputs, force=request.force)
        simulator = _refitted_phantom(request, load(*source_files), watch)
    else:
        check_folder(request.folder, force=request.force)
        with step(watch, "building the head"):
            simulator = _coded_phantom(request)
    return simulator, _save_volumes(simulator, request, inputs, watch)


def _save_volumes(
    simulator: Simulator, request: SimulationRequest, inputs: tuple[Path, ...], watch: Watch
) -> tuple[Path, ...]:
    """Write what ``save_simulation`` writes, volume by volume."""
    clipped: list[int] = []
    shape = simulator.series.shape

    def noisy() -> Iterator[np.ndarray]:
        clipped.clear()
        return _watched(simulator.noisy_volumes(clipped.append), "noisy volumes", shape[3], watch)

    def truth() -> Iterator[np.ndarray]:
        return _watched(simulator.series.volumes(), "true volumes", shape[3], watch)

    def phase() -> Iterator[np.ndarray]:
        return _watched(simulator.phase_volumes(), "phase", shape[3], watch)

    angle = {} if simulator.phase is None else {PHASE: VolumeStream(shape, phase)}
    return _save(
        SimulatedScan(
            VolumeStream(shape, noisy),
            simulator.affine,
            simulator.series.gradients,
            simulator.header,
        ),
        request.folder,
        {"truth": VolumeStream(shape, truth), **angle, **_maps(simulator)},
        lambda: simulator.complete_record(sum(clipped)),
        simulator.record["lesions"],
        sources=[str(path) for path in inputs],
        inputs=inputs,
        force=request.force,
    )


def _watched(
    volumes: Iterator[np.ndarray], task: str, count: int, watch: Watch
) -> Iterator[np.ndarray]:
    watch(Progress(task, 0, count))
    for v, volume in enumerate(volumes):
        yield volume
        watch(Progress(task, v + 1, count))


def save_simulation(
    simulation: Simulation,
    folder: str | Path,
    *,
    sources: list[str] | None = None,
    inputs: tuple[Path, ...] = (),
    force: bool = False,
) -> tuple[Path, ...]:
    """Write a simulation as ``dwiser simulate`` does.

    The files are dwi, truth and, if there is one, phase (X, Y, Z, V), mask, sigma, fa, md, v1,
    f_<tissue>, peaks and, if there are lesions, their labels, each ``.nii.gz``; dwi.bval,
    dwi.bvec, dwi.json (the record) and lesions.json (what each label is).

    Parameters
    ----------
    simulation : what to write.
    folder : created if it is missing.
    sources : names of the files that it was simulated from, for the record.
    inputs : files that may not be overwritten.
    force : replace files that exist.

    Returns
    -------
    tuple of Path
        The files, dwi.nii.gz last.

    Raises
    ------
    InputError, DwiserError
        Where the folder cannot be written, or holds such files (without ``force``).
    """
    scan = simulation.scan
    return _save(
        SimulatedScan(scan.data, scan.affine, scan.gradients, scan.header),
        folder,
        truth_maps(simulation),
        lambda: simulation.record,
        simulation.record["lesions"],
        sources=sources or [],
        inputs=inputs,
        force=force,
    )


def _save(
    scan: SimulatedScan,
    folder: str | Path,
    maps: Mapping[str, np.ndarray | VolumeStream],
    record: Callable[[], dict[str, Any]],
    lesions: list[dict[str, Any]],
    *,
    sources: list[str],
    inputs: tuple[Path, ...],
    force: bool,
) -> tuple[Path, ...]:
    provenance = {
        "GeneratedBy": [{"Name": "dwiser", "Version": __version__}],
        "Date": datetime.now(UTC).isoformat(timespec="seconds"),
        "Sources": sources,
    }
    return save_simulated(
        scan,
        folder,
        maps,
        record=lambda: {**provenance, "Simulation": record()},
        lesions={"Lesions": lesions} if lesions else None,
        inputs=inputs,
        force=force,
    )


def truth_maps(simulation: Simulation) -> dict[str, np.ndarray]:
    """The truth by file name.

    Parameters
    ----------
    simulation : the simulated scan.

    Returns
    -------
    dict
        Name to array on the scan's grid. "peaks" (X, Y, Z, 3 F) holds for each fibre population
        its axis (voxel axes) with its volume fraction as length; "lesions" and "phase" are there
        only where there are some.
    """
    angle = simulation.scan.phase
    phase = {} if angle is None else {PHASE: angle}
    return {"truth": simulation.truth, **phase, **_maps(simulation)}


def _maps(simulation: Simulation | Simulator) -> dict[str, np.ndarray]:
    """The truth by file name, without the series."""
    share = simulation.tissues["wm"][..., None] * simulation.shares
    peaks = (share[..., None] * simulation.axes).reshape(*simulation.mask.shape, -1)
    maps = {
        "mask": simulation.mask,
        "sigma": simulation.sigma,
        "fa": simulation.fa,
        "md": simulation.md,
        "v1": simulation.v1,
        "peaks": peaks.astype(np.float32),
    }
    if simulation.record["lesions"]:
        maps[LESIONS] = simulation.lesions
    return maps | {f"f_{name}": share for name, share in simulation.tissues.items()}


def parse_shells(text: str) -> Shells:
    """Shells from text.

    Parameters
    ----------
    text : say "1000:64,2000:64".

    Returns
    -------
    tuple
        Say ((1000.0, 64), (2000.0, 64)): b in s/mm² and directions.

    Raises
    ------
    InputError
        For text of another form.
    """
    shells = []
    for part in text.split(","):
        b, _, count = part.partition(":")
        try:
            shells.append((float(b), int(count)))
        except ValueError as error:
            raise InputError(
                f"--shells '{text}' is not understood at '{part.strip()}': write "
                "b-value:directions pairs with commas between them, such as 1000:64,2000:64.",
                code=Code.ARGUMENT_VALUE,
            ) from error
    return tuple(shells)


def parse_shape(text: str) -> tuple[int, int, int]:
    """A grid's shape from text.

    Parameters
    ----------
    text : say "65,78,66".

    Returns
    -------
    tuple of three int, in voxels

    Raises
    ------
    InputError
        For anything but three whole numbers.
    """
    try:
        x, y, z = (int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--shape '{text}' is not understood: write three numbers of voxels such as 65,78,66.",
            code=Code.ARGUMENT_VALUE,
        ) from error
    return x, y, z


def _check(request: SimulationRequest) -> None:
    """Refuse wrong settings before anything is read or simulated."""
    check_seed(request.seed)
    if request.voxel is not None and not (request.voxel > 0 and isfinite(request.voxel)):
        raise InputError(
            f"--voxel must be a positive number of mm, not {request.voxel:g}.",
            code=Code.ARGUMENT_VALUE,
        )
    model = _noise_model(request)
    if request.phase:
        check_complex(model)
    _texture(request)
    if request.source is None:
        orphans = {"--bval": request.bval, "--bvec": request.bvec, "--mask": request.mask}
        for option, value in orphans.items():
            if value is not None:
                raise InputError(
                    f"{option} belongs to a real scan: give that with --from.",
                    code=Code.ARGUMENT_MISSING,
                )
        return
    for option, grid_setting in {"--shape": request.shape, "--voxel": request.voxel}.items():
        if grid_setting is not None:
            raise InputError(
                f"{option} cannot go with --from: the grid is that of the scan.",
                code=Code.ARGUMENT_CONFLICT,
            )
    if request.b0 is not None and request.shells is None:
        raise InputError(
            "--b0 with --from needs --shells too: without it the scheme is the scan's.",
            code=Code.ARGUMENT_MISSING,
        )


def _noise_model(request: SimulationRequest) -> NoiseModel:
    sampling = Sampling(request.partial_fourier, request.zero_fill)
    return NoiseModel(request.noise, request.snr, request.coils, request.sigma_map, sampling)


def _texture(request: SimulationRequest) -> Texture:
    return Texture(request.texture, request.texture_correlation)


def _coded_phantom(request: SimulationRequest) -> Simulator:
    return phantom_simulator(
        SHAPE if request.shape is None else parse_shape(request.shape),
        _noise_model(request),
        _texture(request),
        voxel=VOXEL if request.voxel is None else request.voxel,
        shells=parse_shells(SHELLS if request.shells is None else request.shells),
        n_b0=B0 if request.b0 is None else request.b0,
        lesions=request.lesions,
        phase=request.phase,
        seed=request.seed,
    )


def _refitted_phantom(request: SimulationRequest, scan: Scan, watch: Watch) -> Simulator:
    shells = None if request.shells is None else parse_shells(request.shells)
    n_b0 = B0 if request.b0 is None else request.b0
    if shells is not None:
        scheme(shells, n_b0=n_b0)  # an error now, not after minutes of refitting
    return refit_simulator(
        scan,
        _noise_model(request),
        _texture(request),
        shells=shells,
        n_b0=n_b0,
        lesions=request.lesions,
        phase=request.phase,
        seed=request.seed,
        watch=watch,
    )
