"""Maps and other images on a scan's grid: read and checked against it, written with its geometry.

The writer takes a series too.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from dwiser.errors import Code, InputError
from dwiser.io.about import FilePath, about
from dwiser.io.grid import GRID_TOLERANCE, Grid
from dwiser.io.image_shape import MAP_NDIM, SERIES_NDIM, shape_of
from dwiser.io.opening import open_image
from dwiser.io.stored import StoredImage
from dwiser.io.voxels import read_voxels
from dwiser.io.writing import HasGeometry, image_writers
from dwiser.scan import Scan


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
        shape = shape_of(image, SERIES_NDIM if four else MAP_NDIM)
        grid = Grid.of(like.affine, like.shape[:3], like.header)
        length = like.shape[3:] if series else shape[3:]
        return read_turned(image, shape, grid, (*grid.shape, *length), name=name, of="the scan")


def read_turned(
    image: StoredImage, shape: tuple[int, ...], grid: Grid, wanted: tuple[int, ...],
    *, name: str, of: str,
) -> Float32[np.ndarray, "x y z *v"]:  # fmt: skip
    """The voxels of an opened image that must lie on ``grid``, with its axes turned to the grid's.

    Parameters
    ----------
    image : its header was read.
    shape : the image's, as `shape_of` gives it.
    grid : the scan's.
    wanted : the shape that the turned image must have.
    name, of : what the image and the scan are called in an error.

    Returns
    -------
    Array of shape ``wanted``, float32, scale slope applied

    Raises
    ------
    InputError
        If the image lies on another grid; without the file's name.
    """
    turn = grid.turn(image.affine, shape[:3])
    if turn.shape(shape) != wanted:
        raise InputError(
            f"The {name} has shape {shape} but {of} {wanted}: give one on the scan's grid.",
            code=Code.GRID_SHAPE,
        )
    if turn.off > GRID_TOLERANCE:
        raise InputError(
            f"The {name}'s affine is up to {turn.off:.3g} voxels off that of {of}: "
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
    >>> from dwiser.io.maps import read_map
    >>> from dwiser.io.sample import sample_paths
    >>> scan = load(sample_paths().dwi)
    >>> save_volume(scan.data[..., 0], "first.nii.gz", like=scan)
    >>> read_map("first.nii.gz")[1].shape
    (68, 64, 20)
    """
    image = open_image(path)
    with about(path):
        return image, read_voxels(image, shape_of(image, MAP_NDIM))


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
