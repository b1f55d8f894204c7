"""``dwiser apply``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dwiser.cli.denoise import run_and_tell
from dwiser.cli.options import (
    B0Threshold,
    Bval,
    Bvec,
    Device,
    Force,
    Mask,
    Memory,
    NoiseMap,
    Quiet,
    SaveMask,
    SaveNoise,
    SaveResidual,
    Seed,
    Threads,
    Verbose,
)
from dwiser.scan import B0_THRESHOLD


def apply(
    weights: Annotated[Path, Parameter(help="What 'dwiser denoise --save-weights' wrote.")],
    dwi: Annotated[Path, Parameter(help="Another series of the same protocol.")],
    out: Annotated[Path, Parameter(help="The denoised series; .json, .bval, .bvec come with it.")],
    /,
    *,
    bval: Bval = None,
    bvec: Bvec = None,
    mask: Mask = None,
    noise_map: NoiseMap = None,
    save_noise: SaveNoise = None,
    save_residual: SaveResidual = None,
    save_mask: SaveMask = None,
    b0_threshold: B0Threshold = B0_THRESHOLD,
    device: Device = "auto",
    threads: Threads = None,
    memory: Memory = None,
    seed: Seed = 0,
    force: Force = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Denoise a scan with weights learned on another one of the same protocol."""
    from dwiser.run import Request

    request = Request(
        dwi, out, bval, bvec, mask, weights=weights, noise_map=noise_map,
        save_noise=save_noise, save_residual=save_residual, save_mask=save_mask,
        b0_threshold=b0_threshold, device=device, threads=threads, seed=seed, force=force,
        memory=memory,
    )  # fmt: skip
    return run_and_tell(request, verbose=verbose, quiet=quiet)
