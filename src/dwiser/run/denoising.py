"""load → denoise → save: for the command line and for Python."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
from threadpoolctl import threadpool_limits

from dwiser import __version__
from dwiser.defaults import DEFAULT_METHOD, DEFAULT_PRESET
from dwiser.errors import Code, DwiserError, DwiserWarning, InputError
from dwiser.evaluation.inputs import EvaluationInputs
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.residual_findings import standardised_of
from dwiser.evaluation.residual_sd import residual_sd_by_shell
from dwiser.evaluation.variance import variance_removed
from dwiser.io import carried_over, find_inputs, load, planned, sha256
from dwiser.io import save as save_set
from dwiser.io.provenance import PROGRAM, with_earlier_steps
from dwiser.io.read_ahead import ReadAhead
from dwiser.io.volume_labels import B_DELTA
from dwiser.machine import Machine, find_machine, give_memory_back, limited
from dwiser.memmap import allocate_like, writable_copy
from dwiser.methods.base import (
    Course,
    Denoised,
    Denoiser,
    IterativeDenoiser,
    TrainableDenoiser,
    Weights,
)
from dwiser.methods.registry import build
from dwiser.prepare.shells import shell_table
from dwiser.run.capabilities import (
    check_phase,
    in_range,
    noise_model,
    with_maps,
)
from dwiser.run.checkpoint import checkpoint_path
from dwiser.run.first_look import first_look
from dwiser.run.judging import Judgement, judgement, with_verdict
from dwiser.run.memory_limit import enough_memory, peak_memory
from dwiser.run.plan import maps_of, plan_of
from dwiser.run.request import Request, in_history, named_inputs, table_options
from dwiser.run.result import Result, RunCost
from dwiser.run.volumes import restored, roles_of, volumes_record
from dwiser.scan import Scan
from dwiser.seeds import check_seed
from dwiser.watch import Watch, silent, step


def denoise(
    scan: Scan,
    method: str | Denoiser = DEFAULT_METHOD,
    preset: str = DEFAULT_PRESET,
    *,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    watch: Watch = silent,
    weights: Weights | None = None,
    course: Course | None = None,
    **settings: Any,
) -> Result:
    """Denoise a scan; ``settings`` are the method's fields.

    ``weights`` are applied instead of training; a ``course`` writes checkpoints of a training.

    Returns
    -------
    Result
        Data (X, Y, Z, V) float32 in the scan's units, σ, and the record of what was done. There
        is no verdict: the residual is not tested here.

    Raises
    ------
    InputError
        For a scan the method cannot take, or an unknown method, preset, field or device.
    """
    chosen = build(method, preset, settings) if isinstance(method, str) else method
    options: dict[str, Any] = {"device": device, "threads": threads, "seed": seed, "watch": watch}
    return _denoise(scan, chosen, preset, weights, course, **options)


def _denoise(
    scan: Scan, chosen: Denoiser, preset: str, weights: Weights | None, course: Course | None,
    *, device: str, threads: int | None, seed: int, watch: Watch, tested_after: bool = False,
) -> Result:  # fmt: skip
    """The same; where the residual is ``tested_after``, its sd is left to those tests."""
    check_seed(seed)
    if scan.phase is not None:
        check_phase(chosen)
    machine = find_machine(device, threads)
    begun = perf_counter()
    safe = enough_memory(machine.device, chosen)
    sane = in_range(scan)
    with limited(machine), recorded() as heard, peak_memory() as peak, safe, sane:
        # of BLAS one thread: over many small products more only wait for each other
        with step(watch, "looking at the noise"), threadpool_limits(1, "blas"):
            roles, measured = first_look(scan, chosen, threads=machine.threads)
        options: dict[str, Any] = {"machine": machine, "seed": seed, "watch": watch}
        if weights is not None:
            if not isinstance(chosen, TrainableDenoiser):
                raise InputError(
                    f"{chosen.name} learns nothing: leave out its weights.",
                    code=Code.METHOD_NO_WEIGHTS,
                )
            part = chosen.apply(weights, measured, **options)
        elif course is not None and isinstance(chosen, IterativeDenoiser):
            part = chosen.denoise(measured, **options, course=course)
        else:
            part = chosen.denoise(measured, **options)
        if not all(np.isfinite(part.data[..., v]).all() for v in range(measured.shape[3])):
            raise DwiserError(
                "The result holds NaN: the training diverged; lower learning_rate.",
                code=Code.METHOD_DIVERGED,
            )
        result = restored(part, scan, roles)
        _warn_of_outliers(result)
    anonymous = None if peak.anonymous is None else round(peak.anonymous, 1)
    cost = RunCost(round(perf_counter() - begun, 2), round(peak.mib, 1), anonymous)
    record = (
        result.record
        | _about(chosen, preset, machine, seed)
        | _measured(measured, part, cost, machine.threads, tested_after and roles.plain)
    )
    return Result(
        **vars(result) | {"record": record | volumes_record(roles) | {"Warnings": heard}},
        method=chosen.name, preset=preset, parameters=asdict(chosen), seed=seed, cost=cost,
    )  # fmt: skip


def _warn_of_outliers(result: Denoised) -> None:
    """Once the volumes are counted as in the whole scan."""
    for volume, why in (result.outlier_volumes or {}).items():
        sentence = f"Volume {volume} (counted from 0): {why}; it is denoised on its own."
        warnings.warn(sentence, DwiserWarning, stacklevel=3)


RESIDUAL_SD = "ResidualOverSigma"
BeforeWriting: TypeAlias = Callable[[Scan, Result, Judgement], None]


@dataclass(frozen=True, eq=False)
class ReadScan:
    """A scan from its file, its sidecar's fields, and what was warned of while they were read."""

    scan: Scan
    warnings: list[str]
    fields: dict[str, Any] = field(default_factory=dict)


