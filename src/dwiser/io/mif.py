"""MRtrix images: ``.mif``, ``.mif.gz``, and ``.mih`` with its data file.

A series comes with its gradient table inside, in scanner axes. Its spatial axes are taken in the
order and direction of the file, as `mrconvert` puts them into NIfTI, so that the voxels of both
are the same; on writing they go back to where the header has them.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Float, Shaped

from dwiser.errors import Code, InputError
from dwiser.io.gz import unzipped
from dwiser.io.mrtrix_header import (
    END,
    HISTORY,
    IN_ORDER,
    Layout,
    MRtrixHeader,
    header_text,
    read_header,
    with_data_in_file,
)
from dwiser.io.stored import ByteStream, StoredImage, StoredTable, StoredVoxels
from dwiser.io.voxels import DAMAGED, write_voxels
from dwiser.scan import has_volume

SPATIAL = 3
OF_VOLUMES = ("pe_scheme",)  # keys with a row a volume, which a map has not
NIFTI1_MOST = 32767  # voxels along an axis
EDGE_DIGITS, TURN_DIGITS = 12, 15  # of voxel sizes and of the transform; more are round-off
SAME_TABLE = 1e-6  # of rows that were rounded to ten digits; they are written as they were read


def open_mif(path: Path) -> StoredImage:
    """Read the header of an MRtrix image.

    Parameters
    ----------
    path : a .mif, .mif.gz or .mih.

    Returns
    -------
    StoredImage

    Raises
    ------
    InputError
        If it is damaged, or its data file is missing; without the file's name.
    """
    packed = path.name.lower().endswith(".gz")
    try:
        with unzipped(path) if packed else path.open("rb") as file:
            header = read_header(file)
    except (InputError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # gzip and zlib each have their own
        raise InputError(DAMAGED, code=Code.IMAGE_DAMAGED) from error
    return _stored(path, header, packed)


def nifti_header(shape: tuple[int, ...], affine: np.ndarray, step: float = 1.0) -> nib.Nifti1Header:
    """A NIfTI header for the geometry of an image of another format.

    Parameters
    ----------
    shape : of all axes.
    affine : (4, 4), voxel to world in mm, the scanner's.
    step : from volume to volume, in s.
    """
    header = nib.Nifti1Header() if max(shape) <= NIFTI1_MOST else nib.Nifti2Header()
    header.set_xyzt_units("mm", "sec")
    header.set_data_shape(shape)
    if np.isfinite(affine).all() and has_volume(affine):  # else it is refused later on
        header.set_qform(affine, code="scanner")
        header.set_sform(affine, code="scanner")
    if len(shape) > SPATIAL and math.isfinite(step) and step > 0:
        header["pixdim"][4] = step
    return header


@dataclass(frozen=True, eq=False)
class MifContents:
    """An MRtrix image that is to be written.

    Parameters
    ----------
    data : (X, Y, Z) or (X, Y, Z, V); bool becomes single bits, all else float32.
    affine : (4, 4), voxel to world in mm.
    table : (V, 4) in scanner axes, or None.
    source : the header of the image that it was made of, if that is MRtrix's: its strides and
        keys are kept.
    command : for the history; None to add nothing.
    """

    data: Shaped[np.ndarray, "x y z *v"]
    affine: Float[np.ndarray, "4 4"]
    table: Float[np.ndarray, "v 4"] | None = None
    source: MRtrixHeader | None = None
    command: str | None = None

    def header(self) -> str:
        """All lines but the data file's and the last."""
        ndim = self.data.ndim
        layout, affine = self._layout, _header_affine(self.affine, self._layout, self.data.shape)
        edges = np.linalg.norm(affine[:3, :3], axis=0)
        further = (1.0,) if self.source is None else self.source.vox[SPATIAL:]
        steps = [*further, *(1.0 for _ in range(ndim))][: ndim - SPATIAL]
        shape = [0, 0, 0, *self.data.shape[SPATIAL:]]
        for place, axis in enumerate(layout.spatial):
            shape[axis] = self.data.shape[place]
        transform = np.column_stack([affine[:3, :3] / edges, affine[:3, 3]])
        values = {
            "dim": _row(shape),
            "vox": ",".join([_row(edges, EDGE_DIGITS), *map(_word, steps)]),
            "layout": layout.words(ndim),
            "datatype": "Bit" if self.data.dtype == bool else "Float32LE",
            "transform": [_row(row + 0.0, TURN_DIGITS) for row in transform],
        }
        keys = () if self.source is None else self.source.keys
        if ndim == SPATIAL:
            keys = tuple((key, value) for key, value in keys if key not in OF_VOLUMES)
        if self.command is not None:
            keys = (*keys, (HISTORY, self.command))
        if self.table is not None:
            keys = (*keys, *(("dw_scheme", row) for row in self._scheme(self.table)))
        return header_text(values, keys)

    def write(self, file: ByteStream) -> None:
        """The voxels, in the order of the file."""
        order, backward = _file_order(self._layout, self.data.ndim)
        if self.data.dtype == bool:
            every = BytesIO()
            write_voxels(every, self.data, np.dtype(np.uint8), order, backward)
            file.write(np.packbits(np.frombuffer(every.getvalue(), np.uint8)).tobytes())
        else:
            write_voxels(file, self.data, np.dtype("<f4"), order, backward)

    @property
    def _layout(self) -> Layout:
        return IN_ORDER if self.source is None else self.source.layout

    def _scheme(self, table: Float[np.ndarray, "v 4"]) -> Iterator[str]:
        """The rows as they were read, where they are the same."""
        known = None
        if self.source is not None and self.source.scheme:
            with suppress(InputError):
                known = self.source.read_table()
        if known is not None and known.shape == table.shape:
            off = np.abs(known - table)
            if (off <= SAME_TABLE * np.maximum(1, np.abs(known))).all():
                assert self.source is not None
                yield from self.source.scheme
                return
        yield from (_row(row) for row in table)


