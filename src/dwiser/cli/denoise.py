"""``dwiser denoise``."""

import json
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from dwiser.cli.options import (
    SHARED,
    Method,
    Phase,
    Preset,
    SavePhase,
    SaveRank,
    SaveReal,
    SaveVariance,
    SaveWeights,
    Settings,
    Shared,
    through_pipes,
)
from dwiser.cli.pipes import PIPE, Pipes, is_temporary
from dwiser.cli.progress import progress
from dwiser.cli.starting import starting
from dwiser.defaults import DEFAULT_METHOD
from dwiser.errors import Code, DwiserError, InputError
from dwiser.watch import Watch, step

if TYPE_CHECKING:
    from dwiser.evaluation.verdict import Verdict
    from dwiser.io.read_ahead import ReadAhead
    from dwiser.run import Request
    from dwiser.run.result import RunSummary

GO_ON = (
    "Interrupted: no output was written, but a checkpoint of the training: continue with --resume."
)


def denoise(
    *files: Annotated[
        Path,
        Parameter(
            help="IN OUT: the series, a 4-D image as the scanner gave it, and the denoised one "
            "(NIfTI, MRtrix or NRRD); .json, .bval, .bvec come with it. With --outdir: one or more "
            "series."
        ),
    ],
    outdir: Annotated[
        Path | None,
        Parameter(help="Folder for the results, under the series' own names; several at once."),
    ] = None,
    together: Annotated[
        bool | None,
        Parameter(
            negative="--apart",
            help="Denoise several series as one, or each alone (default: as one if alike).",
        ),
    ] = None,
    method: Method = DEFAULT_METHOD,
    preset: Preset = "laptop",
    settings: Settings = None,
    save_uncertainty: Annotated[
        Path | None, Parameter(help="Write the sd of the result's error here.")
    ] = None,
    save_rank: SaveRank = None,
    save_variance: SaveVariance = None,
    save_real: SaveReal = None,
    save_phase: SavePhase = None,
    noise_only: Annotated[
        bool, Parameter(help="Write the noise's sd to OUT, and do nothing else.", negative=())
    ] = False,
    phase: Phase = None,
    save_weights: SaveWeights = None,
    warm_start: Annotated[
        Path | None, Parameter(help="Weights of another scan to begin the training with.")
    ] = None,
    resume: Annotated[
        bool, Parameter(help="Go on from the checkpoint beside OUT.", negative=())
    ] = False,
    checkpoint_every: Annotated[
        float, Parameter(help="Seconds between two checkpoints of a training.")
    ] = 60.0,
    report: Annotated[
        Path | None, Parameter(help="Write a report here, one HTML file for any browser.")
    ] = None,
    shared: Shared = SHARED,
) -> int:
    """Denoise a scan; units, geometry and volume order stay the input's."""
    dwi, out = _in_and_out(files, outdir, together)
    options: dict[str, Any] = {
        "method": method, "preset": preset, "settings": settings or [],
        "save_uncertainty": save_uncertainty, "save_rank": save_rank,
        "save_variance": save_variance, "save_real": save_real, "save_phase": save_phase,
        "save_weights": save_weights,
        "warm_start": warm_start, "resume": resume, "checkpoint_every": checkpoint_every,
        "report": report,
    }  # fmt: skip
    if outdir is not None:
        if noise_only:
            raise InputError(
                "--noise-only is for one series: leave out --outdir.", code=Code.ARGUMENT_CONFLICT
            )
        request = started(shared, dwi, out, **options, phase=phase)
        return _denoise_series(request, files, outdir, together, shared)
    with Pipes() as pipes:
        dwi, out, phase = pipes.series(dwi), pipes.output(out), pipes.input(phase)
        shared = through_pipes(shared, pipes)
        if noise_only:
            return _noise_only(started(shared, dwi, out, **options, phase=phase), shared)
        request, ahead = started_reading(shared, dwi, out, **options, phase=phase)
        return denoise_and_print(request, shared, ahead)


def _noise_only(request: "Request", shared: Shared) -> int:
    from dwiser.run import noise_file

    with progress(shared.quiet) as watch, step(watch, "reading and noise"):
        median = noise_file(request)
    if not shared.quiet:
        print(f"{request.out}: sigma {median:.4g} (median in the mask)")
    return 0


def _denoise_series(
    request: "Request",
    files: tuple[Path, ...],
    outdir: Path,
    together: bool | None,
    shared: Shared,
) -> int:
    with progress(shared.quiet) as watch:
        summaries = _series(request, files, outdir, together, shared.quiet, watch)
    for path, summary in summaries.items():
        _print_result(path, summary, shared)
    if shared.strict:
        _require_verdict(summaries)
    return 0


def started(shared: Shared, dwi: Path, out: Path, **more: Any) -> "Request":
    """The request; what it imports may take a second, and says so."""
    with progress(shared.quiet) as watch, starting(watch):
        return _request(shared, dwi, out, **more)


def started_reading(
    shared: Shared, dwi: Path, out: Path, **more: Any
) -> "tuple[Request, ReadAhead | None]":
    """The same, and the series, which is read meanwhile where there is a thread for it."""
    with progress(shared.quiet) as watch, starting(watch):
        ahead = read_ahead(dwi, shared.memory) if shared.threads != 1 else None
        request = _request(shared, dwi, out, **more)
        import_module("dwiser.run.denoising")
        return request, ahead


