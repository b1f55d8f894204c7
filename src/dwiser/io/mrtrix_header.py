"""The text header of MRtrix images: read, and written.

The format is described on MRtrix3's page "Images and other data".
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from dwiser.errors import Code, InputError
from dwiser.io.stored import ByteStream

MAGIC, END = "mrtrix image", "END"
MOST_HEADER = 2**24  # bytes; a table of 1000 directions has 60 kB
LINE = 2**20  # bytes of a line at most
SCHEME, HISTORY = "dw_scheme", "command_history"
GEOMETRY = ("dim", "vox", "layout", "datatype", "file", "transform", "scaling")
REQUIRED = ("dim", "vox", "layout", "datatype", "file")
NOT_CARRIED = ("mrtrix_version",)  # says who wrote the file
KINDS = {
    "bit": "u1", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4",
    "uint32": "u4", "int64": "i8", "uint64": "u8", "float16": "f2", "float32": "f4",
    "float64": "f8", "cfloat32": "c8", "cfloat64": "c16",
}  # fmt: skip
BYTE_ORDERS = {"le": "<", "be": ">"}


@dataclass(frozen=True)
class Layout:
    """In which order a file has an image's axes.

    Parameters
    ----------
    order : the header's axes, the fastest first.
    signs : of each of the header's axes, −1 where the file has it backward.
    """

    order: tuple[int, ...]
    signs: tuple[int, ...]

    @property
    def spatial(self) -> tuple[int, ...]:
        """The first three of the header's axes, the fastest first."""
        return tuple(axis for axis in self.order if axis < 3)

    def words(self, ndim: int) -> str:
        """As the header has it, of the first ``ndim`` axes; further ones follow as the slowest."""
        order = [axis for axis in self.order if axis < ndim]
        order += range(len(self.order), ndim)
        signs = (*self.signs, *(1 for _ in range(len(self.signs), ndim)))
        places = (order.index(axis) for axis in range(ndim))
        return ",".join(f"{'-' if signs[axis] < 0 else '+'}{p}" for axis, p in enumerate(places))


IN_ORDER = Layout((0, 1, 2), (1, 1, 1))


@dataclass(frozen=True, eq=False)
class MRtrixHeader:
    """What an MRtrix image's header says.

    Parameters
    ----------
    shape, vox : the size of each axis in voxels, and of a voxel along it in mm.
    layout : in which order the file has the axes.
    datatype : MRtrix's name of it, in lower case.
    data_file, offset : the file that holds the voxels, "." for the image itself, and the bytes
        before them.
    affine : (4, 4), of the header's axes, voxel to world in mm.
    scaling : offset and factor of the stored values.
    scheme : the rows of ``dw_scheme`` as text; empty without one.
    keys : all other keys and values, in the order of the file.
    """

    shape: tuple[int, ...]
    vox: tuple[float, ...]
    layout: Layout
    datatype: str
    data_file: str
    offset: int
    affine: Float[np.ndarray, "4 4"]
    scaling: tuple[float, float] = (0.0, 1.0)
    scheme: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> np.dtype[Any]:
        """NumPy's type of a voxel; uint8 for single bits."""
        name, order = self.datatype, "="
        if name[-2:] in BYTE_ORDERS and name[:-2] in KINDS:
            name, order = name[:-2], BYTE_ORDERS[name[-2:]]
        if name not in KINDS:
            raise InputError(
                f"Its datatype {self.datatype!r} is unknown: convert it with `mrconvert -datatype "
                "float32`.",
                code=Code.IMAGE_FORMAT,
            )
        return np.dtype(order + KINDS[name])

    def read_table(self) -> Float[np.ndarray, "v 4"]:
        """The gradient table in scanner axes, b-values last.

        Raises
        ------
        InputError
            If a row is not four numbers.
        """
        rows = [_numbers("dw_scheme", row) for row in self.scheme]
        if {len(row) for row in rows} != {4}:
            raise InputError(
                "A row of its dw_scheme has not four numbers (x, y, z, b): correct the header, or "
                "give the table with --grad.",
                code=Code.GRADIENTS_FORMAT,
            )
        return np.array(rows)


def read_header(file: ByteStream) -> MRtrixHeader:
    """Read a header from the beginning of a file.

    Parameters
    ----------
    file : open for reading bytes, decompressed.

    Returns
    -------
    MRtrixHeader

    Raises
    ------
    InputError
        If it is no MRtrix image, or its header is cut off or says what cannot be; without the
        file's name.
    """
    lines = _lines(file)
    values: dict[str, list[str]] = {name: [] for name in (*GEOMETRY, SCHEME)}
    keys = []
    for line in lines:
        key, colon, value = line.partition(":")
        known = key.strip().lower()
        if known in values:
            values[known].append(value.strip())
        elif colon and known not in NOT_CARRIED:
            keys.append((key.strip(), value.strip()))
    for name in REQUIRED:
        if not values[name]:
            raise _damaged(f"it has no {name!r}")
    shape = tuple(int(n) for n in _numbers("dim", values["dim"][0], whole=True))
    vox = tuple(_numbers("vox", values["vox"][0]))
    if not shape or min(shape) < 1:
        raise InputError(
            f"The image has no voxels (dim: {values['dim'][0]}): export it again.",
            code=Code.IMAGE_DIMENSIONS,
        )
    if len(vox) < min(3, len(shape)):
        raise _damaged(f"it has {len(vox)} voxel sizes (vox) for {len(shape)} dimensions (dim)")
    layout = _layout(values["layout"][0], len(shape))
    while len(shape) < 3:  # a row or a slice: the axes that it lacks have one voxel
        layout = Layout((*layout.order, len(shape)), (*layout.signs, 1))
        shape, vox = (*shape, 1), (*vox[: len(shape)], 1.0)
    return MRtrixHeader(
        shape, vox, layout, values["datatype"][0].lower(), *_data_file(values["file"]),
        _affine(values["transform"], shape, vox), _scaling(values["scaling"]),
        tuple(values[SCHEME]), tuple(keys),
    )  # fmt: skip


