"""Images: read a scan with its geometry, write results with the same one."""

import math
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from shutil import disk_usage
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from dwiser.defaults import B0_THRESHOLD, BValueScaling
from dwiser.echo_check import echoes_by_brightness
from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.io.about import FilePath, about
from dwiser.io.grid import GRID_TOLERANCE, Grid
from dwiser.io.inputs import find_inputs, read_table
from dwiser.io.opening import open_image
from dwiser.io.read_ahead import ReadAhead
from dwiser.io.sidecar import carried_over
from dwiser.io.stored import StoredImage
from dwiser.io.volume_labels import b_delta_of, echoes_of
from dwiser.io.voxels import read_voxels
from dwiser.io.writing import HasGeometry, image_writers
from dwiser.memmap import FLOAT32, LETS_GO, MOST_IN_MEMORY, allocate_like, is_tmpfs
from dwiser.scan import Scan
from dwiser.table_check import settled

SERIES_NDIM, MAP_NDIM = 4, 3
MAPPED_SHARE = 0.25  # of the memory; a larger series is read from a file as it is needed
# bytes: so is one of this size, where a disk has room for what is made of it
LARGE = 2**26 if LETS_GO else 2**29
SCRATCH = 8  # times the series: it, the result and lists of the mask's voxels


def load(
    dwi: FilePath,
    bval: FilePath | None = None,
    bvec: FilePath | None = None,
    mask: FilePath | None = None,
    grad: FilePath | None = None,
    *,
    b0_threshold: float = B0_THRESHOLD,
    bvalue_scaling: BValueScaling = "auto",
    b_delta: str | float | int | FilePath | None = None,
    memory: int | None = None,
    fields: Mapping[str, Any] | None = None,
    ahead: ReadAhead | None = None,
) -> Scan:
    """Read a diffusion-weighted series, its gradient table and, if given, a mask.

    Parameters
    ----------
    dwi : a 4-D image: NIfTI (.nii, .nii.gz, .hdr with .img), MRtrix (.mif, .mif.gz, .mih) or
        NRRD (.nrrd, .nhdr).
    bval, bvec : FSL's text files; without them the table in the image's own header, or the files
        beside the image with its stem.
    mask : an image on the same grid; voxels neither zero nor NaN are inside.
    grad : a table in scanner axes, x, y, z and b in each row, as MRtrix's ``-grad`` takes it; in
        place of ``bval`` and ``bvec``.
    b0_threshold : b-values up to this many s/mm² count as b0.
    bvalue_scaling : whether b-values are multiplied by the squared lengths of the vectors: "yes",
        "no", or "auto", as `dwiser.Gradients` decides it.
    b_delta : the shape of the b-tensors, as `dwiser.Gradients` has it: a number, or a text file of
        one a volume; None for what the sidecar says, or linear ones.
    memory : bytes; a series above a quarter of them, or of LARGE, stays in a file and is
        mapped. None: never.
    fields : those of the sidecar, of which ``EchoTime`` and ``BDelta`` count; None to read the one
        beside the image, if it can be read.
    ahead : the voxels, if ``begin_load`` was called before.

    Returns
    -------
    Scan
        (X, Y, Z, V) float32 in the scanner's units (scale slope applied), volumes
        contiguous in memory; its gradients keep the raw table. A complex image gives
        its magnitude as data, and its phase. Volumes along more axes than the fourth follow one
        another as they are stored, all of the fourth axis first; they are of several echoes where
        ``EchoTime`` is a list that says so, or else where the series along the fifth axis are of
        different brightness.

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
    image = open_image(dwi)
    with about(dwi):
        shape = _shape(image, SERIES_NDIM)
    axes = _axes(image)
    files = find_inputs(dwi, bval, bvec, mask, grad)
    if fields is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DwiserWarning)  # of one that cannot be read
            fields = carried_over(dwi)
    echoes = echoes_of(dwi, fields, axes)
    shapes = b_delta_of(dwi, b_delta, fields, axes)
    gradients = read_table(
        files, image, volumes=axes, b0_threshold=b0_threshold,
        bvalue_scaling=bvalue_scaling, b_delta=shapes, echoes=echoes,
    )  # fmt: skip
    inside = None if mask is None else _read_mask(mask, dwi, image)
    with about(dwi):
        data, phase = _series(image, shape, memory, ahead)
    with about(files.bval or files.table):
        table = echoes_by_brightness(settled(gradients, data), data, axes)
    with about(dwi):
        return Scan(
            data=data,
            affine=image.affine,
            gradients=table,
            header=image.header,
            source=image.source,
            mask=inside,
            phase=phase,
            axes=axes if len(axes) > 1 else (),
        )


def begin_load(dwi: FilePath, memory: int | None = None) -> ReadAhead | None:
    """Begin to read a series that ``load`` will be called for; nothing is checked or refused here.

    Parameters
    ----------
    dwi : a 4-D image.
    memory : as with ``load``.

    Returns
    -------
    ReadAhead, or None
        None where ``load`` is to read it: a series that is complex or cannot be read.

    Examples
    --------
    >>> import dwiser
    >>> from dwiser.io import begin_load
    >>> from dwiser.io.sample import sample_paths
    >>> ahead = begin_load(sample_paths().dwi)
    >>> dwiser.load(sample_paths().dwi, ahead=ahead).shape
    (68, 64, 20, 41)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ``load`` gives them
        try:
            image = open_image(dwi)
            shape = _shape(image, SERIES_NDIM)
        except Exception:  # ``load`` says why
            return None
    if image.voxels.kind.kind == "c":
        return None
    return ReadAhead(
        image, shape, mapped=_is_mapped(shape, memory), in_place=_in_place(shape, memory)
    )


