"""load → denoise → save: for the command line and for Python."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
from threadpoolctl import threadpool_limits

from dwiser.defaults import DEFAULT_METHOD, DEFAULT_PRESET
from dwiser.errors import Code, DwiserError, DwiserWarning, InputError
from dwiser.io import find_inputs, planned, sha256
from dwiser.io import save as save_set
from dwiser.io.provenance import with_earlier_steps
from dwiser.io.read_ahead import ReadAhead
from dwiser.io.volume_labels import B_DELTA
from dwiser.machine import find_machine, give_memory_back, limited
from dwiser.methods.base import (
    Course,
    Denoised,
    Denoiser,
    IterativeDenoiser,
    TrainableDenoiser,
    Weights,
)
from dwiser.methods.registry import build
from dwiser.run.capabilities import check_phase, in_range, with_maps
from dwiser.run.checkpoint import checkpoint_path
from dwiser.run.first_look import first_look
from dwiser.run.input_scan import ReadScan, file_state, read_scan, warn_of_change
from dwiser.run.judging import Judgement, judgement, with_verdict
from dwiser.run.memory_limit import enough_memory, peak_memory
from dwiser.run.plan import maps_of, plan_of
from dwiser.run.record import (
    RESIDUAL_SD,
    measured_record,
    program_record,
    recorded_warnings,
    residual_over_sigma,
)
from dwiser.run.request import Request, in_history, named_inputs
from dwiser.run.residual_images import difference, standardised, with_variance
from dwiser.run.result import Result, RunCost
from dwiser.run.volumes import restored, volumes_record
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
    """Denoise a scan.

    Parameters
    ----------
    scan : the input.
    method : its name, or a method that was built.
    preset : of the method's fields, where ``method`` is a name.
    device : "auto", "cpu" or "cuda". threads : None for all that there are.
    seed : of every random draw, ≥ 0.
    watch : is told of each step.
    weights : are applied instead of training.
    course : writes checkpoints of a training.
    settings : the method's fields.

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
    with limited(machine), recorded_warnings() as heard, peak_memory() as peak, safe, sane:
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
        | program_record(chosen, preset, machine, seed)
        | measured_record(measured, part, cost, machine.threads, tested_after and roles.plain)
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


BeforeWriting: TypeAlias = Callable[[Scan, Result, Judgement], None]


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

    Parameters
    ----------
    request : the files and options.
    watch : is told of each step.
    work : takes the place of `denoise`: a scan of a series gets its part of the joint result.
    read : the scan, where it was read before.
    ahead : the voxels, where their reading was begun before.
    inherited : the JSON files above the image that speak for it, the nearest last.
    before_writing : is called with the scan, the result and its judgement; what it adds to the
        result's record is written too.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        For input that is wrong; then nothing is written.
    DwiserError
        If the training diverged; or, after all else was written, if the report failed.
    """
    plan = plan_of(request)
    weights = (request.save_weights,)
    places: dict[str, Any] = {"weights": weights, "pages": [request.report], "force": request.force}
    planned(request.out, *request.extras, inputs=request.named, **places)
    before = file_state(request.dwi)
    if read is None:
        with step(watch, "reading"):
            read = read_scan(request, plan.room, inherited, ahead)
    with recorded_warnings() as heard, step(watch, "checking"):
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
    with recorded_warnings() as changed:
        warn_of_change(request.dwi, before)
    result.record["Warnings"][:0] = read.warnings + heard + plan.overrun(result.cost) + changed
    source = _source_record(files, checksum.result(), scan, read.fields)
    result.record.update(with_earlier_steps(result.record | source | inputs_record, read.fields))
    with recorded_warnings() as heard, step(watch, "testing the residual"):
        give_memory_back()
        threads = find_machine("cpu", request.threads).threads
        judged = judgement(scan, result, seed=request.seed, room=plan.room, threads=threads)
        if result.record.get(RESIDUAL_SD, ()) is None:
            tested = judged.residual_over_sigma(scan.gradients)
            result.record[RESIDUAL_SD] = tested or residual_over_sigma(scan, result, threads)
        if request.save_variance is not None:
            result = with_variance(scan, result)
        images = _images(request, scan, result)
    result = with_verdict(result, judged)
    result.record["Warnings"] += heard
    before_writing(scan, result, judged)
    with step(watch, "report"):
        drawn, failure = _reported(request, scan, result, judged)
    with step(watch, "writing"):
        save_set(
            result.data, request.out, scan, record=result.record, extras=images, pages=drawn,
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


def _source_record(
    files: Sequence[Path], checksum: str, scan: Scan, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """The sidecar's entries about the files that were read; ``checksum`` is the image's SHA-256."""
    record: dict[str, Any] = {"Sources": [str(f) for f in files], "InputSHA256": checksum}
    if scan.gradients.b_delta is not None and B_DELTA not in fields:
        record[B_DELTA] = scan.gradients.shapes.round(4).tolist()  # as `load` reads it again
    return record


def _images(request: Request, scan: Scan, result: Result) -> dict[Path, np.ndarray]:
    """The images beside the result that the request names and that there are, by their files."""
    residual = None if request.save_residual is None else difference(scan, result)
    in_sd = None if request.save_standardised is None else standardised(scan, result)
    images = (
        result.sigma, result.mask, result.uncertainty, result.rank, result.variance_removed,
        residual, in_sd, result.real, result.phase,
    )  # fmt: skip
    by_file = zip(request.extras, images, strict=True)
    return {file: image for file, image in by_file if file is not None and image is not None}


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
