"""Denoise one scan of a dataset: the function that every worker runs, and ``dwiser bids`` too."""

import errno
import json
import shutil
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any
from zlib import crc32

from dwiser.cohort import ledger, preflight
from dwiser.cohort.findings import draw, look
from dwiser.cohort.job import Job
from dwiser.cohort.outcome import Outcome, broken
from dwiser.cohort.pages import write_subject
from dwiser.errors import DwiserError, DwiserWarning, InputError
from dwiser.io.bids import inherited_fields
from dwiser.io.names import companion
from dwiser.io.sidecar import sidecar
from dwiser.run.denoising import denoise_file
from dwiser.run.judging import Judgement
from dwiser.run.reporting import repeat_command, report
from dwiser.run.request import Request
from dwiser.run.result import Result
from dwiser.scan import Scan
from dwiser.watch import Watch, silent

CLEAR, PEAK = Path("/proc/self/clear_refs"), "5"  # the kernel's mark of peak memory begins anew
# Errors that trying again does not mend; a network's hiccup may be another.
FINAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)
PAGE_SECONDS = 60.0  # to wait for another who writes the page of the same subject
DENOISED = "Denoised diffusion series, in the units, geometry and order of the input"
OURS = (
    "denoised",
    "sigma",
    "brain",
    "residual",
    "standardised",
    "uncertainty",
)  # "desc" of what is made here
SAVED = {
    "sigma": "save_noise", "mask": "save_mask", "residual": "save_residual",
    "standardised": "save_standardised", "uncertainty": "save_uncertainty",
}  # fmt: skip
MAPS = {
    "sigma": "Standard deviation of the noise in the input, in the input's units",
    "mask": "Voxels that were denoised; outside them the series is the input's",
    "residual": "Input minus denoised series",
    "standardised": "Input minus what the denoised series lets expect of it, in sd of that",
    "uncertainty": "Standard deviation of the denoised series' error, in the input's units",
}


def denoise_scan(job: Job, watch: Watch = silent, *, limit: int | None = None) -> Outcome:
    """Denoise one scan, unless it is up to date, and give its files their names.

    ``limit`` are the bytes beyond which this process is killed, pages of mapped files counted.

    What a user can do something about becomes a failed outcome of one sentence; anything else
    is raised, and may be tried again. In either case what was there before is untouched.
    """
    begun = perf_counter()
    try:
        with ledger.held(job.out, job.name):
            if not job.asked.force and ledger.state(job, exact=True).done:
                return Outcome(job.name, "kept", seconds=perf_counter() - begun)
            result = _made(job, watch, limit)
        took = result.cost.seconds
        return Outcome(job.name, "done", seconds=perf_counter() - begun, denoising=took)
    except ledger.Held as other:
        return Outcome(job.name, "held", str(other))
    except DwiserError as error:
        return Outcome(job.name, "failed", str(error), perf_counter() - begun)
    except OSError as error:
        if error.errno not in FINAL:
            raise
        return broken(job, error)
    except MemoryError:
        words = f"{job.scan.dwi}: there was not enough memory: give each worker more."
        return Outcome(job.name, "failed", words, perf_counter() - begun)


def _made(job: Job, watch: Watch, limit: int | None) -> Result:
    preflight.there(job)
    preflight.enough_memory(job, limit)
    with suppress(OSError):  # Linux; else the peak would be that of all scans so far
        CLEAR.write_text(PEAK)
    shop, scratch = ledger.workshop(job), _scratch(job)
    for folder in {shop, scratch}:
        shutil.rmtree(folder, ignore_errors=True)  # what one that was killed left behind
    try:
        preflight.enough_space(job)
        scratch.mkdir(parents=True)
        result = _denoised(job, scratch, watch)
        if scratch != shop:
            shutil.copytree(scratch, shop)
        publish(job, shop)
        with ledger.held(job.out, f"page_sub-{job.scan.subject}", seconds=PAGE_SECONDS):
            write_subject(job)
        return result
    finally:
        for folder in {shop, scratch}:
            shutil.rmtree(folder, ignore_errors=True)


def _scratch(job: Job) -> Path:
    if job.work is None:
        return ledger.workshop(job)
    key = crc32(str(job.out).encode())  # another cohort may work in the same folder
    return job.work / f"{job.name}-{key:08x}"


