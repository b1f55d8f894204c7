"""NIfTI images: read a scan with its geometry, write results with the same one."""

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped
from nibabel.imageglobals import logger as nibabel_log

from dwiser.defaults import B0_THRESHOLD, BValueScaling
from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.io.about import FilePath, about
from dwiser.io.formats import refuse_no_file
from dwiser.io.gradients import read_gradients
from dwiser.io.grid import GRID_TOLERANCE, Grid, qform_of
from dwiser.io.gz import zipped
from dwiser.io.names import check_output_name, ending, find_inputs
from dwiser.io.packing import HEADER_START, check_packing
from dwiser.io.voxels import read_voxels
from dwiser.memmap import FLOAT32, allocate_mapped
from dwiser.scan import Scan, has_volume
from dwiser.table_check import settled

BAD_INTERCEPT = "invalid intercept"  # nibabel's words
SERIES_NDIM, MAP_NDIM = 4, 3
MAPPED_SHARE = 0.25  # of the memory; a larger series is read from a file as it is needed


def load(
    dwi: FilePath,
    bval: FilePath | None = None,
    bvec: FilePath | None = None,
    mask: FilePath | None = None,
    *,
    b0_threshold: float = B0_THRESHOLD,
    bvalue_scaling: BValueScaling = "auto",
    memory: int | None = None,
) -> Scan:
    """Read a diffusion-weighted series, its gradient table and, if given, a mask.

    Parameters
    ----------
    dwi : a 4-D NIfTI-1 or NIfTI-2 image, .nii or .nii.gz.
    bval, bvec : FSL's text files; without them those beside the image with its stem.
    mask : an image on the same grid; voxels neither zero nor NaN are inside.
    b0_threshold : b-values up to this many s/mm² count as b0.
    bvalue_scaling : whether b-values are multiplied by the squared lengths of the vectors: "yes",
        "no", or "auto", as `dwiser.Gradients` decides it.
    memory : bytes; a series above a quarter of them stays in a file and is mapped.

    Returns
    -------
    Scan
        (X, Y, Z, V) float32 in the scanner's units (scale slope applied), volumes
        contiguous in memory; its gradients keep the raw table. A complex image gives
        its magnitude as data, and its phase.

    Raises
    ------
    InputError
        For anything that is wrong with one of the files, in one sentence that names it.

    Examples
    --------
    >>> import dwiser
    >>> from dwiser.io.sample import sample_paths
    >>> dwiser.load(sample_paths().dwi).shape
    (68, 64, 20, 41)
    """
    image = _open(dwi)
    with about(dwi):
        shape = _shape(image, SERIES_NDIM)
    files = find_inputs(dwi, bval, bvec, mask)
    with _many_dimensions(dwi, image, shape):
        gradients = read_gradients(
            files.bval, files.bvec, volumes=shape[-1], b0_threshold=b0_threshold,
            bvalue_scaling=bvalue_scaling,
        )  # fmt: skip
    inside = None if mask is None else _read_mask(mask, dwi, image)
    with about(dwi):
        data, phase = _series(image, shape, memory)
    with about(files.bval):
        table = settled(gradients, data)
    with about(dwi):
        return Scan(
            data=data,
            affine=np.array(image.affine, float),
            gradients=table,
            header=image.header.copy(),
            mask=inside,
            phase=phase,
        )


def read_shape(dwi: FilePath) -> tuple[int, ...]:
    """The shape of a series, from its header alone.

    Parameters
    ----------
    dwi : a 4-D NIfTI image.

    Returns
    -------
    (X, Y, Z, V)

    Raises
    ------
    InputError
        As with ``load``.
    """
    image = _open(dwi)
    with about(dwi):
        return _shape(image, SERIES_NDIM)


