"""Write an image of any format, by its name's ending, with the geometry of a scan."""

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import nibabel as nib
import numpy as np
from jaxtyping import Float, Shaped

from dwiser.io.gradient_table import ReadGradients
from dwiser.io.gz import zipped, zipped_into
from dwiser.io.image_shape import MAP_NDIM, SERIES_NDIM
from dwiser.io.mif import MifContents, mih_text, write_mif
from dwiser.io.mrtrix_header import MRtrixHeader
from dwiser.io.names import MRTRIX_ENDINGS, NRRD_ENDINGS, check_output_name, ending, image_files
from dwiser.io.nifti_image import captured_messages
from dwiser.io.nrrd_image import NrrdHeader, written_order
from dwiser.io.nrrd_image import header_text as nrrd_text
from dwiser.io.scanner_axes import in_scanner_axes
from dwiser.io.voxels import write_voxels
from dwiser.scan import Scan

Writer = Callable[[Path], None]


@runtime_checkable
class HasGeometry(Protocol):
    """Where voxels lie: a scan, or what stands for one."""

    @property
    def affine(self) -> Float[np.ndarray, "4 4"]:
        """Voxel to world."""

    @property
    def header(self) -> Any:
        """A NIfTI header, or None."""


def image_writers(
    data: Shaped[np.ndarray, "x y z *v"],
    path: Path,
    like: HasGeometry,
    command: str | None = None,
    threads: int = 1,
) -> dict[Path, Writer]:
    """For each file of an image a function that writes it, at any path; the named one is last.

    Parameters
    ----------
    data : (X, Y, Z) or (X, Y, Z, V) on the scan's grid.
    path : its ending says the format.
    like : the scan whose geometry is written, and in MRtrix and NRRD images its gradient table.
    command : for the history that MRtrix images keep; None to add nothing.
    threads : that compress a packed one, beside the one that writes.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the name does not end as an image's.
    """
    check_output_name(path)
    files, kind = image_files(path), ending(path).lower()
    if kind in NRRD_ENDINGS:  # Slicer's have one axis of volumes
        return _nrrd_writers(data, files, like, threads)
    data = along_axes(data, like)
    if kind in MRTRIX_ENDINGS:
        return _mrtrix_writers(data, files, kind, like, command, threads)
    return _nifti_writers(data, files, kind, like, threads)


def along_axes(
    data: Shaped[np.ndarray, "x y z *v"], like: HasGeometry
) -> Shaped[np.ndarray, "x y z *a"]:
    """A series along the axes that its scan's volumes came along; a view.

    Parameters
    ----------
    data : a map, or a series; one of other volumes than the scan's is returned as it is.
    like : the scan.
    """
    axes = like.axes if isinstance(like, Scan) else ()
    if len(axes) < 2 or data.ndim != SERIES_NDIM or data.shape[3] != math.prod(axes):
        return data
    return data.reshape((*data.shape[:3], *axes), order="F")


def scanner_table(like: HasGeometry, volumes: int) -> Float[np.ndarray, "v 4"] | None:
    """A scan's table as it was read, in scanner axes; None for a series of another length.

    Parameters
    ----------
    like : the scan.
    volumes : of the series that is to be written; along its fourth axis alone for the table that
        all further axes share.
    """
    if not isinstance(like, Scan):
        return None
    table = like.gradients
    bvals, bvecs = table.bvals, table.bvecs
    if isinstance(table, ReadGradients):
        bvals, bvecs = table.raw_bvals, table.raw_bvecs
    if len(bvals) != volumes:
        once = len(like.axes) > 1 and volumes == like.axes[0] and len(bvals) == math.prod(like.axes)
        if not once:
            return None
        repeats = len(bvals) // volumes
        if _all_alike(bvals, repeats) and _all_alike(bvecs, repeats):  # else a row for each
            bvals, bvecs = bvals[:volumes], bvecs[:volumes]
    vectors = in_scanner_axes(np.nan_to_num(bvecs, posinf=0, neginf=0), like.affine)
    return np.column_stack([vectors + 0.0, bvals])  # no -0


def _all_alike(rows: Shaped[np.ndarray, "r *c"], repeats: int) -> bool:
    """Whether a table is one and the same so many times in a row."""
    parts = rows.reshape(repeats, -1)
    return bool(np.array_equal(parts, np.broadcast_to(parts[0], parts.shape), equal_nan=True))


def _source(like: HasGeometry) -> Any:
    return like.source if isinstance(like, Scan) else None


def _affine_mm(like: HasGeometry) -> Float[np.ndarray, "4 4"]:
    return like.affine_mm if isinstance(like, Scan) else like.affine


