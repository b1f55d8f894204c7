"""The shape of an image as a series or a map, whatever axes its header has."""

import math

from dwiser.errors import Code, InputError
from dwiser.io.about import FilePath, about
from dwiser.io.opening import open_image
from dwiser.io.stored import StoredImage

SERIES_NDIM, MAP_NDIM = 4, 3


def volume_axes(image: StoredImage) -> tuple[int, ...]:
    """The sizes of a series from its fourth axis on, without those of length 1."""
    axes = [int(n) for n in image.shape[SERIES_NDIM - 1 :] if n > 1]
    return tuple(axes) if axes else (1,)


def shape_of(image: StoredImage, ndim: int) -> tuple[int, ...]:
    """The image's shape, without the axes of length 1 after the first ``ndim``.

    All axes of a series beyond the third are volumes, one after the other as they are stored.

    Parameters
    ----------
    image : its header was read.
    ndim : SERIES_NDIM or MAP_NDIM.

    Returns
    -------
    (X, Y, Z, V) or (X, Y, Z)

    Raises
    ------
    InputError
        If it has another number of dimensions, or is a series of one volume; without the file's
        name.
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
        As with `shape_of`; the message names the file.
    """
    image = open_image(dwi)
    with about(dwi):
        return shape_of(image, SERIES_NDIM)


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
