"""Denoise one scan of a dataset: the function that every worker runs, and ``dwiser bids`` too."""

import errno
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any
from zlib import crc32

from dwiser.cohort import ledger, preflight
from dwiser.cohort.findings import draw_figure, scan_fields
from dwiser.cohort.job import Job
from dwiser.cohort.outcome import Outcome, failed_outcome
from dwiser.cohort.pages import write_subject
from dwiser.cohort.run_record import INPUTS
from dwiser.errors import Code, DwiserError, DwiserWarning, InputError
from dwiser.io.bids import inherited_sidecars
from dwiser.io.json_file import read_object
from dwiser.io.names import companion
from dwiser.io.sidecar import sidecar
from dwiser.run.denoising import denoise_file
from dwiser.run.judging import Judgement
from dwiser.run.reporting import repeat_command, report
from dwiser.run.request import Request
from dwiser.run.result import Result
from dwiser.run.series import denoise_among_echoes
from dwiser.run.volumes import judged_part
from dwiser.scan import Scan
from dwiser.watch import Watch, silent

CLEAR, PEAK = Path("/proc/self/clear_refs"), "5"  # resets the kernel's mark of peak memory
# Errors that trying again does not cure; those of a network may pass.
FINAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)
PAGE_SECONDS = 60.0  # to wait for another process that writes the page of the same subject
DENOISED = "Denoised diffusion series, in the units, geometry and order of the input"
DESCRIPTIONS = (
    "denoised",
    "sigma",
    "residual",
    "standardised",
    "uncertainty",
    "rank",
    "variance",
)  # "desc" of every file written here
SAVED = {
    "sigma": "save_noise", "mask": "save_mask", "residual": "save_residual",
    "standardised": "save_standardised", "uncertainty": "save_uncertainty",
    "rank": "save_rank", "variance": "save_variance",
}  # fmt: skip
MASK = "Voxels that were denoised; outside them the series is the input's"
MAPS = {
    "sigma": "Standard deviation of the noise in the input, in the input's units",
    "mask": MASK,
    "residual": "Input minus denoised series",
    "standardised": "Input minus what the denoised series lets expect of it, in sd of that",
    "uncertainty": "Standard deviation of the denoised series' error, in the input's units",
    "rank": "Degrees of freedom of each voxel's volumes that the denoised series keeps",
    "variance": "Share of the input's variance within the shells that was removed: 0 none, 1 all",
}


def denoise_scan(job: Job, watch: Watch = silent, *, limit: int | None = None) -> Outcome:
    """Denoise one scan, unless it is up to date, and publish its files.

    ``limit`` is the size in bytes beyond which this process is killed, mapped pages included.

    An error that the user can correct becomes a failed outcome of one sentence; any other is
    raised, and may be tried again. In both cases earlier outputs are untouched.
    """
    begun = perf_counter()
    try:
        with ledger.locked(job.out, job.name):
            if not job.options.force and ledger.state(job, exact=True).done:
                return Outcome(job.name, "up to date", seconds=perf_counter() - begun)
            result = _denoise_and_publish(job, watch, limit)
        took = result.cost.seconds
        return Outcome(job.name, "done", seconds=perf_counter() - begun, denoising=took)
    except ledger.ScanLocked as other:
        return Outcome(job.name, "locked", str(other), code=other.code)
    except DwiserError as error:
        seconds = perf_counter() - begun
        return Outcome(job.name, "failed", str(error), seconds, code=error.code)
    except OSError as error:
        if error.errno not in FINAL:
            raise
        return failed_outcome(job, error)
    except MemoryError:
        words = f"{job.scan.dwi}: there was not enough memory: give each worker more."
        seconds = perf_counter() - begun
        return Outcome(job.name, "failed", words, seconds, code=Code.MEMORY_RAN_OUT)


def _denoise_and_publish(job: Job, watch: Watch, limit: int | None) -> Result:
    preflight.check_files(job)
    preflight.check_memory(job, limit)
    with suppress(OSError):  # Linux; else the peak would be that of all scans so far
        CLEAR.write_text(PEAK)
    staging, scratch = ledger.staging_folder(job), _scratch(job)
    for folder in {staging, scratch}:
        shutil.rmtree(folder, ignore_errors=True)  # files of a killed worker
    try:
        preflight.check_disk_space(job)
        scratch.mkdir(parents=True)
        result = _denoised(job, scratch, watch)
        if scratch != staging:
            shutil.copytree(scratch, staging)
        publish(job, staging)
        with ledger.locked(job.out, f"page_sub-{job.scan.subject}", seconds=PAGE_SECONDS):
            write_subject(job)
        return result
    finally:
        for folder in {staging, scratch}:
            shutil.rmtree(folder, ignore_errors=True)


def _scratch(job: Job) -> Path:
    if job.work is None:
        return ledger.staging_folder(job)
    key = crc32(str(job.out).encode())  # another cohort may work in the same folder
    return job.work / f"{job.name}-{key:08x}"


