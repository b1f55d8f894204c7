"""A simulated scan and its truth: one folder, written as one set."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Float, Shaped

from dwiser.errors import Code, InputError
from dwiser.io.about import FilePath
from dwiser.io.gradients import write_bvals, write_bvecs
from dwiser.io.maps import save_volume
from dwiser.io.names import companion
from dwiser.io.outputs import Writer, check_outputs, created_folder, write_set
from dwiser.io.sidecar import sidecar
from dwiser.io.volume_stream import VolumeStream, save_stream
from dwiser.scan import Gradients

IMAGE = "dwi.nii.gz"
LESIONS, PHASE = "lesions", "phase"
TISSUES = ("wm", "gm", "csf", "lesion")
MAPS = (
    "truth", PHASE, "mask", "sigma", "fa", "md", "v1", "peaks", LESIONS,
    *(f"f_{t}" for t in TISSUES),
)  # fmt: skip


def all_paths(folder: FilePath) -> tuple[Path, ...]:
    """Every file that a simulation may write.

    Parameters
    ----------
    folder : where it writes.

    Returns
    -------
    tuple of Path
        The image last.
    """
    home = Path(folder)
    image = home / IMAGE
    companions = [companion(image, e) for e in (".json", ".bval", ".bvec")]
    maps = [home / f"{name}.nii.gz" for name in MAPS]
    return (*companions, home / f"{LESIONS}.json", *maps, image)


def check_folder(folder: FilePath, *, inputs: Iterable[FilePath] = (), force: bool = False) -> None:
    """Refuse a folder that the set cannot be written into, before any work is done.

    Parameters
    ----------
    folder : where to write; it need not exist.
    inputs : files that may not be overwritten, not even with ``force``.
    force : whether files that exist may be replaced.

    Raises
    ------
    InputError
        If the folder cannot be created or written, holds one of the files (without ``force``),
        or one of the ``inputs`` would be overwritten.
    """
    home = Path(folder)
    if home.is_dir():
        check_outputs(all_paths(home), inputs, force)
        return
    above = next((p for p in (home, *home.parents) if p.exists()), home)
    if not above.is_dir():
        raise InputError(
            f"{folder}: {above} is not a folder: give another name.", code=Code.FILE_KIND
        )
    check_outputs([above / f".{home.name}"], (), True)  # may anything be created there?


@dataclass(frozen=True, eq=False)
class SimulatedScan:
    """The noisy series of a simulation, in memory or to be computed, and where it lies.

    Parameters
    ----------
    data : (X, Y, Z, V) in the scanner's units.
    affine : (4, 4) voxel to world in mm.
    gradients : the table.
    header : a NIfTI header, or None for one in millimetres and scanner coordinates.
    """

    data: Shaped[np.ndarray, "x y z v"] | VolumeStream
    affine: Float[np.ndarray, "4 4"]
    gradients: Gradients
    header: Any = None


def save_simulated(
    scan: SimulatedScan,
    folder: FilePath,
    maps: Mapping[str, Shaped[np.ndarray, "x y z *v"] | VolumeStream],
    *,
    record: Callable[[], Mapping[str, Any]],
    lesions: Mapping[str, Any] | None = None,
    inputs: Iterable[FilePath] = (),
    force: bool = False,
) -> tuple[Path, ...]:
    """Write dwi.nii.gz, .json, .bval, .bvec and the maps, all of them or none.

    Parameters
    ----------
    scan : the noisy series and its gradient table.
    folder : created if it is missing.
    maps : by name (``MAPS``), each becomes ``<name>.nii.gz``.
    record : gives the contents of dwi.json, once all volumes are written.
    lesions : the contents of lesions.json, if there are lesions.
    inputs : files that may not be overwritten, not even with ``force``.
    force : replace an existing set; its files that the new set lacks are removed.

    Returns
    -------
    tuple of Path
        The files that were written, the image last.

    Raises
    ------
    InputError, DwiserError
        As ``check_folder`` and ``write_set`` do; then nothing was written.
    """
    check_folder(folder, inputs=inputs, force=force)
    home = Path(folder)
    like = _with_header(scan)
    json, bval, bvec = (companion(home / IMAGE, e) for e in (".json", ".bval", ".bvec"))
    writers: dict[Path, Writer] = {
        json: lambda path: _write_text(path, sidecar(record())),
        bval: partial(write_bvals, scan.gradients),
        bvec: partial(write_bvecs, scan.gradients),
    }
    if lesions is not None:
        writers[home / f"{LESIONS}.json"] = partial(_write_text, text=sidecar(lesions))
    for name, data in maps.items():
        writers[home / f"{name}.nii.gz"] = partial(_save, data, like=like)
    writers[home / IMAGE] = partial(_save, scan.data, like=like)
    with created_folder(home):
        write_set(writers, force=force)
    for path in set(all_paths(home)) - set(writers):
        path.unlink(missing_ok=True)
    return tuple(writers)


def _save(
    data: Shaped[np.ndarray, "x y z *v"] | VolumeStream, path: Path, *, like: SimulatedScan
) -> None:
    if isinstance(data, VolumeStream):
        save_stream(data, path, like)
    else:
        save_volume(data, path, like)


def _with_header(scan: SimulatedScan) -> SimulatedScan:
    """The scan with a header of its own where it has none: millimetres, scanner coordinates."""
    if scan.header is not None:
        return scan
    header = nib.Nifti1Header()
    header.set_xyzt_units("mm", "sec")
    header.set_qform(scan.affine, code="scanner")
    header.set_sform(scan.affine, code="scanner")
    return replace(scan, header=header)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
