"""``dwiser apply``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dwiser.cli.denoise import denoise_and_print, started
from dwiser.cli.options import SHARED, Shared


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
    request = started(shared, dwi, out, weights=weights)
    return denoise_and_print(request, shared)