def read_scan(
    request: Request,
    memory: int | None = None,
    inherited: Sequence[Path] = (),
    ahead: ReadAhead | None = None,
) -> ReadScan:
    """Read the series that a request names; above a part of ``memory`` (bytes) it is mapped.

    ``inherited`` are the JSON files above it that speak for it, the nearest last; ``ahead`` is what
    was read of it before.
    """
    with recorded() as heard:
        fields = carried_over(request.dwi, inherited)
        options = table_options(request) | {"memory": memory, "fields": fields, "ahead": ahead}
        scan = load(*named_inputs(request), **options)
    return ReadScan(scan, heard, fields)


def denoise_file(
    request: Request,
    watch: Watch = silent,
    work: Callable[[Scan], Result] | None = None,
    *,
    read: ReadScan | None = None,
    ahead: ReadAhead | None = None,
    inherited: Sequence[Path] = (),
    before_writing: BeforeWriting = lambda scan, result, judged: None,
) -> Result:
    """Denoise a file into a set of files; wrong input is refused before the work begins.

    ``work`` takes the place of `denoise`: a scan of a series gets its part of the series' joint
    result. ``read`` is the scan, where it was read before; else ``ahead`` is what was begun to be
    read of it, and ``inherited`` are the JSON files above it that speak for it, the nearest last.
    ``before_writing`` is called with the scan, the
    result and its judgement; what it adds to the result's record is written too.
    """
    plan = plan_of(request)
    weights = (request.save_weights,)
    places: dict[str, Any] = {"weights": weights, "pages": [request.report], "force": request.force}
    planned(request.out, *request.extras, inputs=request.named, **places)
    before = state_of(request.dwi)
    if read is None:
        with step(watch, "reading"):
            read = read_scan(request, plan.room, inherited, ahead)
    with recorded() as heard, step(watch, "checking"):
        scan, inputs_record = with_maps(
            read.scan, noise_map=request.noise_map, phase=request.phase,
            noise_volumes=request.noise_volumes,
        )  # fmt: skip
        inputs_record |= plan.checked(scan)
    files = (*find_inputs(*named_inputs(request)).files, *maps_of(request))
    planned(request.out, *request.extras, inputs=[*request.named, *files], **places)
    course = plan.course(files)
    with ThreadPoolExecutor(1) as beside:
        checksum = beside.submit(sha256, request.dwi)
        result = work(scan) if work is not None else _denoise(
            scan, plan.method, plan.preset, plan.weights, course, device=request.device,
            threads=request.threads, seed=request.seed, watch=watch, tested_after=True,
        )  # fmt: skip
    with recorded() as changed:
        warn_of_change(request.dwi, before)
    result.record["Warnings"][:0] = read.warnings + heard + plan.overrun(result.cost) + changed
    source: dict[str, Any] = {
        "Sources": [str(f) for f in files],
        "InputSHA256": checksum.result(),
    }
    if scan.gradients.b_delta is not None and B_DELTA not in read.fields:
        source[B_DELTA] = scan.gradients.shapes.round(4).tolist()  # as `load` reads it again
    result.record.update(with_earlier_steps(result.record | source | inputs_record, read.fields))
    with recorded() as heard, step(watch, "testing the residual"):
        give_memory_back()
        threads = find_machine("cpu", request.threads).threads
        judged = judgement(scan, result, seed=request.seed, room=plan.room, threads=threads)
        if result.record.get(RESIDUAL_SD, ()) is None:
            tested = judged.residual_over_sigma(scan.gradients)
            result.record[RESIDUAL_SD] = tested or residual_over_sigma(scan, result, threads)
        residual = None if request.save_residual is None else _difference(scan, result)
        standardised = None if request.save_standardised is None else _standardised(scan, result)
        if request.save_variance is not None:
            result = with_variance(scan, result)
    images = (
        result.sigma, result.mask, result.uncertainty, result.rank, result.variance_removed,
        residual, standardised, result.real, result.phase,
    )  # fmt: skip
    maps = dict(zip(request.extras, images, strict=True))
    wanted = {path: m for path, m in maps.items() if path is not None and m is not None}
    result = with_verdict(result, judged)
    result.record["Warnings"] += heard
    before_writing(scan, result, judged)
    with step(watch, "report"):
        drawn, failure = _reported(request, scan, result, judged)
    with step(watch, "writing"):
        save_set(
            result.data, request.out, scan, record=result.record, extras=wanted, pages=drawn,
            weights=plan.to_keep(result, scan, course), inputs=files, force=request.force,
            command=in_history(request), threads=threads,
        )  # fmt: skip
    checkpoint_path(request.out).unlink(missing_ok=True)
    if failure is not None:
        raise DwiserError(
            f"{request.report}: the report could not be made ({failure}), but {request.out} and "
            "what belongs to it were written: report this.",
            code=Code.REPORT_FAILED,
        ) from failure
    return result


