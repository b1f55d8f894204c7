"""The voxels of an image, read plane by plane: into memory, or into a file that is mapped.

What is in memory at once is one volume in the file's own type, whatever the image's size.
"""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from dwiser.errors import Code, InputError
from dwiser.io.gz import unzipped
from dwiser.io.names import ending
from dwiser.memmap import FLOAT32, allocate_mapped, spared

GZIP_MOST = 1032  # the greatest compression of deflate
REST = 2**20  # bytes at once of what follows the voxels
TOO_LONG = (
    "It holds more voxels than its header says: correct the header (number of volumes, datatype), "
    "or export it again."
)
DAMAGED = "It is truncated or damaged: export or copy it again."


def read_voxels(
    image: Any, shape: tuple[int, ...], kind: np.dtype[Any] = FLOAT32, *, mapped: bool = False
) -> Shaped[np.ndarray, "x y z *v"]:
    """All voxels of an image, with its scale slope applied.

    Parameters
    ----------
    image : nibabel's, its header checked.
    shape : the image's, without axes of length 1 at the end.
    kind : float32, or complex64 for a complex image.
    mapped : whether the voxels lie in a file and not in memory: the image's own where it is
        uncompressed float32 without a slope, a temporary one (in TMPDIR) otherwise.

    Returns
    -------
    Array of ``shape`` and ``kind``, each volume contiguous, in the image's units (slope applied)

    Raises
    ------
    InputError
        If the image is damaged, or does not fit into memory or the temporary folder.
    """
    stored = image.get_data_dtype()
    if kind == FLOAT32 and stored.kind == "c":
        raise InputError("The image is complex: give one that is real.", code=Code.IMAGE_KIND)
    _check_size(image)
    slope, inter = image.dataobj.slope, image.dataobj.inter
    scaled = (slope, inter) != (1, 0)
    packed = ending(image.get_filename()).lower() == ".nii.gz"
    if mapped and stored == kind and not scaled and not packed:
        try:
            place = int(image.dataobj.offset)
            # read only: a private copy of it would have to fit into memory, for the system's sake
            mapping = spared(np.memmap(image.get_filename(), kind, "r", place, shape, order="F"))
        except ValueError as error:
            raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED) from error
        with Path(image.get_filename()).open("rb") as file:
            file.seek(place + mapping.nbytes)
            if _more(file) >= mapping.nbytes // shape[-1]:
                raise InputError(TOO_LONG, code=Code.IMAGE_DAMAGED)
        return mapping
    voxels = _empty(shape, kind, mapped)
    try:
        name = Path(image.get_filename())
        with (
            unzipped(name) if packed else name.open("rb") as file,
            np.errstate(over="ignore", invalid="ignore"),
        ):
            file.seek(int(image.dataobj.offset))
            for last in range(shape[-1]):  # what overflows becomes infinite
                part = _plane(file, shape[:-1], stored)
                if scaled:
                    part = part.astype(np.result_type(kind, np.float64)) * slope + inter
                voxels[..., last] = part
            beyond = _more(file)  # to its end: only there gzip checks the contents
            if beyond >= math.prod(shape[:-1]) * stored.itemsize:
                raise InputError(TOO_LONG, code=Code.IMAGE_DAMAGED)
    except (InputError, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None and mapped:
            raise _no_room(error) from error
        raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED) from error
    except Exception as error:  # gzip and zlib each have their own
        raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED) from error
    return voxels


def _more(file: Any) -> int:
    """Bytes from here to the file's last one that is not 0: tapes and archives pad with zeros."""
    position, last = 0, 0
    while content := file.read(REST):
        if content.strip(b"\0"):
            last = position + len(content.rstrip(b"\0"))
        position += len(content)
    return last


def _plane(file: Any, shape: tuple[int, ...], stored: np.dtype[Any]) -> np.ndarray:
    count = math.prod(shape)
    content = file.read(count * stored.itemsize)
    if len(content) < count * stored.itemsize:
        raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED)
    return np.frombuffer(content, stored).reshape(shape, order="F")


def _empty(shape: tuple[int, ...], kind: np.dtype[Any], mapped: bool) -> np.ndarray:
    """Room for the voxels, each volume contiguous."""
    if not mapped:
        try:
            return np.empty(shape, kind, order="F")
        except MemoryError as error:
            raise InputError(
                f"Its {shape} voxels do not fit into this machine's memory: give a smaller image.",
                code=Code.MEMORY_LIMIT,
            ) from error
    try:
        return allocate_mapped(shape, kind)
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> InputError:
    return InputError(
        f"It needs a temporary file, for which {tempfile.gettempdir()} has no room "
        f"({error.strerror}): name another folder by TMPDIR, or raise --memory.",
        code=Code.DISK_SCRATCH,
    )


def _check_size(image: Any) -> None:
    """Refuse a file too short for its header before memory is asked for what is not there."""
    name = image.get_filename()
    most = Path(name).stat().st_size * (GZIP_MOST if ending(name).lower() == ".nii.gz" else 1)
    if most < math.prod(image.shape) * image.get_data_dtype().itemsize:
        raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED)
