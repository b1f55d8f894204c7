"""Programs that are no part of dwiser: found, run in a temporary folder, and read back."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float

from dwiser.errors import Code, DwiserError, InputError
from dwiser.methods.peers.directions import any_directions
from dwiser.scan import Scan

OTHER = "mppca"  # a method that starts no program


def find_program(name: str) -> str | None:
    """Where a program is: on the PATH, or beside the Python interpreter that runs dwiser."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def need_program(name: str, remedy: str) -> str:
    """Where a program is.

    Raises
    ------
    InputError
        Where it is not; ``remedy`` says what to do.
    """
    program = find_program(name)
    if program is None:
        raise InputError(
            f"The program {name} is not on the PATH: {remedy}.", code=Code.PROGRAM_MISSING
        )
    return program


def run_program(command: list[str], *, threads: int = 1) -> str:
    """What the program printed; its libraries may use ``threads`` threads.

    Raises
    ------
    DwiserError
        Where it failed, with its last words.
    """
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | limits
    )
    name = Path(command[0]).name
    ended_by = _signal(done.returncode, done.stderr)
    if ended_by is not None:
        raise DwiserError(
            f"{name} was ended by a signal ({ended_by}), by a fault of its own or for want of "
            f"memory: take another method, such as --method {OTHER}.",
            code=Code.PROGRAM_FAILED,
        )
    if done.returncode:
        lines = [line.strip(" │\t") for line in done.stderr.splitlines()]
        last = [line for line in lines if line.strip("╭╮╰╯─ ")]
        reason = last[-1] if last else f"exit code {done.returncode}"
        raise DwiserError(f"{name} failed: {reason}", code=Code.PROGRAM_FAILED)
    return done.stdout


def _signal(returncode: int, stderr: str) -> str | None:
    """The signal that ended a program, by its exit code or, as MRtrix's do, by its own words."""
    if returncode < 0:
        try:
            return signal.Signals(-returncode).name
        except ValueError:
            return f"number {-returncode}"
    named = re.search(r"\bSIG[A-Z]{3,}\b", stderr) if returncode else None
    return None if named is None else named.group()


def write_scan(
    place: Path, scan: Scan, **maps: Float[np.ndarray, "x y z"] | Bool[np.ndarray, "x y z"]
) -> None:
    """``dwi.nii`` and a file for each map, on a plain grid of the scan's voxel size.

    A program needs no more of the geometry, and so cannot reorder the axes.
    """
    grid = np.diag([*scan.voxel_size, 1.0])
    nib.save(nib.Nifti1Image(scan.data, grid), place / "dwi.nii")
    for name, values in maps.items():
        stored = values.astype(np.uint8 if values.dtype == bool else np.float32)
        nib.save(nib.Nifti1Image(stored, grid), place / f"{name}.nii")


def write_gradients(place: Path, scan: Scan) -> None:
    """``dwi.bval`` and ``dwi.bvec`` in FSL's layout; the b0s' directions are 0.

    For programs that need the shells: DWIs without a direction get one, lest MRtrix take them
    for b0s.
    """
    np.savetxt(place / "dwi.bval", scan.gradients.bvals[None], fmt="%.10g")
    np.savetxt(place / "dwi.bvec", any_directions(scan.gradients).T, fmt="%.10g")


def read_image(path: Path) -> np.ndarray:
    """The voxels with x, y, z in our order: MRtrix orders axes of one voxel as it likes."""
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj, dtype=np.float32)