def _denoised(job: Job, scratch: Path, watch: Watch) -> Result:
    """All of the scan's files, under their last names, in the folder ``scratch``."""
    asked = job.asked
    here = {kind: scratch / path.name for kind, path in job.images.items()}
    inputs = ledger.fingerprints(job)
    request = Request(
        job.scan.dwi,
        here["denoised"],
        bval=job.scan.bval,
        bvec=job.scan.bvec,
        mask=job.mask,
        method=asked.method,
        preset=asked.preset,
        settings=asked.settings,
        noise_map=job.noise_map,
        phase=job.phase,
        memory=asked.memory,
        b0_threshold=asked.b0_threshold,
        device=asked.device,
        threads=asked.threads,
        seed=asked.seed,
        force=True,
        **_saved(here),
    )

    def seen(scan: Scan, result: Result, found: Judgement) -> None:
        result.record.update(look(scan, result))
        draw(scan, result, scratch / job.figure.name, job.name)
        if asked.report:
            command = _command(request, job, result)
            text = report(scan, result, found, name=str(job.scan.dwi), command=command)
            (scratch / job.report.name).write_text(text, encoding="utf-8")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)  # each is in the sidecar
        result = denoise_file(request, watch, seen=seen)
    if ledger.fingerprints(job) != inputs:
        raise InputError(f"{job.scan.dwi}: it changed while it was read: run it again.")
    _describe(job, here, inputs)
    return result


def _saved(images: dict[str, Path]) -> dict[str, Any]:
    """The images beside the denoised series, as a request names them."""
    return {SAVED[kind]: path for kind, path in images.items() if kind in SAVED}


def _command(request: Request, job: Job, result: Result) -> str:
    """What makes this scan's images again, under their last names."""
    named = replace(request, out=job.image, **_saved(job.images))
    return repeat_command(named.words(), result)


def _describe(job: Job, here: dict[str, Path], inputs: dict[str, Any]) -> None:
    """Make the sidecar that of a BIDS derivative, and give every map one of its own."""
    own = companion(here["denoised"], ".json")
    record = json.loads(own.read_text(encoding="utf-8"))
    sources = [_uri(job, path) for path in job.inputs.values()]
    record = inherited_fields(job.root, job.scan) | record
    record |= {"Description": DENOISED, "SkullStripped": False}
    record |= {"Sources": sources, ledger.INPUTS: inputs}
    own.write_text(sidecar(record), encoding="utf-8")
    for kind, words in MAPS.items():
        if kind in here and here[kind].exists():
            fields: dict[str, Any] = {"Description": words, "Sources": sources[:1]}
            if kind == "mask":
                fields |= {"Type": "Brain", "SpatialReference": "orig"}
            if kind in ("residual", "standardised"):
                fields["SkullStripped"] = False
                for ending in (".bval", ".bvec"):
                    table = companion(here["denoised"], ending)
                    shutil.copyfile(table, companion(here[kind], ending))
            text = sidecar(fields)
            companion(here[kind], ".json").write_text(text, encoding="utf-8")


def _uri(job: Job, path: Path) -> str:
    with suppress(ValueError):
        return f"bids:raw:{path.relative_to(job.root).as_posix()}"
    return path.absolute().as_uri()


def publish(job: Job, shop: Path) -> None:
    """Give the files in ``shop`` their names; the old image goes first, the new one comes last.

    All are on one file system, so each appears whole. A death between two of them leaves a scan
    without an image, which is one to do again. What an earlier run made beside these (a residual,
    a report) is of another result, and goes.
    """
    folder = job.image.parent
    folder.mkdir(parents=True, exist_ok=True)
    job.figure.parent.mkdir(parents=True, exist_ok=True)
    job.image.unlink(missing_ok=True)
    names = sorted(path.name for path in shop.iterdir())
    for home in (folder, job.figure.parent):
        for old in (path for what in OURS for path in home.glob(f"{job.name}_desc-{what}_*")):
            if old.name not in names:
                old.unlink()
    for name in [n for n in names if n != job.image.name]:
        home = job.figure.parent if name in (job.figure.name, job.report.name) else folder
        (shop / name).replace(home / name)
    (shop / job.image.name).replace(job.image)
