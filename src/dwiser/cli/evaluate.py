"""``dwiser evaluate``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dwiser.cli.options import (
    B0Threshold,
    BDelta,
    Bval,
    BValueScalingOption,
    Bvec,
    Force,
    Grad,
    Lesions,
    NoiseVolumes,
    Quiet,
    Seed,
    Threads,
    Tissues,
    Truth,
)
from dwiser.cli.pipes import Pipes
from dwiser.defaults import B0_THRESHOLD
from dwiser.errors import Code, DwiserError

if TYPE_CHECKING:
    from dwiser.evaluation.suite import Evaluation

LOG_WIDTH = 160  # columns where the output is no terminal: no table is broken
COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}


def evaluate(
    denoised: Annotated[Path, Parameter(help="The denoised series.")],
    /,
    *,
    raw: Annotated[Path, Parameter(help="The series that was denoised.")],
    truth: Truth = None,
    mask: Annotated[Path | None, Parameter(help="Where to measure (default: Otsu).")] = None,
    noise_map: Annotated[
        Path | None,
        Parameter(
            name=["--noise-map", "--sigma"],
            help="The noise's sd (σ map) on the scan's grid (default: estimated from RAW).",
        ),
    ] = None,
    noise_volumes: NoiseVolumes = None,
    bval: Bval = None,
    bvec: Bvec = None,
    grad: Grad = None,
    tissues: Tissues = None,
    lesions: Lesions = None,
    bundle: Annotated[
        Path | None,
        Parameter(help="Where a bundle starts: track it and measure its coherency; minutes."),
    ] = None,
    through: Annotated[
        Path | None, Parameter(help="A region that the bundle's streamlines pass through.")
    ] = None,
    json: Annotated[Path | None, Parameter(help="Write everything here as JSON.")] = None,
    tsv: Annotated[Path | None, Parameter(help="Write the numbers here as a table.")] = None,
    strict: Annotated[
        bool, Parameter(help="Exit code 1 unless the verdict is PASS or WARN.", negative=())
    ] = False,
    b0_threshold: B0Threshold = B0_THRESHOLD,
    bvalue_scaling: BValueScalingOption = "auto",
    b_delta: BDelta = None,
    threads: Threads = None,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Measure a denoised scan: against the truth, and without one; with a verdict."""
    from dwiser.compare.evaluation import EvaluationRequest, evaluate_files

    with Pipes() as pipes:
        denoised, raw, mask = pipes.series(denoised), pipes.series(raw), pipes.input(mask)
        request = EvaluationRequest(
            denoised, raw, truth, mask, pipes.input(noise_map), bval, bvec, tuple(tissues or ()),
            lesions, bundle, through, json, tsv, b0_threshold, bvalue_scaling, seed, force,
            threads, noise_volumes, grad, b_delta,
        )  # fmt: skip
        evaluation = evaluate_files(request)
    if not quiet:
        _show(evaluation, request.denoised, request.raw)
    if strict:
        _require_verdict(evaluation, denoised)
    return 0


def _show(evaluation: "Evaluation", denoised: Path, raw: Path) -> None:
    from rich.console import Console
    from rich.table import Table as Drawn

    from dwiser.reports.scores import absences, tables, verdict_lines

    console = Console(width=None if sys.stdout.isatty() else LOG_WIDTH, highlight=False)
    inputs = ", ".join(f"{name} {source}" for name, source in evaluation.inputs.items())
    console.print(f"{denoised} against {raw}; {inputs}", markup=False)
    for table in tables(evaluation):
        console.print()
        console.print(table.title, style="bold", markup=False)
        view = Drawn(box=None, pad_edge=False)
        for i, head in enumerate(table.heads):
            view.add_column(head, justify="right" if i else "left")
        for row in table.rows:
            view.add_row(*row)
        console.print(view)
    if evaluation.absent:
        console.print("\nNot measured", style="bold")
        for line in absences(evaluation):
            console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print()
    for line in verdict_lines(evaluation):
        level = next((level for level in COLOURS if level in line.split(": ")[:2]), None)
        console.print(line, style=COLOURS.get(level or ""), markup=False, soft_wrap=True)


def _require_verdict(evaluation: "Evaluation", denoised: Path) -> None:
    """Exit code 1 for a FAIL, and for a missing verdict."""
    from dwiser.reports.scores import verdict_lines

    if evaluation.verdict is None:
        raise DwiserError(f"{denoised}: {verdict_lines(evaluation)[0]}.", code=Code.VERDICT_MISSING)
    if evaluation.verdict.level == "FAIL":
        worst = next(r.words for r in evaluation.verdict.reasons if r.level == "FAIL")
        raise DwiserError(f"{denoised}: the verdict is FAIL: {worst}.", code=Code.VERDICT_FAIL)
