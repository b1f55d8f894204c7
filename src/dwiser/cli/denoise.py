"""``dwiser denoise``."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from dwiser.cli.options import (
    B0Threshold,
    Bval,
    Bvec,
    Device,
    Force,
    Mask,
    Method,
    Preset,
    Quiet,
    Seed,
    Settings,
    Threads,
    Verbose,
)
from dwiser.cli.progress import progress
from dwiser.methods.registry import DEFAULT_METHOD
from dwiser.scan import B0_THRESHOLD

Saved = Annotated[Path | None, Parameter(negative=())]


def denoise(
    dwi: Annotated[Path, Parameter(help="The series, a 4-D NIfTI image as the scanner gave it.")],
    out: Annotated[Path, Parameter(help="The denoised series; .json, .bval, .bvec come with it.")],
    /,
    *,
    bval: Bval = None,
    bvec: Bvec = None,
    mask: Mask = None,
    method: Method = DEFAULT_METHOD,
    preset: Preset = "laptop",
    settings: Settings = None,
    save_noise: Annotated[Path | None, Parameter(help="Write the noise's sd (σ map) here.")] = None,
    save_residual: Annotated[
        Path | None, Parameter(help="Write what was removed, input − output, here.")
    ] = None,
    save_mask: Annotated[Path | None, Parameter(help="Write the mask that was used here.")] = None,
    b0_threshold: B0Threshold = B0_THRESHOLD,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    force: Force = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    report: Annotated[
        Path | None, Parameter(help="Write a report here, one HTML file for any browser.")
    ] = None,
) -> int:
    """Denoise a scan; units, geometry and volume order stay the input's."""
    from dwiser.methods.registry import settings_of
    from dwiser.run import Request, denoise_file

    request = Request(
        dwi, out, bval, bvec, mask, method, preset, settings_of(settings or []),
        save_noise, save_residual, save_mask, b0_threshold, device, threads, seed, force,
        report=report,
    )  # fmt: skip
    with progress(quiet) as watch:
        result = denoise_file(request, watch)
    if not quiet:
        print(_summary(out, result.record))
    if verbose:
        print(json.dumps(result.record, indent=2, default=str, ensure_ascii=False))
    return 0


def _summary(out: Path, record: dict[str, Any]) -> str:
    sigma = record.get("SigmaMedian")
    noise = f", sigma {sigma:.4g}" if sigma else ""
    return (
        f"{out}: {record['Method']} ({record['Preset']}), {record['WallTimeSeconds']:.0f} s, "
        f"{record['PeakMemoryMiB'] / 1024:.2f} GiB{noise}; see {out.name.split('.nii')[0]}.json"
    )
