"""NRRD images as 3D Slicer has them: ``.nrrd``, and ``.nhdr`` with its data file.

The format is described on Teem's page "Definition of NRRD File Format".
"""

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from dwiser.errors import Code, InputError
from dwiser.io.mif import nifti_header
from dwiser.io.nrrd_table import (
    BVALUE,
    FRAME,
    GRADIENT,
    TO_RAS,
    as_word,
    gradient_lines,
    is_of_table,
    read_table,
)
from dwiser.io.stored import StoredImage, StoredTable, StoredVoxels
from dwiser.io.voxels import DAMAGED

SPACES = {  # to the right, to the front, up: the sign of each of the space's axes
    "right-anterior-superior": (1, 1, 1), "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1),
}  # fmt: skip
TIMES = {"-time": "", "rast": "ras", "last": "las", "lpst": "lps"}  # of the same with an axis more
WRITTEN_SPACE = "left-posterior-superior"
KINDS = {
    r"(signed char|int8(_t)?)": "i1",
    r"(uchar|unsigned char|uint8(_t)?)": "u1",
    r"((signed )?short( int)?|int16(_t)?)": "i2",
    r"(ushort|unsigned short( int)?|uint16(_t)?)": "u2",
    r"((signed )?int|int32(_t)?)": "i4",
    r"(uint|unsigned int|uint32(_t)?)": "u4",
    r"(longlong|(signed )?long long( int)?|int64(_t)?)": "i8",
    r"(ulonglong|unsigned long long( int)?|uint64(_t)?)": "u8",
    "float": "f4",
    "double": "f8",
}
GZIP, RAW = ("gzip", "gz"), ("raw",)
FIELDS = (
    "type dimension space sizes kinds encoding endian content min max units labels spacings "
    "thicknesses centers centerings number datafile lineskip byteskip oldmin oldmax"
)  # of one word; those of several have a blank, which no key of a pair here has
SPATIAL = 3


@dataclass(frozen=True, eq=False)
class NrrdHeader:
    """What of an NRRD header is written again.

    Parameters
    ----------
    order : the image's axes as the file has them, the fastest first.
    keys : key and value of the pairs that say nothing of the gradient table.
    """

    order: tuple[int, ...]
    keys: tuple[tuple[str, str], ...]


def open_nrrd(path: Path) -> StoredImage:
    """Read the header of an NRRD image.

    Parameters
    ----------
    path : a .nrrd or .nhdr.

    Returns
    -------
    StoredImage

    Raises
    ------
    InputError
        If it is damaged or of a kind that is not read, or its data file is missing; without the
        file's name.
    """
    fields, end = _fields(path)
    sizes = tuple(int(n) for n in fields.get("sizes", ()))
    if not sizes or min(sizes) < 1:
        raise InputError(
            f"The image has no voxels (sizes: {sizes}): export it again.",
            code=Code.IMAGE_DIMENSIONS,
        )
    signs = _signs(fields)
    affine, spatial = _placed(fields, len(sizes), signs)
    others = [axis for axis in range(len(sizes)) if axis not in spatial]
    axes = [*spatial, *others]
    shape = tuple(sizes[axis] for axis in axes)
    order = tuple(axes.index(axis) for axis in range(len(sizes)))
    table = None
    if BVALUE in fields and others:
        volumes = math.prod(sizes[axis] for axis in others)
        table = StoredTable(GRADIENT + "NNNN", partial(read_table, fields, signs, volumes))
    source = NrrdHeader(order, tuple(_carried(fields)))
    voxels = _voxels(path, fields, order, end)
    return StoredImage(path, shape, affine, nifti_header(shape, affine), voxels, table, source)


