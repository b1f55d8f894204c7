"""``dwiser demo``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dwiser.cli.options import Device, Preset, Quiet, Seed, Settings, Threads
from dwiser.cli.progress import progress


def demo(
    folder: Annotated[Path, Parameter(help="Where to put the results.")] = Path("demo"),
    /,
    *,
    preset: Preset = "laptop",
    settings: Settings = None,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> int:
    """Denoise the packaged real scan by splitq and by Di-Fusion, and draw them side by side.

    Each leaves report, image, σ map, residual, mask, montage and sidecar in a folder of its own;
    --set changes Di-Fusion.
    """
    from dwiser.methods.registry import settings_of
    from dwiser.run.demo import demonstrate  # matplotlib: half a second of every other command

    with progress(quiet) as watch:
        written = demonstrate(
            folder, preset, settings_of(settings or []),
            device=device, threads=threads, seed=seed, watch=watch,
        )  # fmt: skip
    if not quiet:
        print("\n".join(str(path) for path in written))
    return 0
