"""``--noise-only``: the σ map of a scan, and nothing else."""

import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.io import find_inputs, load, planned_images, write_set
from dwiser.io.outputs import Writer
from dwiser.io.writing import image_writers
from dwiser.machine import find_machine, limited, parse_memory, usable_memory
from dwiser.methods.base import Denoiser
from dwiser.methods.registry import build
from dwiser.prepare.coils import effective_coils
from dwiser.prepare.complex import real_scan
from dwiser.prepare.mask import object_mask
from dwiser.prepare.measured_scan import measured_scan
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.noise_correlation import SpatialNoise
from dwiser.prepare.phase import WINDOW, Rephasing
from dwiser.run.capabilities import with_maps
from dwiser.run.request import Request, in_history, named_inputs, table_options
from dwiser.run.volumes import roles_told
from dwiser.scan import Scan


def sigma_of(
    scan: Scan,
    mask: Bool[np.ndarray, "x y z"],
    method: Denoiser,
    *,
    threads: int = 1,
    spatial: SpatialNoise | None = None,
) -> Float[np.ndarray, "x y z"]:
    """The σ map that ``splitq`` works with: of a complex scan's real part, where there is a phase.

    A scan's own map stands; otherwise the channels behind a magnitude are the method's field, or
    what the scan tells. ``spatial`` is its noise in this mask, if it was measured before.
    """
    if scan.phase is not None:
        sigma = real_scan(scan, scan.phase, mask, rephasing_of(method))[0].sigma
        assert sigma is not None
        return sigma
    coils = asdict(method).get("coils") or effective_coils(scan, mask)
    return sigma_map(scan, mask, coils=coils, threads=threads, spatial=spatial)


def rephasing_of(method: Denoiser) -> Rephasing:
    """How a method removes the phase, by its fields."""
    fields = asdict(method)
    if "rephase" not in fields:
        return WINDOW
    return Rephasing(fields["rephase"], fields["rephase_width"])


def noise_file(request: Request) -> float:
    """Estimate the noise's sd and write it to OUT, a map; its median over the mask.

    It is σ of one receiver channel, in the scan's units.

    Raises
    ------
    InputError
        For anything that would be left unwritten, and for what is wrong with an input.
    """
    idle = {
        "--noise-map": request.noise_map,
        "--save-noise": request.save_noise, "--save-residual": request.save_residual,
        "--save-standardised": request.save_standardised,
        "--save-uncertainty": request.save_uncertainty, "--save-rank": request.save_rank,
        "--save-variance": request.save_variance,
        "--save-real": request.save_real, "--save-phase": request.save_phase,
        "--save-weights": request.save_weights, "--warm-start": request.warm_start,
        "--report": request.report,
    }  # fmt: skip
    for option, value in idle.items():
        if value is not None:
            raise InputError(
                f"With --noise-only OUT is the σ map and all there is: drop {option}.",
                code=Code.ARGUMENT_CONFLICT,
            )
    chosen = build(request.method, request.preset, request.settings)
    images = [request.out] if request.save_mask is None else [request.save_mask, request.out]
    inputs = [*request.named, *find_inputs(*named_inputs(request)).files]
    planned_images(*images, inputs=inputs, force=request.force)
    room = usable_memory() if request.memory is None else parse_memory(request.memory)
    scan = load(*named_inputs(request), **table_options(request), memory=room)
    scan, _ = with_maps(scan, phase=request.phase, noise_volumes=request.noise_volumes)
    machine = find_machine("cpu", request.threads)
    with limited(machine):
        measured = measured_scan(scan, roles_told(scan))
        mask = object_mask(measured)
        sigma = sigma_of(measured, mask, chosen, threads=machine.threads)
    if not sigma.any():
        warnings.warn("No noise was found in the scan: σ is 0.", DwiserWarning, stacklevel=2)
    maps = dict(zip(images[::-1], (sigma, mask), strict=False))
    command = f"{in_history(request)} --noise-only"
    writers: dict[Path, Writer] = {}
    for path in images:
        writers |= image_writers(maps[path], path, scan, command)
    write_set(writers, force=request.force)
    return float(np.median(sigma[mask]))