def header_text(values: Mapping[str, str | Sequence[str]], keys: Iterable[tuple[str, str]]) -> str:
    """The lines of a header but ``file`` and ``END``, each ended.

    Parameters
    ----------
    values : of the keys that say where and what the voxels are; several lines for a sequence.
    keys : all other keys with their values.
    """
    rows = [
        (key, line)
        for key, value in values.items()
        for line in ((value,) if isinstance(value, str) else value)
    ]
    lines = (f"{key}: {' '.join(value.split())}" for key, value in (*rows, *keys))
    return "\n".join((MAGIC, *lines)) + "\n"


def with_data_in_file(text: str) -> bytes:
    """A whole header whose voxels follow in the same file, from its end on."""
    head, tail = f"{text}file: . ".encode(), f"\n{END}\n".encode()
    size = len(head) + len(tail)
    offset = size + len(str(size)) + 4  # which may have a digit more than size
    offset += -offset % 4  # a mapped float begins at a multiple of its size
    return (head + str(offset).encode() + tail).ljust(offset, b"\0")


def _lines(file: ByteStream) -> list[str]:
    first = file.readline(LINE).decode("utf-8", "replace").strip()
    if first != MAGIC:
        raise InputError(
            f"It is no MRtrix image, its first line is not '{MAGIC}': export it again, or name it "
            "as what it is.",
            code=Code.IMAGE_FORMAT,
        )
    lines: list[str] = []
    size = 0
    while line := file.readline(LINE):
        size += len(line)
        text = line.decode("utf-8", "replace").strip()
        if text == END:
            return lines
        if size > MOST_HEADER:
            break
        lines.append(text)
    if not line and any(_names_a_file(text) for text in lines):
        return lines  # MRtrix ends a .mih with its last line, which names the data file
    raise _damaged(f"it has no line '{END}'")


def _names_a_file(line: str) -> bool:
    """Whether the voxels are in another file than the header."""
    key, _, value = line.partition(":")
    return key.strip().lower() == "file" and value.split()[:1] not in ([], ["."])


def _numbers(name: str, text: str, *, whole: bool = False) -> list[float]:
    words = text.replace(",", " ").split()
    try:
        numbers = [float(int(word)) if whole else float(word) for word in words]
    except ValueError as error:
        raise _damaged(f"{name} holds {text[:40]!r} where numbers should be") from error
    return numbers


def _layout(text: str, ndim: int) -> Layout:
    words = [word.strip() for word in text.split(",")]
    try:
        places = [abs(int(word)) for word in words]
    except ValueError as error:
        raise _damaged(f"layout holds {text[:40]!r} where places should be") from error
    if len(places) != ndim or len(set(places)) != ndim:
        raise _damaged(f"its layout ({text[:40]}) does not order its {ndim} dimensions")
    order = tuple(sorted(range(ndim), key=places.__getitem__))
    return Layout(order, tuple(-1 if word.startswith("-") else 1 for word in words))


def _data_file(lines: Sequence[str]) -> tuple[str, int]:
    if len(lines) > 1:
        raise InputError(
            f"Its voxels are in {len(lines)} data files, and images in one are read: join them "
            "with `mrcat`.",
            code=Code.IMAGE_FORMAT,
        )
    name, _, offset = lines[0].rpartition(" ")
    return (name.strip(), int(offset)) if name and offset.isdigit() else (lines[0], 0)


def _affine(
    lines: Sequence[str], shape: tuple[int, ...], vox: tuple[float, ...]
) -> Float[np.ndarray, "4 4"]:
    """Without a transform the image's middle is the scanner's, as in MRtrix."""
    affine = np.eye(4)
    edges = np.array(vox[:3])
    if lines:
        numbers = [n for line in lines for n in _numbers("transform", line)]
        if len(numbers) < 12:
            raise _damaged(f"its transform has {len(numbers)} numbers and needs 12")
        affine[:3] = np.array(numbers[:12]).reshape(3, 4)
    else:
        affine[:3, 3] = -0.5 * (np.array(shape[:3]) - 1) * edges
    affine[:3, :3] *= edges
    return affine


def _scaling(lines: Sequence[str]) -> tuple[float, float]:
    if not lines:
        return 0.0, 1.0
    numbers = _numbers("scaling", lines[-1])
    if len(numbers) != 2 or not all(map(math.isfinite, numbers)):
        raise _damaged(f"its scaling ({lines[-1][:40]}) is not two finite numbers")
    return numbers[0], numbers[1]


def _damaged(why: str) -> InputError:
    return InputError(
        f"Its header is damaged ({why}): export or copy it again.", code=Code.IMAGE_DAMAGED
    )
