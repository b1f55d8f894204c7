"""``dwiser compare``."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from dwiser.cli.options import (
    B0Threshold,
    Bval,
    Bvec,
    Device,
    Force,
    Mask,
    Preset,
    Quiet,
    Seed,
    Threads,
)
from dwiser.scan import B0_THRESHOLD

LOG_WIDTH = 200  # columns, where the table goes to a file


def compare(
    dwi: Annotated[Path, Parameter(help="The series, a 4-D NIfTI image.")],
    outdir: Annotated[Path, Parameter(help="Folder for the images, tables and the montage.")],
    /,
    *,
    methods: Annotated[
        str,
        Parameter(help="Comma-separated: name or name:field=value, 'dwiser methods' lists them."),
    ],
    truth: Annotated[Path | None, Parameter(help="The series without noise, if known.")] = None,
    seeds: Annotated[int, Parameter(help="Runs of each method that draws at random.")] = 3,
    held_out: Annotated[
        int, Parameter(help="Directions left out before denoising and predicted; 0: none.")
    ] = 5,
    halves: Annotated[
        bool, Parameter(help="Also FA from two halves of the directions.", negative=())
    ] = False,
    bval: Bval = None,
    bvec: Bvec = None,
    mask: Mask = None,
    preset: Preset = "laptop",
    b0_threshold: B0Threshold = B0_THRESHOLD,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Run several methods on one scan; table, JSON, TSV and a montage. 1 if a method failed."""
    from dwiser.run.comparison import compare_files, table
    from dwiser.run.corridor import Request
    from dwiser.run.trial import TrialPlan
    from dwiser.run.variants import parse_variants

    request = Request(
        dwi, outdir, bval, bvec, mask,
        b0_threshold=b0_threshold, device=device, threads=threads, seed=seed, force=force,
    )  # fmt: skip
    plan = TrialPlan(held_out, seeds, halves, seed)
    rows = compare_files(
        request, parse_variants(methods, preset), plan, truth=truth,
        told=(lambda line: None) if quiet else (lambda line: print(line, file=sys.stderr)),
    )  # fmt: skip
    if not quiet:
        console = Console()
        if not console.is_terminal:
            console = Console(width=LOG_WIDTH)
        console.print(_drawn(*table(rows)))
    return int(any(row.failed for row in rows))


def _drawn(heads: list[str], cells: list[list[Any]]) -> Table:
    """The rich table, without columns that nobody has a figure for."""
    kept = [i for i in range(len(heads)) if any(row[i] is not None for row in cells)]
    drawn = Table(*(heads[i] for i in kept), box=None, pad_edge=False)
    for row in cells:
        drawn.add_row(*(_shown(row[i]) for i in kept))
    return drawn


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
