"""The voxels of an image, read plane by plane: into memory, or into a file that is mapped.

What is in memory at once is one volume in the file's own type, whatever the image's size, two where
one is read while another is written; of an image that is not stored volume after volume, one slab
of its slowest axis.
"""

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from isal import igzip
from jaxtyping import Shaped

from dwiser.errors import Code, InputError
from dwiser.io.ahead import ahead
from dwiser.io.stored import ByteStream, StoredImage, StoredVoxels
from dwiser.memmap import FLOAT32, allocate_mapped, mapped_volumes, spared

GZIP_MOST = 1032  # the greatest compression of deflate
REST = 2**20  # bytes at once of what follows the voxels
TOO_LONG = (
    "It holds more voxels than its header says: correct the header (number of volumes, datatype), "
    "or export it again."
)
DAMAGED = "It is truncated or damaged: export or copy it again."


def read_voxels(
    image: StoredImage,
    shape: tuple[int, ...],
    kind: np.dtype[Any] = FLOAT32,
    *,
    mapped: bool = False,
    in_place: bool = True,
) -> Shaped[np.ndarray, "x y z *v"]:
    """All voxels of an image, with its scale slope applied.

    Parameters
    ----------
    image : its header was read and checked.
    shape : the image's, without axes of length 1 at the end, or all beyond the third as one.
    kind : float32, or complex64 for a complex image.
    mapped : whether the voxels lie in a file and not in memory: where they may lie ``in_place`` the
        image's own, if it is uncompressed float32 without a slope and volume after volume, a
        temporary one (in TMPDIR) otherwise. Who shortens the image's own ends the program.

    Returns
    -------
    Array of ``shape`` and ``kind``, each volume contiguous, in the image's units (slope applied)

    Raises
    ------
    InputError
        If the image is damaged, or does not fit into memory or the temporary folder.
    """
    stored = image.voxels
    if kind == FLOAT32 and stored.kind.kind == "c":
        raise InputError("The image is complex: give one that is real.", code=Code.IMAGE_KIND)
    _check_size(stored, math.prod(shape))
    plain = stored.in_order and not (stored.packed or stored.scaled or stored.bits)
    if mapped and in_place and plain and stored.kind == kind:
        return _mapped(stored, shape)
    full = shape if stored.in_order else image.shape
    try:
        with _opened(stored) as file, np.errstate(over="ignore", invalid="ignore"):
            slabs = _slabs(file, stored, full)  # what overflows becomes infinite
            if mapped and stored.in_order:
                volumes = (_scaled(part, stored, kind) for _, part in ahead(slabs))
                voxels = mapped_volumes(volumes, full, kind)
            else:
                voxels = _empty(full, kind, mapped)
                for place, part in slabs:
                    voxels[place] = _scaled(part, stored, kind)
            beyond = _more(file)  # to its end: only there gzip checks the contents
            if beyond >= math.prod(full) // full[-1] * stored.kind.itemsize:
                raise InputError(TOO_LONG, code=Code.IMAGE_DAMAGED)
    except (InputError, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None and mapped:
            raise _no_room(error) from error
        raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED) from error
    except Exception as error:  # gzip and zlib each have their own
        raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED) from error
    return voxels if full == shape else voxels.reshape(shape, order="F")  # a view


def _scaled(part: np.ndarray, stored: StoredVoxels, kind: np.dtype[Any]) -> np.ndarray:
    """What is stored in the image's units; not yet of the ``kind`` that is wanted."""
    if not stored.scaled:
        return part
    return part.astype(np.result_type(kind, np.float64)) * stored.slope + stored.inter


def _mapped(stored: StoredVoxels, shape: tuple[int, ...]) -> np.ndarray:
    """The file itself as an array."""
    try:
        # read only: a private copy of it would have to fit into memory, for the system's sake
        whole = np.memmap(stored.path, stored.kind, "r", stored.start, shape, order="F")
        mapping = spared(whole)
    except ValueError as error:
        raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED) from error
    with stored.path.open("rb") as file:
        file.seek(stored.start + mapping.nbytes)
        if _more(file) >= mapping.nbytes // shape[-1]:
            raise InputError(TOO_LONG, code=Code.IMAGE_DAMAGED)
    return mapping


def write_voxels(
    file: ByteStream,
    data: Shaped[np.ndarray, "x y z *v"],
    kind: np.dtype[Any],
    order: tuple[int, ...],
    backward: frozenset[int] = frozenset(),
) -> None:
    """Write voxels in any order of axes, a slab of the slowest at a time.

    Parameters
    ----------
    file : open for writing bytes.
    data : (X, Y, Z) or (X, Y, Z, V).
    kind : the type that is written.
    order : the axes as the file is to have them, the fastest first.
    backward : axes that it is to have from their end to their beginning.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    *inner, slowest = order
    slabs = np.moveaxis(data, slowest, 0)[:: -1 if slowest in backward else 1]
    places = [axis - (axis > slowest) for axis in inner]
    turns = {axis - (axis > slowest) for axis in backward if axis != slowest}
    index = tuple(slice(None, None, -1 if a in turns else 1) for a in range(len(inner)))
    for slab in slabs:
        file.write(slab[index].transpose(places).astype(kind, copy=False).tobytes(order="F"))


@contextmanager
def _opened(stored: StoredVoxels) -> Iterator[ByteStream]:
    """The bytes of the voxels, and what follows them."""
    with stored.path.open("rb") as raw:
        raw.seek(stored.start)
        file: ByteStream = igzip.IGzipFile(fileobj=raw, mode="rb") if stored.packed else raw
        if stored.packed:
            file.seek(stored.offset)
        if stored.bits:
            bits = np.unpackbits(np.frombuffer(file.read(), np.uint8))
            file = BytesIO(bits.tobytes())
        yield file


def _slabs(
    file: ByteStream, stored: StoredVoxels, shape: tuple[int, ...]
) -> Iterator[tuple[tuple[Any, ...], np.ndarray]]:
    """The image by its axis that is slowest in the file: where each part belongs, and the part."""
    order = tuple(range(len(shape))) if stored.in_order else stored.order
    *inner, slowest = order
    turns = tuple(slice(None, None, -1 if a in stored.backward else 1) for a in inner)
    places = [axis - (axis > slowest) for axis in inner]
    for step in range(shape[slowest]):
        part = _plane(file, tuple(shape[a] for a in inner), stored.kind)[turns]
        at = shape[slowest] - 1 - step if slowest in stored.backward else step
        index = tuple(at if axis == slowest else slice(None) for axis in range(len(shape)))
        yield index, part.transpose(np.argsort(places))


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


def _check_size(stored: StoredVoxels, count: int) -> None:
    """Refuse a file too short for its header before memory is asked for what is not there."""
    most = stored.path.stat().st_size * (GZIP_MOST if stored.packed else 1)
    if most < (count / 8 if stored.bits else count * stored.kind.itemsize):
        raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED)