def state_of(path: Path) -> tuple[int, int, int] | None:
    """Which file it is, its size and when it was written; None where that cannot be known."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def warn_of_change(path: Path, before: tuple[int, int, int] | None) -> None:
    """Warn of an input that was written to since ``before``; removed or replaced it is another."""
    now = state_of(path)
    if before is not None and now is not None and now[0] == before[0] and now != before:
        sentence = (
            f"{path} was written to meanwhile: the result may be of neither, denoise it again."
        )
        warnings.warn(sentence, DwiserWarning, stacklevel=3)


def with_variance(scan: Scan, result: Result) -> Result:
    """The result with the share of the measured volumes' variance that was removed."""
    measured = roles_of(scan, result).measured
    share = variance_removed(result.data, scan, result.mask, measured)
    return replace(result, variance_removed=share)


def _difference(scan: Scan, result: Denoised) -> np.ndarray:
    """Input − output, volume by volume: mapped if the scan is."""
    residual = writable_copy(scan.data)
    for v in range(scan.shape[3]):
        residual[..., v] -= result.data[..., v]
    return residual


def _standardised(scan: Scan, result: Denoised) -> np.ndarray:
    """(input − expected)/sd, 0 where σ or a volume is unknown: mapped if the scan is."""
    if result.sigma is not None and result.mask is not None:
        inputs = EvaluationInputs(
            result.data, scan, result.mask, result.sigma, coils=result.coils or None
        )
        try:
            return _where_measured(standardised_of(inputs), result)
        except CannotMeasure as why:
            reason = str(why)
    else:
        reason = "the method gave no σ map"
    sentence = f"The standardised residual is 0 everywhere: {reason}."
    warnings.warn(sentence, DwiserWarning, stacklevel=3)
    image = allocate_like(scan.data)
    image[...] = 0
    return image