def read_header_shape(path: FilePath) -> tuple[int, ...]:
    """The shape of any image, from its header alone.

    Parameters
    ----------
    path : a NIfTI image of any number of dimensions.

    Returns
    -------
    tuple of int

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    return tuple(map(int, _open(path).shape))


def read_on_grid(
    path: FilePath, like: Scan, name: str, *, series: bool | None = False
) -> Float32[np.ndarray, "x y z *v"]:
    """Read an image that must lie on the grid of a scan: a map, or a series as long.

    Parameters
    ----------
    path : .nii or .nii.gz.
    like : the scan; shape and affine must be its own, to a twentieth of a voxel. Axes that are
        stored in another order or direction are turned to the scan's.
    name : what the image is ("mask", "σ map"), for the error.
    series : whether (X, Y, Z, V) is expected, and not (X, Y, Z); None for either, of any length.

    Returns
    -------
    (X, Y, Z) or (X, Y, Z, V) float32, scale slope applied

    Raises
    ------
    InputError
        If the image cannot be read, or lies on another grid; the message names the file.

    Examples
    --------
    >>> from dwiser.io import load, read_on_grid
    >>> from dwiser.io.sample import sample_paths
    >>> scan = load(sample_paths().dwi)
    >>> read_on_grid(sample_paths().dwi, scan, "series", series=True).shape
    (68, 64, 20, 41)
    """
    image = _open(path)
    with about(path):
        four = image.ndim > MAP_NDIM if series is None else series
        shape = _shape(image, SERIES_NDIM if four else MAP_NDIM)
        grid = Grid.of(like.affine, like.shape[:3], like.header)
        turn = grid.turn(image.affine, shape[:3])
        length = like.shape[3:] if series else shape[3:]
        wanted = (*grid.shape, *length)
        if turn.shape(shape) != wanted:
            raise InputError(
                f"The {name} has shape {shape}, the scan {wanted}: give one on the scan's grid.",
                code=Code.GRID_SHAPE,
            )
        if turn.off > GRID_TOLERANCE:
            raise InputError(
                f"The {name}'s affine is up to {turn.off:.3g} voxels off the scan's: "
                "give one on the scan's grid, or repair its header.",
                code=Code.GRID_AFFINE,
            )
        return turn.applied(read_voxels(image, shape))


@runtime_checkable
class HasGeometry(Protocol):
    """Where voxels lie: a scan, or what stands for one."""

    @property
    def affine(self) -> Float[np.ndarray, "4 4"]:
        """Voxel to world."""

    @property
    def header(self) -> Any:
        """A NIfTI header, or None."""


def save_volume(data: Shaped[np.ndarray, "x y z *v"], path: FilePath, like: HasGeometry) -> None:
    """Write a map or a series with the geometry of a scan.

    Parameters
    ----------
    data : (X, Y, Z) or (X, Y, Z, V) on the scan's grid; bool is stored as uint8,
        anything else as float32 without a scale slope.
    path : .nii or .nii.gz.
    like : the scan; its affine and header (q/sform codes, zooms, units, description) are written.

    Raises
    ------
    InputError
        If the name does not end in .nii or .nii.gz.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from dwiser.io import load, read_on_grid, save_volume
    >>> from dwiser.io.sample import sample_paths
    >>> scan = load(sample_paths().dwi)
    >>> save_volume(scan.data.mean(axis=3), "mean.nii.gz", like=scan)
    >>> read_on_grid("mean.nii.gz", scan, "mean").shape
    (68, 64, 20)
    """
    check_output_name(path)
    image = image_of(data, like)
    if ending(path).lower() == ".nii.gz":
        with zipped(Path(path)) as file:
            image.to_stream(file)
    else:
        image.to_filename(path)


def image_of(data: Shaped[np.ndarray, "x y z *v"], like: HasGeometry) -> Any:
    """Voxels as nibabel's image, with the geometry of a scan.

    Parameters
    ----------
    data, like : as in ``save_volume``.

    Returns
    -------
    nibabel's NIfTI image; its header is a copy.
    """
    stored = np.asarray(data).astype(np.uint8 if data.dtype == bool else np.float32, copy=False)
    kind = nib.Nifti2Image if isinstance(like.header, nib.Nifti2Header) else nib.Nifti1Image
    with _captured_messages():
        image = kind(stored, like.affine, like.header)  # copies the header
    header = image.header
    header.set_data_dtype(stored.dtype)
    if like.header is not None and like.header["dim"][0] > SERIES_NDIM:
        header.set_intent("none")  # a vector's, whose elements were the volumes
    header["cal_min"] = header["cal_max"] = 0  # a viewer's window for the raw intensities
    if data.ndim == MAP_NDIM:
        header.extensions.clear()  # they may describe volumes that a map does not have
    return image


@contextmanager
def _captured_messages() -> Iterator[list[str]]:
    """Capture what nibabel would print beside our one sentence.

    Its own suppressor removes the handler, and Python then prints it anyway.
    """
    messages: list[str] = []

    def capture(record: logging.LogRecord) -> bool:
        messages.append(record.getMessage())
        return False

    nibabel_log.addFilter(capture)
    try:
        yield messages
    finally:
        nibabel_log.removeFilter(capture)


def _open(path: FilePath) -> Any:
    """The NIfTI image with its header read and checked, its voxels not yet."""
    with about(path):
        refuse_no_file(path)
        with Path(path).open("rb") as file:
            start = file.read(HEADER_START)
        if not start:
            raise InputError(
                "The file is empty (0 bytes): export or copy it again.", code=Code.IMAGE_DAMAGED
            )
    with about(path):
        check_packing(Path(path), start)
        try:
            with _captured_messages() as messages:
                image = nib.load(path)
        except Exception as error:  # nibabel, gzip and zlib each have their own
            if BAD_INTERCEPT in str(error):
                raise InputError(
                    "Its header has a slope (scl_slope) beside an intercept (scl_inter) that is "
                    "NaN or infinite: set scl_inter to 0, or export the image again.",
                    code=Code.IMAGE_DAMAGED,
                ) from error
            raise InputError(
                "It is no NIfTI image, or a damaged one: export it again.", code=Code.IMAGE_DAMAGED
            ) from error
        if not isinstance(image, nib.Nifti1Image):  # NIfTI-2's class is a subclass
            raise InputError(
                "It is not a NIfTI image: convert it to .nii.gz.", code=Code.IMAGE_FORMAT
            )
        _check_header(image)
    repairs = [line for line in messages if "; set" in line]  # nibabel does not change the rest
    if repairs:
        warnings.warn(
            f"{path}: its header is damaged and was repaired on reading ({'; '.join(repairs)}).",
            DwiserWarning,
            stacklevel=3,
        )
    return image


@contextmanager
def _many_dimensions(dwi: FilePath, image: Any, shape: tuple[int, ...]) -> Iterator[None]:
    """Say why a table does not fit an image of five dimensions or more."""
    try:
        yield
    except InputError as error:
        if error.code is not Code.GRADIENTS_LENGTH or len(image.shape) <= SERIES_NDIM:
            raise
        raise InputError(
            f"{dwi}: the image's {len(image.shape)} dimensions {image.shape} hold {shape[-1]} "
            "volumes, for which there is no table: give one of its series (an echo, a repetition) "
            "as a 4-D image, or a row for each volume.",
            code=Code.IMAGE_DIMENSIONS,
        ) from error


def _check_header(image: Any) -> None:
    dtype = image.get_data_dtype()
    if dtype.fields is not None:
        raise InputError(
            "The image holds colours (RGB): give a magnitude image.", code=Code.IMAGE_KIND
        )
    if min(image.shape, default=0) < 1:
        raise InputError(
            f"The image has no voxels (shape {image.shape}): export it again.",
            code=Code.IMAGE_DIMENSIONS,
        )
    if not np.isfinite(image.affine).all():
        raise InputError(
            "The affine holds a NaN or infinite number: repair the header.", code=Code.IMAGE_AFFINE
        )
    qform = qform_of(image.header)
    if qform is not None and not has_volume(image.affine) and has_volume(qform):
        raise InputError(
            "The header's sform gives voxels no volume, though its qform does: set its sform_code "
            "to 0, so that the qform counts.",
            code=Code.IMAGE_AFFINE,
        )


def _shape(image: Any, ndim: int) -> tuple[int, ...]:
    """The image's shape, without the axes of length 1 after the first ``ndim``.

    All axes of a series beyond the third are volumes, one after the other as they are stored.
    """
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > ndim and shape[-1] == 1:
        shape = shape[:-1]
    if ndim == SERIES_NDIM and len(shape) > ndim:
        shape = (*shape[: ndim - 1], math.prod(shape[ndim - 1 :]))
    if len(shape) != ndim:
        needed = "4-D series" if ndim == SERIES_NDIM else "3-D map"
        raise InputError(
            f"The image has {len(shape)} dimensions: a {needed} is needed.",
            code=Code.IMAGE_DIMENSIONS,
        )
    if ndim == SERIES_NDIM and shape[-1] == 1:
        raise InputError(
            "The image has one volume only: a series of DWIs is needed.", code=Code.IMAGE_DIMENSIONS
        )
    return shape


def _series(
    image: Any, shape: tuple[int, ...], memory: int | None
) -> tuple[Float32[np.ndarray, "x y z v"], Float32[np.ndarray, "x y z v"] | None]:
    """The voxels of a series; of a complex one the magnitude, and the phase in radians."""
    mapped = memory is not None and math.prod(shape) * FLOAT32.itemsize > MAPPED_SHARE * memory
    if image.get_data_dtype().kind != "c":
        return read_voxels(image, shape, mapped=mapped), None
    voxels = read_voxels(image, shape, np.dtype(np.complex64), mapped=mapped)
    if not mapped:
        return np.abs(voxels), np.angle(voxels)
    magnitude, phase = allocate_mapped(shape), allocate_mapped(shape)
    for v in range(shape[-1]):
        magnitude[..., v], phase[..., v] = np.abs(voxels[..., v]), np.angle(voxels[..., v])
    return magnitude, phase


def _read_mask(path: FilePath, dwi: FilePath, series: Any) -> Bool[np.ndarray, "x y z"]:
    """The mask as booleans; refused where it is not on the grid of ``series``."""
    image = _open(path)
    with about(path):
        shape = _shape(image, MAP_NDIM)
        grid = Grid.of(series.affine, series.shape[:3], series.header)
        turn = grid.turn(image.affine, shape)
        if turn.shape(shape) != grid.shape:
            raise InputError(
                f"The mask has shape {shape} but {dwi} {grid.shape}: "
                "give a mask on the image's grid.",
                code=Code.GRID_SHAPE,
            )
        if turn.off > GRID_TOLERANCE:
            raise InputError(
                f"The mask's affine is up to {turn.off:.3g} voxels off that of {dwi}: "
                "give a mask on the image's grid.",
                code=Code.GRID_AFFINE,
            )
        voxels = turn.applied(read_voxels(image, shape))
        inside = np.isfinite(voxels) & (voxels != 0)
        if not inside.any():
            raise InputError(
                "The mask is empty: give one that covers the object.", code=Code.MASK_EMPTY
            )
    return inside
