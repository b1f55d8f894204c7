"""A phantom as a folder of files: simulate → write, for the command line and for Python."""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from dwiser import __version__
from dwiser.errors import InputError
from dwiser.io import find_inputs, load
from dwiser.io.truth import LESIONS, check_folder, save_simulated
from dwiser.scan import Scan
from dwiser.seeds import check_seed
from dwiser.simulation import NoiseModel, Simulation, phantom, phantom_from, scheme
from dwiser.simulation.noise import Sampling
from dwiser.simulation.scheme import Shells
from dwiser.simulation.texture import Texture
from dwiser.watch import Watch, silent

SHAPE = (65, 78, 66)  # a whole head at 2.5 mm
VOXEL = 2.5  # mm
SHELLS = "1000:64,2000:64"
B0 = 6


@dataclass(frozen=True)
class SimulationRequest:
    """A simulation as a user asks for it: texts and numbers, nothing made yet.

    ``shells``, ``b0``, ``shape`` and ``voxel`` that are None take their defaults; with
    ``source``, a real scan to refit, they are that scan's.
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


def simulate_files(
    request: SimulationRequest, watch: Watch = silent
) -> tuple[Simulation, tuple[Path, ...]]:
    """Make what was asked for and write it; everything that can be refused is, before the work.

    Raises
    ------
    InputError
        For settings that cannot be simulated, and a folder that cannot be written into.
    """
    _check(request)
    inputs: tuple[Path, ...] = ()
    if request.source is not None:
        named = request.source, request.bval, request.bvec, request.mask
        inputs = find_inputs(*named).files
        check_folder(request.folder, inputs=inputs, force=request.force)
        made = _refitted(request, load(*named), watch)
    else:
        check_folder(request.folder, force=request.force)
        made = _coded(request)
    sources = [str(path) for path in inputs]
    return made, save_simulation(
        made, request.folder, sources=sources, inputs=inputs, force=request.force
    )


def save_simulation(
    made: Simulation,
    folder: str | Path,
    *,
    sources: list[str] | None = None,
    inputs: tuple[Path, ...] = (),
    force: bool = False,
) -> tuple[Path, ...]:
    """Write a simulation as ``dwiser simulate`` does; returns the files, dwi.nii.gz last.

    dwi, truth (X, Y, Z, V), mask, sigma, fa, md, v1, f_<tissue>, peaks and, if there are
    lesions, their labels, each ``.nii.gz``; dwi.bval, dwi.bvec, dwi.json (the record) and
    lesions.json (what each label is).
    """
    told: dict[str, Any] = {
        "GeneratedBy": [{"Name": "dwiser", "Version": __version__}],
        "Date": datetime.now(UTC).isoformat(timespec="seconds"),
        "Sources": sources or [],
        "Simulation": made.record,
    }
    found = made.record["lesions"]
    return save_simulated(
        made.scan,
        folder,
        maps_of(made),
        record=told,
        lesions={"Lesions": found} if found else None,
        inputs=inputs,
        force=force,
    )


def maps_of(made: Simulation) -> dict[str, np.ndarray]:
    """The truth by file name; "peaks" holds, for each fibre population, its axis (voxel axes)
    with its volume fraction as length, (X, Y, Z, 3 F)."""
    share = made.tissues["wm"][..., None] * made.shares
    peaks = (share[..., None] * made.axes).reshape(*made.mask.shape, -1)
    maps = {
        "truth": made.truth,
        "mask": made.mask,
        "sigma": made.sigma,
        "fa": made.fa,
        "md": made.md,
        "v1": made.v1,
        "peaks": peaks.astype(np.float32),
    }
    if made.record["lesions"]:
        maps[LESIONS] = made.lesions
    return maps | {f"f_{name}": share for name, share in made.tissues.items()}


def parse_shells(text: str) -> Shells:
    """ "1000:64,2000:64" as ((1000.0, 64), (2000.0, 64)): b in s/mm² and directions."""
    found = []
    for part in text.split(","):
        b, _, count = part.partition(":")
        try:
            found.append((float(b), int(count)))
        except ValueError as error:
            raise InputError(
                f"--shells '{text}' is not understood at '{part.strip()}': write "
                "b-value:directions pairs with commas between them, such as 1000:64,2000:64."
            ) from error
    return tuple(found)


def parse_shape(text: str) -> tuple[int, int, int]:
    """ "65,78,66" as three numbers of voxels."""
    try:
        x, y, z = (int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--shape '{text}' is not understood: write three numbers of voxels such as 65,78,66."
        ) from error
    return x, y, z


def _check(request: SimulationRequest) -> None:
    """What can be wrong before anything is read or made."""
    check_seed(request.seed)
    if request.voxel is not None and not (request.voxel > 0 and isfinite(request.voxel)):
        raise InputError(f"--voxel must be a positive number of mm, not {request.voxel:g}.")
    _noise(request)
    _texture(request)
    if request.source is None:
        orphans = {"--bval": request.bval, "--bvec": request.bvec, "--mask": request.mask}
        for option, value in orphans.items():
            if value is not None:
                raise InputError(f"{option} belongs to a real scan: give that with --from.")
        return
    for option, own in {"--shape": request.shape, "--voxel": request.voxel}.items():
        if own is not None:
            raise InputError(f"{option} cannot go with --from: the grid is that of the scan.")
    if request.b0 is not None and request.shells is None:
        raise InputError(
            "--b0 with --from needs --shells too: without it the scheme is the scan's."
        )


def _noise(request: SimulationRequest) -> dict[str, Any]:
    """The noise as ``phantom`` takes it, refused here and now if it cannot be."""
    sampling = Sampling(request.partial_fourier, request.zero_fill)
    model = NoiseModel(request.noise, request.snr, request.coils, request.sigma_map, sampling)
    return {
        "snr": model.snr,
        "noise": model.kind,
        "coils": model.coils,
        "sigma_map": model.sigma_map,
        "partial_fourier": sampling.partial_fourier,
        "zero_fill": sampling.zero_fill,
    }


def _texture(request: SimulationRequest) -> dict[str, Any]:
    """The texture as ``phantom`` takes it, refused here and now if it cannot be."""
    texture = Texture(request.texture, request.texture_correlation)
    return {"texture": texture.strength, "texture_correlation": texture.correlation}


def _coded(request: SimulationRequest) -> Simulation:
    shape = SHAPE if request.shape is None else parse_shape(request.shape)
    return phantom(
        shape,
        voxel=VOXEL if request.voxel is None else request.voxel,
        shells=parse_shells(SHELLS if request.shells is None else request.shells),
        n_b0=B0 if request.b0 is None else request.b0,
        lesions=request.lesions,
        seed=request.seed,
        **_texture(request),
        **_noise(request),
    )


def _refitted(request: SimulationRequest, scan: Scan, watch: Watch) -> Simulation:
    shells = None if request.shells is None else parse_shells(request.shells)
    n_b0 = B0 if request.b0 is None else request.b0
    if shells is not None:
        scheme(shells, n_b0=n_b0)  # refused now, not after minutes of refitting
    return phantom_from(
        scan,
        shells=shells,
        n_b0=n_b0,
        lesions=request.lesions,
        seed=request.seed,
        watch=watch,
        **_texture(request),
        **_noise(request),
    )
