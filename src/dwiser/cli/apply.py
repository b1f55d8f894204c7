"""``dwiser apply``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dwiser.cli.denoise import denoise_and_print, started_reading
from dwiser.cli.options import SHARED, Shared, through_pipes
from dwiser.cli.pipes import Pipes


def apply(
    weights: Annotated[
        Path,
        Parameter(
            help="What 'dwiser denoise --save-weights' wrote, with a method that has weights for "
            "another scan: difusion, noise2noise, noisier2noise or ddm2; splitq has none."
        ),
    ],
    dwi: Annotated[Path, Parameter(help="Another series of the same protocol.")],
    out: Annotated[Path, Parameter(help="The denoised series; .json, .bval, .bvec come with it.")],
    /,
    *,
    shared: Shared = SHARED,
) -> int:
    """Denoise a scan with weights learned on another one of the same protocol."""
    with Pipes() as pipes:
        dwi, out = pipes.series(dwi), pipes.output(out)
        shared = through_pipes(shared, pipes)
        request, ahead = started_reading(shared, dwi, out, weights=weights)
        return denoise_and_print(request, shared, ahead)
