"""Read a diffusion-weighted series with its geometry, its gradient table and its mask."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from dwiser.defaults import B0_THRESHOLD, BValueScaling
from dwiser.echo_check import echoes_by_brightness
from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.io.about import FilePath, about
from dwiser.io.grid import Grid
from dwiser.io.image_shape import MAP_NDIM, SERIES_NDIM, shape_of, volume_axes
from dwiser.io.inputs import find_inputs, read_table
from dwiser.io.maps import read_turned
from dwiser.io.opening import open_image
from dwiser.io.placement import placement
from dwiser.io.read_ahead import ReadAhead
from dwiser.io.sidecar import carried_over
from dwiser.io.stored import StoredImage
from dwiser.io.volume_labels import b_delta_of, echoes_of
from dwiser.io.voxels import read_voxels
from dwiser.memmap import FLOAT32, allocate_like
from dwiser.scan import Scan
from dwiser.table_check import settled


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
        shape = shape_of(image, SERIES_NDIM)
    axes = volume_axes(image)
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
            shape = shape_of(image, SERIES_NDIM)
        except Exception:  # ``load`` says why
            return None
    if image.voxels.kind.kind == "c":
        return None
    place = placement(shape, memory)
    return ReadAhead(image, shape, mapped=place.mapped, in_place=place.in_place)


def _series(
    image: StoredImage, shape: tuple[int, ...], memory: int | None, ahead: ReadAhead | None
) -> tuple[Float32[np.ndarray, "x y z v"], Float32[np.ndarray, "x y z v"] | None]:
    """The voxels of a series; of a complex one the magnitude, and the phase in radians."""
    if ahead is not None and (read := ahead.taken(image, shape)) is not None:
        return read, None
    place = placement(shape, memory)
    if place.mapped:
        try:
            return _read(image, shape, mapped=True, in_place=place.in_place)
        except InputError as error:
            if error.code != Code.DISK_SCRATCH or place.too_large:
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


def _read_mask(path: FilePath, dwi: FilePath, series: StoredImage) -> Bool[np.ndarray, "x y z"]:
    """The mask as booleans; refused where it is not on the grid of ``series``."""
    image = open_image(path)
    with about(path):
        shape = shape_of(image, MAP_NDIM)
        grid = Grid.of(series.affine, series.shape[:3], series.header)
        voxels = read_turned(image, shape, grid, grid.shape, name="mask", of=str(dwi))
        inside = np.isfinite(voxels) & (voxels != 0)
        if not inside.any():
            raise InputError(
                "The mask is empty: give one that covers the object.", code=Code.MASK_EMPTY
            )
    return inside
