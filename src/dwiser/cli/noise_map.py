"""``dwiser noise-map``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dwiser.cli.options import Force, Quiet
from dwiser.cli.pipes import PIPE, Pipes, is_temporary


def noise_map(
    sigma: Annotated[Path, Parameter(help="A σ map, as --save-noise or --noise-only writes it.")],
    out: Annotated[Path, Parameter(help="The map that belongs to the series as it is now.")],
    /,
    *,
    scale: Annotated[
        str | None,
        Parameter(
            help="What the series was multiplied by: a number, or an image of factors on the "
            "map's grid."
        ),
    ] = None,
    divide: Annotated[
        str | None,
        Parameter(help="What it was divided by, in the same way: a bias field."),
    ] = None,
    like: Annotated[
        Path | None, Parameter(help="An image on the grid that the series has now.")
    ] = None,
    transform: Annotated[
        Path | None,
        Parameter(
            help="4 × 4 numbers, from the place in mm of a point in LIKE to its place in the σ "
            "map, as mrtransform's -linear takes them."
        ),
    ] = None,
    averaged: Annotated[
        bool,
        Parameter(
            help="The series was interpolated linearly: its noise is less by what that averages.",
            negative=(),
        ),
    ] = False,
    form: Annotated[
        str,
        Parameter(
            help="sd; variance; or total: √2 σ, the noise of real and imaginary part together."
        ),
    ] = "sd",
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Give a σ map what later steps did to the series: a scale, another grid, another form."""
    from dwiser.run.noise_map import NoiseMapRequest, write_noise_map

    with Pipes() as pipes:
        sigma, out, like = pipes.series(sigma), pipes.output(out), pipes.input(like)
        request = NoiseMapRequest(sigma, out, scale, divide, like, transform, averaged, form, force)
        median = write_noise_map(request)
        if not quiet:
            name = PIPE if is_temporary(out) else out
            print(f"{name}: sigma {median:.4g} (median of the voxels above 0)")
    return 0
