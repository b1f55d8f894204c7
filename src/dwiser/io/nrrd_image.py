"""NRRD images as 3D Slicer has them: ``.nrrd``, and ``.nhdr`` with its data file.

The format is described on Teem's page "Definition of NRRD File Format", the gradient table on
NA-MIC's page "NAMIC Wiki:DTI:Nrrd format": vectors in a measurement frame, and one b-value, that
of the longest vector; the others' go by their squared length.
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

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.io.mif import nifti_header
from dwiser.io.stored import StoredImage, StoredTable, StoredVoxels
from dwiser.io.voxels import DAMAGED

SPACES = {  # to the right, to the front, up: the sign of each of the space's axes
    "right-anterior-superior": (1, 1, 1), "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1),
}  # fmt: skip
WRITTEN_SPACE, TO_RAS = "left-posterior-superior", np.array([-1.0, -1.0, 1.0])
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
BVALUE, GRADIENT, REPEATED = "DWMRI_b-value", "DWMRI_gradient_", "DWMRI_NEX_"
B_MATRIX = "DWMRI_B-matrix_"
FIELDS = (
    "type dimension space sizes kinds encoding endian content min max units labels spacings "
    "thicknesses centers centerings number"
)  # of one word; those of several have a blank, which no key of a pair here has
MOST_LENGTH = 0.01  # by which the longest vector may differ from 1 without a word
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
    import nrrd

    with path.open("rb") as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pynrrd's own, beside our one sentence
                fields = dict(nrrd.read_header(file))
        except Exception as error:  # pynrrd has its own and Python's
            raise InputError(
                "It is no NRRD image, or its header is damaged: export or copy it again.",
                code=Code.IMAGE_DAMAGED,
            ) from error
        end = file.tell()
    sizes = tuple(int(n) for n in fields.get("sizes", ()))
    directions = np.array(fields.get("space directions", ()), float)
    origin = np.array(fields.get("space origin", (0, 0, 0)), float)
    if not sizes or min(sizes) < 1:
        raise InputError(
            f"The image has no voxels (sizes: {sizes}): export it again.",
            code=Code.IMAGE_DIMENSIONS,
        )
    if directions.shape != (len(sizes), SPATIAL) or origin.shape != (SPATIAL,):
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
    others = [axis for axis in range(len(sizes)) if axis not in spatial]
    axes = [*spatial, *others]
    shape = tuple(sizes[axis] for axis in axes)
    signs = _signs(fields)
    affine = np.eye(4)
    affine[:3, :3] = (directions[spatial] * signs).T
    affine[:3, 3] = origin * signs
    if not np.isfinite(affine).all():
        raise InputError(
            "The affine holds a NaN or infinite number: repair the header.", code=Code.IMAGE_AFFINE
        )
    order = tuple(axes.index(axis) for axis in range(len(sizes)))
    table = None
    if BVALUE in fields and others:
        volumes = math.prod(sizes[axis] for axis in others)
        table = StoredTable(GRADIENT + "NNNN", partial(_table, fields, signs, volumes))
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
        lines.append("measurement frame: (1,0,0) (0,1,0) (0,0,1)")
    lines += [f"{key}:={value}" for key, value in (source.keys if source is not None else ())]
    if table is not None:
        highest = table[:, 3].max()
        lines += ["modality:=DWMRI", f"{BVALUE}:={_number(highest)}"]
        lengths = np.sqrt(table[:, 3] / highest) if highest > 0 else np.zeros(len(table))
        norms = np.linalg.norm(table[:, :3], axis=1)
        scaled = table[:, :3] * TO_RAS * (lengths / np.where(norms > 0, norms, 1))[:, None]
        for v, vector in enumerate(scaled + 0.0):
            lines.append(f"{GRADIENT}{v:04d}:={' '.join(_number(n) for n in vector)}")
    return "\n".join(lines) + "\n\n"


def written_order(ndim: int, source: NrrdHeader | None) -> tuple[int, ...]:
    """The axes of an image as its file is to have them, the fastest first."""
    order = () if source is None else source.order
    return tuple(a for a in order if a < ndim) if len(order) >= ndim else tuple(range(ndim))


def _signs(fields: Mapping[str, Any]) -> Float[np.ndarray, "3"]:
    space = str(fields.get("space", "")).lower()
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


def _table(
    fields: Mapping[str, Any], signs: Float[np.ndarray, "3"], volumes: int
) -> Float[np.ndarray, "v 4"]:
    """Unit vectors in scanner axes, and b-values by their squared lengths."""
    vectors = _vectors(fields, volumes)
    frame = np.eye(3)
    if "measurement frame" not in fields:
        warnings.warn(
            "The NRRD header has no measurement frame: its gradients are taken to be in the "
            "image's space; check them, some programs turn the space without them.",
            DwiserWarning,
            stacklevel=4,
        )
    else:
        frame = np.array(fields["measurement frame"], float)  # a row is a vector of the frame
        if frame.shape != (3, 3) or not np.isfinite(frame).all():
            raise InputError(
                "Its measurement frame is not three vectors: correct the header, or give the "
                "table with --grad or --bval and --bvec.",
                code=Code.GRADIENTS_FORMAT,
            )
    lengths = np.linalg.norm(vectors, axis=1)
    longest = lengths.max(initial=0.0)
    bvalue = _floats(str(fields[BVALUE]), 1, BVALUE)[0]
    shares = (lengths / longest) ** 2 if longest > 0 else np.zeros(len(lengths))
    if longest > 0 and abs(longest - 1) > MOST_LENGTH:
        warnings.warn(
            f"The longest gradient in the NRRD header has length {longest:.3g}: it has the b-value "
            f"{bvalue:g}, and the others' go by their squared length relative to it.",
            DwiserWarning,
            stacklevel=4,
        )
    turned = (vectors @ frame) * signs
    norms = np.linalg.norm(turned, axis=1)
    return np.column_stack([turned / np.where(norms > 0, norms, 1)[:, None], bvalue * shares])


def _vectors(fields: Mapping[str, Any], volumes: int) -> Float[np.ndarray, "v 3"]:
    if any(key.startswith(B_MATRIX) for key in fields):
        raise InputError(
            "Its header has B-matrices in place of gradients: give the table with --grad or "
            "--bval and --bvec.",
            code=Code.GRADIENTS_FORMAT,
        )
    rows: list[list[float]] = []
    for key in sorted(key for key in fields if key.startswith(GRADIENT)):
        number = key.removeprefix(GRADIENT)
        if not number.isdigit() or int(number) != len(rows):
            raise InputError(
                f"Its gradients are not numbered one after the other ({key}): correct the header, "
                "or give the table with --grad or --bval and --bvec.",
                code=Code.GRADIENTS_FORMAT,
            )
        times = int(_floats(str(fields.get(REPEATED + number, 1)), 1, REPEATED + number)[0])
        rows += [_floats(str(fields[key]), 3, key)] * min(max(times, 1), volumes + 1)
    return np.array(rows, float).reshape(-1, 3)


def _floats(text: str, count: int, key: str) -> list[float]:
    words = text.replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise InputError(
            f"{key} in its header holds {text[:40]!r} where {count} finite numbers should be: "
            "correct the header, or give the table with --grad or --bval and --bvec.",
            code=Code.GRADIENTS_FORMAT,
        )
    return numbers


def _carried(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs that are no fields of NRRD, and not of the gradient table."""
    return [
        (key, value)
        for key, value in fields.items()
        if isinstance(value, str)
        and " " not in key
        and key not in FIELDS.split()
        and not key.startswith("DWMRI_")
        and key not in ("modality", "datafile", "lineskip", "byteskip", "oldmin", "oldmax")
    ]


def _vector(numbers: Float[np.ndarray, "3"]) -> str:
    return f"({','.join(_number(n) for n in numbers + 0.0)})"


def _number(number: float | np.floating) -> str:
    return np.format_float_positional(number, trim="-")