def header_text(
    data: Shaped[np.ndarray, "x y z *v"],
    affine: Float[np.ndarray, "4 4"],
    table: Float[np.ndarray, "v 4"] | None,
    source: NrrdHeader | None,
    data_file: str | None,
) -> str:
    """The header of an image that is to be written, with the empty line that ends it.

    Parameters
    ----------
    data : (X, Y, Z) or (X, Y, Z, V); bool is stored as bytes, all else as float32.
    affine : (4, 4), voxel to world in mm.
    table : (V, 4) in scanner axes, or None.
    source : the header of the image that it was made of, or None.
    data_file : the name of the file with the voxels; None where they follow.

    Returns
    -------
    str
    """
    order = written_order(data.ndim, source)
    vectors = [_vector(affine[:3, a] * TO_RAS) if a < SPATIAL else "none" for a in order]
    lines = [
        "NRRD0005",
        f"type: {'uint8' if data.dtype == bool else 'float'}",
        f"dimension: {data.ndim}",
        f"space: {WRITTEN_SPACE}",
        f"sizes: {' '.join(str(data.shape[a]) for a in order)}",
        f"space directions: {' '.join(vectors)}",
        f"kinds: {' '.join('space' if a < SPATIAL else 'list' for a in order)}",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(affine[:3, 3] * TO_RAS)}",
    ]
    if data_file is not None:
        lines.append(f"data file: {data_file}")
    if table is not None:
        lines.append(f"{FRAME}: (1,0,0) (0,1,0) (0,0,1)")
    lines += [f"{key}:={value}" for key, value in (source.keys if source is not None else ())]
    if table is not None:
        lines += gradient_lines(table)
    return "\n".join(lines) + "\n\n"


def written_order(ndim: int, source: NrrdHeader | None) -> tuple[int, ...]:
    """The axes of an image as its file is to have them, the fastest first."""
    order = () if source is None else source.order
    return tuple(a for a in order if a < ndim) if len(order) >= ndim else tuple(range(ndim))


def _fields(path: Path) -> tuple[dict[str, Any], int]:
    """The header as pynrrd reads it, and where it ends."""
    import nrrd

    with path.open("rb") as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pynrrd's own, beside our one sentence
                return dict(nrrd.read_header(file)), file.tell()
        except Exception as error:  # pynrrd has its own and Python's
            raise InputError(
                "It is no NRRD image, or its header is damaged: export or copy it again.",
                code=Code.IMAGE_DAMAGED,
            ) from error


def _placed(
    fields: Mapping[str, Any], ndim: int, signs: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "4 4"], list[int]]:
    """The affine, and the axes that are in space, in the order of the file."""
    directions = np.array(fields.get("space directions", ()), float)
    origin = np.array(fields.get("space origin", (0, 0, 0)), float)
    if directions.shape == (ndim, SPATIAL + 1) and origin.shape == (SPATIAL + 1,):
        in_time = (directions[:, :SPATIAL] == 0).all(axis=1)  # of the volumes: no axis in space
        directions = np.where(in_time[:, None], np.nan, directions)[:, :SPATIAL]
        origin = origin[:SPATIAL]
    if directions.shape != (ndim, SPATIAL) or origin.shape != (SPATIAL,):
        raise InputError(
            "Its header does not say where the voxels are (space directions, space origin): "
            "export it again.",
            code=Code.IMAGE_AFFINE,
        )
    spatial = [axis for axis, d in enumerate(directions) if np.isfinite(d).all()]
    if len(spatial) != SPATIAL:
        raise InputError(
            f"Its header has {len(spatial)} axes in space and not three: give a volume, or a "
            "series of volumes.",
            code=Code.IMAGE_DIMENSIONS,
        )
    affine = np.eye(4)
    affine[:3, :3] = (directions[spatial] * signs).T
    affine[:3, 3] = origin * signs
    if not np.isfinite(affine).all():
        raise InputError(
            "The affine holds a NaN or infinite number: repair the header.", code=Code.IMAGE_AFFINE
        )
    return affine, spatial