def _where_measured(standardised: np.ndarray, result: Denoised) -> np.ndarray:
    """0 in volumes that are no measurement, and in places without data.

    Volumes whose noise differs are in units of their own.
    """
    if result.roles is not None:
        for v in result.roles.unchanged:
            standardised[..., v] = 0
        for v, region in result.roles.empty_regions.items():
            standardised[..., v][region] = 0
        for v, ratio in result.roles.noise_ratio.items():
            standardised[..., v] /= np.float32(ratio)
    return standardised


def _reported(
    request: Request, scan: Scan, result: Result, judged: Judgement
) -> tuple[dict[Path, str], Exception | None]:
    """The report, where one is asked for; a result that took hours is not lost by it."""
    if request.report is None:
        return {}, None
    from dwiser.run.reporting import repeat_command, report

    try:
        command = repeat_command(request.words(), result)
        text = report(scan, result, judged, name=str(request.dwi), command=command)
    except Exception as error:
        return {}, error
    return {request.report: text}, None


def save(denoised: Denoised, out: str | Path, scan: Scan, *, force: bool = False) -> None:
    """Write a result beside its sidecar and gradient table, with the scan's geometry.

    Parameters
    ----------
    denoised : a result; its record becomes the sidecar.
    out : the image's path, whose ending says the format. scan : the input. force : replace files
        that exist.

    Raises
    ------
    InputError
        For a file that exists or a folder that does not; then nothing is written.

    Examples
    --------
    >>> import dwiser
    >>> phantom = dwiser.simulate((16, 16, 8), shells=[(1000, 12)], n_b0=2)
    >>> dwiser.save(dwiser.denoise(phantom.scan, "gaussian"), "out.nii.gz", phantom.scan)
    >>> dwiser.load("out.nii.gz").shape
    (16, 16, 8, 14)
    """
    save_set(denoised.data, out, scan, record=denoised.record, force=force)


@contextmanager
def recorded() -> Iterator[list[str]]:
    """Collects dwiser's warnings as text; the user still sees each, once."""
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DwiserWarning)
        yield heard
    for warning in caught:
        if issubclass(warning.category, DwiserWarning):
            heard.append(str(warning.message))
        warnings.warn(warning.message, stacklevel=3)


def _about(method: Denoiser, preset: str, machine: Machine, seed: int) -> dict[str, Any]:
    import nibabel
    import scipy

    versions = {"python": sys.version.split()[0], "numpy": np.__version__}
    versions |= {"scipy": scipy.__version__, "nibabel": nibabel.__version__}
    if "torch" in sys.modules:
        versions["torch"] = str(sys.modules["torch"].__version__)
    return {
        "GeneratedBy": [{"Name": PROGRAM, "Version": __version__}],
        "Method": method.name,
        "Preset": preset,
        "Parameters": asdict(method),
        "Seed": seed,
        "Device": machine.device,
        "Threads": machine.threads,
        "Versions": versions,
        "Date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _measured(
    scan: Scan, result: Denoised, cost: RunCost, threads: int, tested_after: bool
) -> dict[str, Any]:
    measured: dict[str, Any] = {
        "Shells": shell_table(scan.gradients),
        "B0Threshold": scan.gradients.b0_threshold,
        "BValueScaling": scan.gradients.bvalue_scaling,
        "NoiseModel": noise_model(scan),
        "WallTimeSeconds": cost.seconds,
        "PeakMemoryMiB": cost.peak_mib,
        "PeakAnonymousMiB": cost.peak_anonymous_mib,
    }
    if result.sigma is not None and result.mask is not None:
        inside = result.sigma[result.mask]
        measured["SigmaMedian"] = float(np.median(inside))
        measured[RESIDUAL_SD] = None if tested_after else residual_over_sigma(scan, result, threads)
    return measured


def residual_over_sigma(scan: Scan, result: Denoised, threads: int = 1) -> list[dict[str, float]]:
    """The sidecar's field: by shell the residual's sd in σ, as `residual_sd_by_shell` defines it.

    Empty where σ is 0 throughout.
    """
    assert result.mask is not None
    assert result.sigma is not None
    known = result.record.get("coils") or None
    images = result.data, scan, result.mask, result.sigma
    by_shell = residual_sd_by_shell(*images, known, threads=threads)
    return [{"bval": round(shell.bval, 1), "sd": sd} for shell, sd in by_shell]