def _denoised(job: Job, scratch: Path, watch: Watch) -> Result:
    """Write all of the scan's files, under their final names, to the folder ``scratch``."""
    options = job.options
    paths = {kind: scratch / path.name for kind, path in job.images.items()}
    inputs = ledger.fingerprints(job)
    request = Request(
        job.scan.dwi,
        paths["denoised"],
        bval=job.scan.bval,
        bvec=job.scan.bvec,
        mask=job.mask,
        method=options.method,
        preset=options.preset,
        settings=options.settings,
        noise_map=job.noise_map,
        phase=job.phase,
        noise_volumes=None if job.scan.noise is None else str(job.scan.noise),
        memory=options.memory,
        b0_threshold=options.b0_threshold,
        bvalue_scaling=options.bvalue_scaling,
        device=options.device,
        threads=options.threads,
        seed=options.seed,
        force=True,
        **_saved(paths),
    )

    def add_files(scan: Scan, result: Result, judgement: Judgement) -> None:
        measured = judged_part(scan, result)
        result.record.update(scan_fields(*measured) | {"Shape": scan.shape})
        draw_figure(*measured, scratch / job.figure.name, job.name)
        if options.report:
            command = _command(request, job, result)
            text = report(scan, result, judgement, name=str(job.scan.dwi), command=command)
            (scratch / job.report.name).write_text(text, encoding="utf-8")
        record = _derivative_record(job, inputs, result.record)
        result.record.clear()
        result.record.update(record)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)  # each is in the sidecar
        result = denoise_file(
            request, watch, work=_joint_work(job, request, watch),
            inherited=inherited_sidecars(job.root, job.scan), before_writing=add_files,
        )  # fmt: skip
    if ledger.fingerprints(job) != inputs:
        raise InputError(
            f"{job.scan.dwi}: it changed while it was read: run it again.", code=Code.FILE_CHANGED
        )
    _describe_maps(job, paths)
    return result


def _joint_work(job: Job, request: Request, watch: Watch) -> Callable[[Scan], Result] | None:
    """What denoises a scan with its other echoes; None where it has none."""
    echoes = job.joined_echoes
    if not echoes:
        return None
    others = [replace(request, dwi=s.dwi, bval=s.bval, bvec=s.bvec) for s in echoes]
    inherited = [inherited_sidecars(job.root, s) for s in echoes]
    place = sum((s.echo or 0) < (job.scan.echo or 0) for s in echoes)
    return partial(
        denoise_among_echoes, request=request, others=others, place=place, inherited=inherited,
        watch=watch,
    )  # fmt: skip


def _saved(images: dict[str, Path]) -> dict[str, Any]:
    """The images beside the denoised series, as a request names them."""
    return {SAVED[kind]: path for kind, path in images.items() if kind in SAVED}


def _command(request: Request, job: Job, result: Result) -> str:
    """The command that makes this scan's images again, under their final names."""
    named = replace(request, out=job.image, **_saved(job.images))
    return repeat_command(named.words(), result)


def _derivative_record(job: Job, inputs: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """The record as that of a BIDS derivative."""
    return {
        "SkullStripped": False,  # unless the input's sidecar says otherwise
        **record,
        "Description": DENOISED,
        "Sources": _sources(job),
        INPUTS: inputs,
    }


def _describe_maps(job: Job, paths: dict[str, Path]) -> None:
    """Write a sidecar for every map, and a gradient table for every further series."""
    sources = _sources(job)
    for kind, words in MAPS.items():
        if kind in paths and paths[kind].exists():
            fields: dict[str, Any] = {"Description": words, "Sources": sources[:1]}
            if kind == "mask":
                fields |= {"Type": "ROI", "SpatialReference": "orig"}
            if kind in ("residual", "standardised"):
                fields["SkullStripped"] = False
                for ending in (".bval", ".bvec"):
                    table = companion(paths["denoised"], ending)
                    shutil.copyfile(table, companion(paths[kind], ending))
            text = sidecar(fields)
            companion(paths[kind], ".json").write_text(text, encoding="utf-8")


def _sources(job: Job) -> list[str]:
    return [_uri(job, path) for path in job.inputs.values()]


def _uri(job: Job, path: Path) -> str:
    with suppress(ValueError):
        return f"bids:raw:{path.relative_to(job.root).as_posix()}"
    return path.absolute().as_uri()


def publish(job: Job, staging: Path) -> None:
    """Move the files in ``staging`` to the output; the old image goes first, the new comes last.

    All are on one file system, so each appears complete. A death between two of them leaves a
    scan without an image, which is to do again. Other files of an earlier run (a residual, a
    report) belong to another result, and are removed.
    """
    folder = job.image.parent
    folder.mkdir(parents=True, exist_ok=True)
    job.figure.parent.mkdir(parents=True, exist_ok=True)
    job.image.unlink(missing_ok=True)
    names = sorted(path.name for path in staging.iterdir())
    for target in (folder, job.figure.parent):
        for old in _of_earlier_runs(job, target):
            if old.name not in names:
                old.unlink()
    for name in [n for n in names if n != job.image.name]:
        target = job.figure.parent if name in (job.figure.name, job.report.name) else folder
        (staging / name).replace(target / name)
    (staging / job.image.name).replace(job.image)


def _of_earlier_runs(job: Job, folder: Path) -> list[Path]:
    """This scan's files in a folder of the output, as this version names them and as 0.2.0 did."""
    scan = job.scan
    names = [scan.derived(description, "", "").name for description in DESCRIPTIONS]
    names += [f"{scan.name}_desc-{description}_" for description in DESCRIPTIONS]  # two "desc"
    files = {path for name in names for path in folder.glob(f"{name}*")}
    described = folder / f"{scan.name}_desc-brain_mask.json"
    if _is_our_mask(described):
        files |= {described, described.with_suffix(".nii.gz")}
    inputs = set(job.inputs.values())
    return sorted(path for path in files if path.exists() and path not in inputs)


def _is_our_mask(sidecar_path: Path) -> bool:
    """Whether it describes what dwiser 0.2.0 called a brain mask; a user's own stays."""
    try:
        return bool(read_object(sidecar_path).get("Description") == MASK)
    except (OSError, InputError):
        return False
