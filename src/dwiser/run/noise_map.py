"""``dwiser noise-map``: a σ map after what later steps did to the series."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from dwiser.errors import Code, InputError, unknown
from dwiser.io import about, planned_images, write_set
from dwiser.io.grid import GRID_TOLERANCE, Grid
from dwiser.io.maps import read_map
from dwiser.io.opening import open_image
from dwiser.io.writing import image_writers
from dwiser.prepare.resampling import resampled_sigma

Form = Literal["sd", "variance", "total"]
RIGID = 3  # rows of a transform's file, or 4 with the last one 0 0 0 1


@dataclass(frozen=True)
class NoiseMapRequest:
    """What is to be done to a σ map, in this order: scale, resample, another form.

    Parameters
    ----------
    noise_map, out : the map, and the one that is written.
    scale : what the series was multiplied by: a number, or an image of factors.
    divide : what it was divided by, the same way: a bias field.
    like : an image on the grid that the series has now; None to stay.
    transform : a text file of 4 × 4 numbers, from the place in mm of a point in ``like`` to its
        place in the σ map; MRtrix's convention.
    averaged : whether the series was interpolated linearly.
    form : "sd", "variance", or "total", √2 σ of real and imaginary part together.
    force : replace files that exist.
    """

    noise_map: Path
    out: Path
    scale: str | None = None
    divide: str | None = None
    like: Path | None = None
    transform: Path | None = None
    averaged: bool = False
    form: str = "sd"
    force: bool = False


@dataclass(frozen=True, eq=False)
class MapGrid:
    """Where the voxels of a map lie, for what writes images."""

    affine: Float[np.ndarray, "4 4"]
    header: Any
    shape: tuple[int, int, int]


def write_noise_map(request: NoiseMapRequest) -> float:
    """Write the map; the median of what is above 0.

    Raises
    ------
    InputError
        For what is wrong with an input, in one sentence; nothing is written.
    """
    if request.form not in get_args(Form):
        raise unknown("form", request.form, get_args(Form), code=Code.ARGUMENT_VALUE)
    if request.like is None and (request.transform is not None or request.averaged):
        option = "--transform" if request.transform is not None else "--averaged"
        raise InputError(
            f"{option} is for a map that goes to another grid: name an image on it with --like.",
            code=Code.ARGUMENT_MISSING,
        )
    fields = [_image_or_number(name, text) for name, text in _factors(request).items()]
    images = [value for value in fields if isinstance(value, Path)]
    named = (request.noise_map, request.like, request.transform, *images)
    inputs = [path for path in named if path is not None]
    planned_images(request.out, inputs=inputs, force=request.force)
    grid, sigma = _sigma(request.noise_map)
    for field, divides in zip(fields, _factors(request), strict=True):
        factor = _factor(field, grid, divides == "--divide")
        sigma = sigma * factor
    if request.like is not None:
        grid, sigma = _on_grid_of(request, grid, sigma)
    if not (sigma > 0).any():
        raise InputError(
            f"{request.noise_map}: no voxel of the new map would be above 0: check --like, "
            "--transform and the factors.",
            code=Code.NOISE_VALUES,
        )
    median = float(np.median(sigma[sigma > 0]))
    if request.form == "variance":
        sigma = sigma**2
    elif request.form == "total":
        sigma = sigma * math.sqrt(2)
    write_set(
        image_writers(sigma.astype(np.float32), request.out, grid, command=None),
        force=request.force,
    )
    return median


def _factors(request: NoiseMapRequest) -> dict[str, str]:
    both = {"--scale": request.scale, "--divide": request.divide}
    return {option: text for option, text in both.items() if text is not None}


def _image_or_number(option: str, text: str) -> float | Path:
    """A positive number, or what must be an image's path."""
    try:
        number = float(text)
    except ValueError:
        return Path(text)
    if not (number > 0 and math.isfinite(number)):
        raise InputError(
            f"{option} must be a positive number or an image of such, not {text}.",
            code=Code.ARGUMENT_VALUE,
        )
    return number


def _sigma(path: Path) -> tuple[MapGrid, Float[np.ndarray, "x y z"]]:
    """A σ map, 0 where it is not known, and its grid."""
    image, values = read_map(path)
    with about(path):
        values = np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)
        if np.isinf(values).any() or (values < 0).any() or not values.any():
            raise InputError(
                "The σ map holds negative or infinite values, or none above 0: give the noise's "
                "sd.",
                code=Code.NOISE_VALUES,
            )
    x, y, z = values.shape
    return MapGrid(image.affine, image.header, (x, y, z)), values


def _factor(
    field: float | Path, grid: MapGrid, divides: bool
) -> float | Float[np.ndarray, "x y z"]:
    """What σ is multiplied by: the field, or one over it; 0 where an image is not above 0."""
    if isinstance(field, float):
        return 1 / field if divides else field
    image, values = read_map(field)
    with about(field):
        turn = Grid.of(grid.affine, grid.shape, grid.header).turn(image.affine, values.shape)
        if turn.off > GRID_TOLERANCE:
            raise InputError(
                f"The factors have shape {values.shape} or an affine that is not the σ map's "
                f"{grid.shape}: give them on its grid.",
                code=Code.GRID_SHAPE,
            )
        values = np.nan_to_num(turn.applied(values), nan=0.0, posinf=0.0, neginf=0.0)
        if not (values > 0).any():
            raise InputError(
                "The factors are nowhere above 0: give what the series was multiplied or divided "
                "by.",
                code=Code.NOISE_VALUES,
            )
    known = values > 0
    if not divides:
        return np.where(known, values, 0)
    return np.divide(1.0, values, out=np.zeros(values.shape), where=known)


def _on_grid_of(
    request: NoiseMapRequest, grid: MapGrid, sigma: Float[np.ndarray, "x y z"]
) -> tuple[MapGrid, Float[np.ndarray, "a b c"]]:
    assert request.like is not None
    image = open_image(request.like)
    with about(request.like):
        if len(image.shape) < RIGID:
            raise InputError(
                f"The image has {len(image.shape)} dimensions: a grid has three.",
                code=Code.IMAGE_DIMENSIONS,
            )
    a, b, c = (int(n) for n in image.shape[:3])
    move = np.eye(4) if request.transform is None else _transform(request.transform)
    to_voxels = np.linalg.inv(grid.affine) @ move @ image.affine
    values = resampled_sigma(sigma, to_voxels, (a, b, c), averaged=request.averaged)
    return MapGrid(image.affine, image.header, (a, b, c)), values


def _transform(path: Path) -> Float[np.ndarray, "4 4"]:
    with about(path):
        try:
            numbers = np.loadtxt(path, comments=("#", "mrtrix"), ndmin=2)
        except (ValueError, UnicodeDecodeError) as error:
            raise InputError(
                "This is no transform: give 4 rows of 4 numbers, as MRtrix writes them.",
                code=Code.TRANSFORM_FORMAT,
            ) from error
        rows = numbers.shape[0]
        if numbers.shape not in ((RIGID, 4), (4, 4)) or not np.isfinite(numbers).all():
            raise InputError(
                f"The transform has {rows} rows of {numbers.shape[1]} numbers: give 4 rows of 4.",
                code=Code.TRANSFORM_FORMAT,
            )
    return np.vstack([numbers[:RIGID], [0, 0, 0, 1]])