def _mrtrix_writers(
    data: np.ndarray,
    files: tuple[Path, ...],
    kind: str,
    like: HasGeometry,
    command: str | None,
    threads: int,
) -> dict[Path, Writer]:
    table = scanner_table(like, data.shape[3]) if data.ndim >= SERIES_NDIM else None
    header_read = _source(like)
    source = header_read if isinstance(header_read, MRtrixHeader) else None
    contents = MifContents(np.asarray(data), _affine_mm(like), table, source, command)
    if len(files) > 1:
        *_, head = files

        def write_data(path: Path) -> None:
            with path.open("wb") as file:
                contents.write(file)

        def write_header(path: Path) -> None:
            path.write_text(mih_text(contents, files[0].name), encoding="utf-8")

        return {files[0]: write_data, head: write_header}

    def write(path: Path) -> None:
        with zipped(path, threads) if kind.endswith(".gz") else path.open("wb") as file:
            write_mif(contents, file)

    return {files[0]: write}


def _nifti_writers(
    data: np.ndarray, files: tuple[Path, ...], kind: str, like: HasGeometry, threads: int
) -> dict[Path, Writer]:
    image = image_of(data, like, pair=len(files) > 1)
    if len(files) > 1:
        return {file: partial(_write_of_pair, image, ending(file).lower()) for file in files}
    write = partial(_write_packed, image, threads) if kind.endswith(".gz") else image.to_filename
    return {files[0]: write}


def image_of(
    data: Shaped[np.ndarray, "x y z *v"], like: HasGeometry, *, pair: bool = False
) -> nib.Nifti1Pair:
    """Voxels as nibabel's image, with the geometry of a scan.

    Parameters
    ----------
    data : as in ``image_writers``.
    like : the scan.
    pair : whether for two files, .hdr and .img.

    Returns
    -------
    nibabel's NIfTI image; its header is a copy.
    """
    stored = np.asarray(data).astype(np.uint8 if data.dtype == bool else np.float32, copy=False)
    if isinstance(like.header, nib.Nifti2Header):
        kind = nib.Nifti2Pair if pair else nib.Nifti2Image
    else:
        kind = nib.Nifti1Pair if pair else nib.Nifti1Image
    with captured_messages():
        image = kind(stored, like.affine, like.header)  # copies the header
    header = image.header
    header.set_data_dtype(stored.dtype)
    if like.header is not None and like.header["dim"][0] > SERIES_NDIM >= data.ndim:
        header.set_intent("none")  # a vector's, whose elements were the volumes
    header["cal_min"] = header["cal_max"] = 0  # a viewer's window for the raw intensities
    if data.ndim == MAP_NDIM:
        header.extensions.clear()  # they may describe volumes that a map does not have
    return image


def _write_packed(image: nib.Nifti1Image, threads: int, path: Path) -> None:
    with zipped(path, threads) as file:
        image.to_stream(file)


def _write_of_pair(image: nib.Nifti1Pair, kind: str, path: Path) -> None:
    """The header or the voxels; the other one is thrown away."""
    part = "header" if kind.startswith(".hdr") else "image"
    with (
        open(os.devnull, "wb") as nowhere,
        zipped(path) if kind.endswith(".gz") else path.open("wb") as file,
    ):
        image.to_file_map(
            {
                name: nib.FileHolder(fileobj=file if name == part else nowhere)
                for name in ("header", "image")
            }
        )


def _nrrd_writers(
    data: np.ndarray, files: tuple[Path, ...], like: HasGeometry, threads: int
) -> dict[Path, Writer]:
    table = scanner_table(like, data.shape[3]) if data.ndim == SERIES_NDIM else None
    header_read = _source(like)
    source = header_read if isinstance(header_read, NrrdHeader) else None
    stored = np.asarray(data)
    data_file = files[0].name if len(files) > 1 else None
    header = nrrd_text(stored, _affine_mm(like), table, source, data_file).encode()
    order = written_order(stored.ndim, source)
    type_ = np.dtype("u1" if stored.dtype == bool else "<f4")

    def write_packed(path: Path) -> None:
        with zipped(path, threads) as file:
            write_voxels(file, stored, type_, order)

    def write_whole(path: Path) -> None:
        with path.open("wb") as raw:
            raw.write(header)
            with zipped_into(raw, threads) as file:
                write_voxels(file, stored, type_, order)

    if data_file is None:
        return {files[0]: write_whole}
    return {files[0]: write_packed, files[1]: lambda path: path.write_bytes(header) and None}