def write_mif(contents: MifContents, file: ByteStream) -> None:
    """Write a .mif: its header and its voxels.

    Parameters
    ----------
    contents : the image.
    file : open for writing, compressed or not.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    file.write(with_data_in_file(contents.header()))
    contents.write(file)


def mih_text(contents: MifContents, data_file: str) -> str:
    """The whole .mih of an image whose voxels are in another file.

    Parameters
    ----------
    contents : the image.
    data_file : the name of that file, which lies beside the .mih.

    Returns
    -------
    str
    """
    return f"{contents.header()}file: {data_file} 0\n{END}\n"


def _stored(path: Path, header: MRtrixHeader, packed: bool) -> StoredImage:
    is_own = header.data_file == "."
    data_file = path if is_own else path.parent / header.data_file
    if not data_file.is_file():
        raise InputError(
            f"Its data file {data_file.name} is not beside it: put it there, under this name.",
            code=Code.FILE_MISSING,
        )
    layout = header.layout
    shape = (*(header.shape[axis] for axis in layout.spatial), *header.shape[SPATIAL:])
    affine = _array_affine(header.affine, layout, header.shape)
    order, backward = _file_order(layout, len(shape))
    inter, slope = header.scaling
    packed = packed and is_own
    voxels = StoredVoxels(
        data_file, header.kind, order, backward, packed=packed, bits=header.datatype == "bit",
        start=0 if packed else header.offset, offset=header.offset if packed else 0,
        slope=slope, inter=inter,
    )  # fmt: skip
    step = header.vox[SPATIAL] if len(header.vox) > SPATIAL else 1.0
    table = StoredTable("dw_scheme", header.read_table) if header.scheme else None
    return StoredImage(
        path, shape, affine, nifti_header(shape, affine, step), voxels,
        table, header,
    )  # fmt: skip


def _file_order(layout: Layout, ndim: int) -> tuple[tuple[int, ...], frozenset[int]]:
    """The axes of our array as the file has them, the fastest first, and those it has backward.

    The array's first three are the header's in the order and direction of the file.
    """
    place = {axis: i for i, axis in enumerate(layout.spatial)}
    order = [axis for axis in layout.order if axis < ndim]
    order += range(len(layout.order), ndim)
    signs = dict(enumerate(layout.signs))
    backward = frozenset(a for a in range(SPATIAL, ndim) if signs.get(a, 1) < 0)
    return tuple(place.get(axis, axis) for axis in order), backward


def _array_affine(affine: np.ndarray, layout: Layout, shape: tuple[int, ...]) -> np.ndarray:
    """The affine of our array from that of the header's axes, whose ``shape`` it is."""
    moves = [(axis, place, layout.signs[axis]) for place, axis in enumerate(layout.spatial)]
    return _turned(affine, shape, moves)


def _header_affine(affine: np.ndarray, layout: Layout, shape: tuple[int, ...]) -> np.ndarray:
    """The affine of the header's axes from that of our array, whose ``shape`` it is."""
    moves = [(place, axis, layout.signs[axis]) for place, axis in enumerate(layout.spatial)]
    return _turned(affine, shape, moves)


def _turned(
    affine: np.ndarray, shape: tuple[int, ...], moves: Iterable[tuple[int, int, int]]
) -> np.ndarray:
    """The affine once each axis is at its new place, in its new direction.

    Parameters
    ----------
    affine : (4, 4), before.
    shape : of the image, before.
    moves : of each axis its place before and after, and −1 where it is reversed, else 1.
    """
    turned = affine.copy()
    for before, after, sign in moves:
        column = affine[:3, before]
        turned[:3, after] = column * sign
        if sign < 0:
            turned[:3, 3] += column * (shape[before] - 1)
    return turned


def _row(numbers: Iterable[Any], digits: int | None = None) -> str:
    return ",".join(_word(n, digits) for n in numbers)


def _word(number: Any, digits: int | None = None) -> str:
    """With the fewest digits that are read as the same number, or at most so many."""
    if isinstance(number, int):
        return str(number)
    return np.format_float_positional(number, digits, fractional=False, trim="-")
