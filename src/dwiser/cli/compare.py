"""``dwiser compare``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from dwiser.cli.options import (
    B0Threshold,
    BDelta,
    Bval,
    BValueScalingOption,
    Bvec,
    Device,
    Force,
    Grad,
    Lesions,
    Mask,
    NoiseVolumes,
    Preset,
    Quiet,
    Seed,
    Threads,
    Tissues,
    Truth,
)
from dwiser.cli.pipes import Pipes
from dwiser.defaults import B0_THRESHOLD

if TYPE_CHECKING:
    from dwiser.compare.scoreboard import Compared

LOG_WIDTH = 200  # columns, where the table goes to a file


def compare(
    dwi: Annotated[Path, Parameter(help="The series, a 4-D image.")],
    outdir: Annotated[Path, Parameter(help="Folder for the images, tables and the montage.")],
    /,
    *,
    methods: Annotated[
        str,
        Parameter(help="Comma-separated: name or name:field=value, 'dwiser methods' lists them."),
    ],
    truth: Truth = None,
    noise_volumes: NoiseVolumes = None,
    noise_map: Annotated[
        Path | None,
        Parameter(
            help="The noise's sd (σ map): for the methods that take one, and to measure with."
        ),
    ] = None,
    sigma: Annotated[
        Path | None,
        Parameter(help="A σ map to measure with only: the methods find their own."),
    ] = None,
    phase: Annotated[
        Path | None,
        Parameter(help="Phase of the series, for the methods that take one (see denoise)."),
    ] = None,
    tissues: Tissues = None,
    lesions: Lesions = None,
    rescan: Annotated[
        Path | None, Parameter(help="A second scan on DWI's grid: denoised too, and compared.")
    ] = None,
    rescan_bval: Annotated[
        Path | None, Parameter(help="Its b-values (default: beside it).")
    ] = None,
    rescan_bvec: Annotated[
        Path | None, Parameter(help="Its b-vectors (default: beside it).")
    ] = None,
    folds: Annotated[
        int, Parameter(help="Folds of the cross-validated R² of DTI and CSD; 0: none.")
    ] = 3,
    seeds: Annotated[int, Parameter(help="Runs of each method that draws at random.")] = 3,
    held_out: Annotated[
        int, Parameter(help="Directions left out before denoising and predicted; 0: none.")
    ] = 5,
    halves: Annotated[
        bool, Parameter(help="Also FA from two halves of the directions.", negative=())
    ] = False,
    bval: Bval = None,
    bvec: Bvec = None,
    grad: Grad = None,
    mask: Mask = None,
    preset: Preset = "laptop",
    b0_threshold: B0Threshold = B0_THRESHOLD,
    bvalue_scaling: BValueScalingOption = "auto",
    b_delta: BDelta = None,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Run several methods on one scan; table, JSON, TSV and a montage. 1 if a method failed."""
    from dwiser.compare.comparison import compare_files
    from dwiser.compare.references import References
    from dwiser.compare.rescan import Rescan
    from dwiser.compare.trial import TrialPlan
    from dwiser.compare.variants import parse_variants
    from dwiser.errors import Code, InputError
    from dwiser.run.request import Request

    with Pipes() as pipes:
        request = Request(
            pipes.series(dwi), outdir, bval, bvec, pipes.input(mask),
            b0_threshold=b0_threshold, bvalue_scaling=bvalue_scaling, b_delta=b_delta,
            device=device, threads=threads, seed=seed, force=force,
            noise_map=noise_map, phase=phase, noise_volumes=noise_volumes, grad=grad,
        )  # fmt: skip
        if noise_map is not None and sigma is not None:
            raise InputError(
                "--sigma is --noise-map for measuring only: give one of the two.",
                code=Code.ARGUMENT_CONFLICT,
            )
        if rescan is not None and phase is not None:
            raise InputError(
                "--phase is of the first scan only: leave it out, or leave out --rescan.",
                code=Code.ARGUMENT_CONFLICT,
            )
        if rescan is None and (rescan_bval or rescan_bvec):
            raise InputError(
                "--rescan-bval and --rescan-bvec belong to a second scan: give --rescan.",
                code=Code.ARGUMENT_MISSING,
            )
        again = None if rescan is None else Rescan(rescan, rescan_bval, rescan_bvec)
        plan = TrialPlan(held_out, seeds, halves, seed, folds, noise_map or sigma, again)
        known = References(truth, noise_map or sigma, tuple(tissues or ()), lesions)
        rows = compare_files(
            request, parse_variants(methods, preset), plan, references=known,
            print_line=(lambda line: None) if quiet else _print_line,
        )  # fmt: skip
        if not quiet:
            _show(rows, seed)
        else:  # a failure is never quiet
            for row in rows:
                if row.trial is not None and row.trial.error is not None:
                    _print_line(f"{row.label}: failed: {row.trial.error}")
        return int(any(row.failed for row in rows))


def _print_line(line: str) -> None:
    print(line, file=sys.stderr)


def _show(rows: "Sequence[Compared]", seed: int) -> None:
    """A table for each theme, without empty columns; then what was not measured."""
    from dwiser.compare.scoreboard import (
        TABLES,
        absences,
        against_the_first,
        best_lines,
        paired_lines,
        pairs_by_fa,
        table,
    )

    console = Console(width=None if sys.stdout.isatty() else LOG_WIDTH, highlight=False)
    heads, cells = table(rows)
    for title, columns in TABLES.items():
        places = [heads.index(column) for column in columns]
        measured = [i for i in places if any(row[i] is not None for row in cells)]
        if not measured:
            continue
        view = Table(box=None, pad_edge=False)
        for i in (0, *measured):
            view.add_column(heads[i], justify="right" if i else "left", overflow="fold")
        for row in cells:
            view.add_row(*(_shown(row[i]) for i in (0, *measured)))
        console.print(title, style="bold", markup=False)
        console.print(view, "")
    lines = {
        "Held-out excess, difference with 95 % limits; below 0 is better": paired_lines(
            against_the_first(rows, seed)
        ),
        "The same by FA, the best method against the next": best_lines(
            rows, pairs_by_fa(rows, seed)
        ),
        "Not measured": absences(rows),
    }
    for title, some in lines.items():
        if some:
            console.print(title, style="bold", markup=False)
        for line in some:
            console.print(f"  {line}", markup=False, soft_wrap=True)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