def read_shape(dwi: FilePath) -> tuple[int, ...]:
    """The shape of a series, from its header alone.

    Parameters
    ----------
    dwi : a 4-D image.

    Returns
    -------
    (X, Y, Z, V)

    Raises
    ------
    InputError
        As with ``load``.
    """
    image = open_image(dwi)
    with about(dwi):
        return _shape(image, SERIES_NDIM)


def read_header_shape(path: FilePath) -> tuple[int, ...]:
    """The shape of any image, from its header alone.

    Parameters
    ----------
    path : an image of any number of dimensions.

    Returns
    -------
    tuple of int

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    return tuple(map(int, open_image(path).shape))


def read_on_grid(
    path: FilePath, like: Scan, name: str, *, series: bool | None = False
) -> Float32[np.ndarray, "x y z *v"]:
    """Read an image that must lie on the grid of a scan: a map, or a series as long.

    Parameters
    ----------
    path : a NIfTI, MRtrix or NRRD image.
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
    image = open_image(path)
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


def read_map(path: FilePath) -> tuple[StoredImage, Float32[np.ndarray, "x y z"]]:
    """Read a map on a grid of its own.

    Parameters
    ----------
    path : a NIfTI, MRtrix or NRRD image.

    Returns
    -------
    image : its affine and header.
    values : (X, Y, Z) float32, scale slope applied.

    Raises
    ------
    InputError
        If it cannot be read, or is no map; the message names the file.

    Examples
    --------
    >>> from dwiser.io import load, save_volume
    >>> from dwiser.io.nifti import read_map
    >>> from dwiser.io.sample import sample_paths
    >>> scan = load(sample_paths().dwi)
    >>> save_volume(scan.data[..., 0], "first.nii.gz", like=scan)
    >>> read_map("first.nii.gz")[1].shape
    (68, 64, 20)
    """
    image = open_image(path)
    with about(path):
        return image, read_voxels(image, _shape(image, MAP_NDIM))


def save_volume(data: Shaped[np.ndarray, "x y z *v"], path: FilePath, like: HasGeometry) -> None:
    """Write a map or a series with the geometry of a scan.

    Parameters
    ----------
    data : (X, Y, Z) or (X, Y, Z, V) on the scan's grid; bool is stored as uint8,
        anything else as float32 without a scale slope. In MRtrix images bool is stored as bits.
    path : a NIfTI, MRtrix or NRRD image; its ending says which.
    like : the scan; its affine and header (q/sform codes, zooms, units, description) are written,
        and in MRtrix and NRRD images its gradient table too.

    Raises
    ------
    InputError
        If the name does not end as an image's.
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
    for file, write in image_writers(data, Path(path), like).items():
        write(file)


def _axes(image: StoredImage) -> tuple[int, ...]:
    """The sizes of a series from its fourth axis on, without those of length 1."""
    axes = [int(n) for n in image.shape[SERIES_NDIM - 1 :] if n > 1]
    return tuple(axes) if axes else (1,)


def _shape(image: StoredImage, ndim: int) -> tuple[int, ...]:
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
    image: StoredImage, shape: tuple[int, ...], memory: int | None, ahead: ReadAhead | None
) -> tuple[Float32[np.ndarray, "x y z v"], Float32[np.ndarray, "x y z v"] | None]:
    """The voxels of a series; of a complex one the magnitude, and the phase in radians."""
    if ahead is not None and (read := ahead.taken(image, shape)) is not None:
        return read, None
    if _is_mapped(shape, memory):
        try:
            return _read(image, shape, mapped=True, in_place=_in_place(shape, memory))
        except InputError as error:
            if error.code != Code.DISK_SCRATCH or _too_large(shape, memory):
                raise  # else it fits into memory: a quota or a limit on files' size is no hindrance
    return _read(image, shape, mapped=False)


def _read(
    image: StoredImage, shape: tuple[int, ...], *, mapped: bool, in_place: bool = False
) -> tuple[Float32[np.ndarray, "x y z v"], Float32[np.ndarray, "x y z v"] | None]:
    if image.voxels.kind.kind != "c":
        return read_voxels(image, shape, mapped=mapped, in_place=in_place), None
    voxels = read_voxels(image, shape, np.dtype(np.complex64), mapped=mapped)
    if not mapped:
        return np.abs(voxels), np.angle(voxels)
    magnitude, phase = allocate_like(voxels, kind=FLOAT32), allocate_like(voxels, kind=FLOAT32)
    for v in range(shape[-1]):
        magnitude[..., v], phase[..., v] = np.abs(voxels[..., v]), np.angle(voxels[..., v])
    return magnitude, phase


def _is_mapped(shape: tuple[int, ...], memory: int | None) -> bool:
    """Whether a series stays in a file: to spare memory, not to move it."""
    if memory is None or _too_large(shape, memory):
        return memory is not None
    folder, size = Path(tempfile.gettempdir()), math.prod(shape) * FLOAT32.itemsize
    return size > LARGE and not is_tmpfs(folder) and disk_usage(folder).free > SCRATCH * size


def _in_place(shape: tuple[int, ...], memory: int | None) -> bool:
    """Whether a copy in a temporary file would be too much."""
    return _too_large(shape, memory) or math.prod(shape) * FLOAT32.itemsize > MOST_IN_MEMORY


def _too_large(shape: tuple[int, ...], memory: int | None) -> bool:
    """Whether a series would take too much of the memory that there is."""
    return memory is not None and math.prod(shape) * FLOAT32.itemsize > MAPPED_SHARE * memory


def _read_mask(path: FilePath, dwi: FilePath, series: StoredImage) -> Bool[np.ndarray, "x y z"]:
    """The mask as booleans; refused where it is not on the grid of ``series``."""
    image = open_image(path)
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