def _request(shared: Shared, dwi: Path, out: Path, **more: Any) -> "Request":
    from dwiser.methods.registry import settings_of

    if "settings" in more:
        more["settings"] = settings_of(more["settings"])
    return shared.request(dwi, out, **more)


def read_ahead(dwi: Path, memory: str | None = None) -> "ReadAhead | None":
    """Begin to read a series that a command will load, within its ``--memory``."""
    from dwiser.io import begin_load
    from dwiser.machine import parse_memory, usable_memory

    with suppress(InputError):  # it is told where the memory is used
        return begin_load(dwi, usable_memory() if memory is None else parse_memory(memory))
    return None


def denoise_and_print(request: "Request", shared: Shared, ahead: "ReadAhead | None" = None) -> int:
    """Denoise, with progress, and print the result; ``ahead`` is what is read of the series."""
    from dwiser.run import checkpoint_path, denoise_file

    try:
        with progress(shared.quiet) as watch:
            summary = denoise_file(request, watch, ahead=ahead).summary
    except KeyboardInterrupt as error:
        if checkpoint_path(request.out).exists():
            raise KeyboardInterrupt(GO_ON) from error
        raise
    _print_result(request.out, summary, shared)
    if shared.strict:
        _require_verdict({request.out: summary})
    return 0


def _print_result(out: Path, summary: "RunSummary", shared: Shared) -> None:
    if not shared.quiet:
        print(_summary_line(out, summary))
        for line in _top_reason(summary.verdict):
            print(line, file=sys.stderr)
    if shared.verbose:
        print(json.dumps(summary.record, indent=2, default=str, ensure_ascii=False))


def _series(
    request: "Request",
    files: tuple[Path, ...],
    outdir: Path,
    together: bool | None,
    quiet: bool,
    watch: Watch,
) -> "dict[Path, RunSummary]":
    """What each result came to, by its path."""
    from dwiser.run.series import denoise_series, in_folder, output_folder

    requests = in_folder(request, files, outdir)
    with output_folder(outdir):
        summaries = denoise_series(
            requests, together=together, watch=watch,
            print_line=(lambda _: None) if quiet else (lambda line: print(line, file=sys.stderr)),
        )  # fmt: skip
    return dict(zip((r.out for r in requests), summaries, strict=True))


def _in_and_out(
    files: tuple[Path, ...], outdir: Path | None, together: bool | None
) -> tuple[Path, Path]:
    """The two names of one denoising; with OUTDIR the second stands for each result's."""
    if outdir is not None:
        if not files:
            raise InputError(
                "There is no series to denoise: name one or more before --outdir.",
                code=Code.ARGUMENT_MISSING,
            )
        return files[0], outdir
    if together is not None:
        raise InputError(
            "--together and --apart are for several series: give --outdir too.",
            code=Code.ARGUMENT_MISSING,
        )
    if len(files) != 2:
        raise InputError(
            f"Give a series and the name of the result, not {len(files)} names: several series "
            "need --outdir.",
            code=Code.ARGUMENT_MISSING,
        )
    return files[0], files[1]


def _summary_line(out: Path, summary: "RunSummary") -> str:
    noise = f", sigma {summary.sigma_median:.4g}" if summary.sigma_median else ""
    verdict = f", verdict {summary.verdict.level}" if summary.verdict is not None else ""
    from dwiser.io import companion

    name, see = str(out), f"; see {companion(out, '.json').name}"
    if is_temporary(out):  # its sidecar goes with it
        name, see = PIPE, ""
    return (
        f"{name}: {summary.method} ({summary.preset}), {summary.cost.seconds:.0f} s, "
        f"{summary.cost.peak_mib / 1024:.2f} GiB{noise}{verdict}{see}"
    )


def _top_reason(verdict: "Verdict | None") -> list[str]:
    """The first of the worst reasons of the verdict, and what to do about it."""
    from dwiser.evaluation.remedies import REMEDIES

    if verdict is None:
        return []
    worst = [reason for reason in verdict.reasons if reason.level == verdict.level]
    if not worst:
        return []
    more = f" (and {len(verdict.reasons) - 1} more)" if len(verdict.reasons) > 1 else ""
    return [
        f"  {worst[0].level}: {worst[0].words}{more}",
        f"  What to do: {REMEDIES[worst[0].code]}",
    ]


def _require_verdict(summaries: "dict[Path, RunSummary]") -> None:
    """Exit code 1 for a FAIL, and where there was nothing to give a verdict on."""
    for out, summary in summaries.items():
        if summary.verdict is None:
            code, why = Code.VERDICT_MISSING, f"There is no verdict: {summary.no_verdict}"
        elif summary.verdict.level == "FAIL":
            words = next(r.words for r in summary.verdict.reasons if r.level == "FAIL")
            code, why = Code.VERDICT_FAIL, f"the verdict is FAIL: {words}"
        else:
            continue
        raise DwiserError(f"{out} was written, but {why.removesuffix('.')}.", code=code)