def _signs(fields: Mapping[str, Any]) -> Float[np.ndarray, "3"]:
    space = str(fields.get("space", "")).lower()
    for time, without in TIMES.items():
        if space.endswith(time):
            space = space.removesuffix(time) + without
    if not space and str(fields.get("space dimension", "")) == "4":
        raise InputError(
            "Its header counts four axes of space and names none, as ITK has 4-D images: if ITK "
            f"wrote it, put 'space: {WRITTEN_SPACE}-time' in place of 'space dimension: 4'.",
            code=Code.IMAGE_AFFINE,
        )
    if space not in SPACES:
        raise InputError(
            f"Its header says the space is {space or 'none'!r}, where it should name right or "
            "left, anterior or posterior, superior: correct it, such as to "
            "left-posterior-superior.",
            code=Code.IMAGE_AFFINE,
        )
    return np.array(SPACES[space], float)


def _voxels(
    path: Path, fields: Mapping[str, Any], order: tuple[int, ...], end: int
) -> StoredVoxels:
    encoding = str(fields.get("encoding", "")).lower()
    if encoding not in (*GZIP, *RAW):
        raise InputError(
            f"Its voxels are encoded as {encoding!r}, and raw and gzip are read: save it with one "
            "of them (`unu save -f nrrd -e gzip`).",
            code=Code.IMAGE_FORMAT,
        )
    kind = _kind(fields)
    packed = encoding in GZIP
    data_file, start = _data_file(path, fields), end
    if data_file != path:
        start = 0
    skipped_lines = int(fields.get("line skip", fields.get("lineskip", 0)))
    start = _after_lines(data_file, start, skipped_lines)
    skipped = int(fields.get("byte skip", fields.get("byteskip", 0)))
    if skipped == -1 and not packed:  # the voxels are the file's last bytes
        size = math.prod(int(n) for n in fields["sizes"]) * kind.itemsize
        start, skipped = data_file.stat().st_size - size, 0
    if skipped < 0 or start < 0:
        raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED)
    return StoredVoxels(
        data_file, kind, order, packed=packed, start=start if packed else start + skipped,
        offset=skipped if packed else 0,
    )  # fmt: skip


def _kind(fields: Mapping[str, Any]) -> np.dtype[Any]:
    name = str(fields.get("type", "")).strip().lower()
    numpy_name = next((n for pattern, n in KINDS.items() if re.fullmatch(pattern, name)), None)
    if numpy_name is None:
        raise InputError(
            f"Its type {name!r} is unknown: save it as float (`unu convert -t float`).",
            code=Code.IMAGE_FORMAT,
        )
    kind = np.dtype(numpy_name)
    if kind.itemsize == 1:
        return kind
    endian = str(fields.get("endian", "")).lower()
    if endian not in ("little", "big"):
        raise InputError(
            "Its header does not say whether its numbers are little or big endian: export it "
            "again.",
            code=Code.IMAGE_DAMAGED,
        )
    return kind.newbyteorder("<" if endian == "little" else ">")


def _data_file(path: Path, fields: Mapping[str, Any]) -> Path:
    name = fields.get("data file", fields.get("datafile"))
    if name is None:
        return path
    if str(name).upper().startswith("LIST") or "%" in str(name):
        raise InputError(
            "Its voxels are in several data files: join them (`unu save -f nrrd -e gzip`).",
            code=Code.IMAGE_FORMAT,
        )
    file = path.parent / str(name)
    if not file.is_file():
        raise InputError(
            f"Its data file {name} is not where the header says: put it there, under this name.",
            code=Code.FILE_MISSING,
        )
    return file


def _after_lines(path: Path, start: int, count: int) -> int:
    """Where the voxels begin, if lines of text are to be passed over."""
    with path.open("rb") as file:
        file.seek(start)
        for _ in range(count):
            file.readline()
        return file.tell()


def _carried(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs that are no fields of NRRD, and not of the gradient table."""
    return [
        (key, value)
        for key, value in fields.items()
        if isinstance(value, str)
        and " " not in key
        and key not in FIELDS.split()
        and not is_of_table(key)
    ]


def _vector(numbers: Float[np.ndarray, "3"]) -> str:
    return f"({','.join(as_word(n) for n in numbers + 0.0)})"
