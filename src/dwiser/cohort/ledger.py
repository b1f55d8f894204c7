"""Which scans are done, read from the outputs themselves; and which process works on one."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dwiser.cohort.job import HIDDEN, Job
from dwiser.cohort.run_record import read_run_record
from dwiser.errors import Code, DwiserError
from dwiser.io.bids import SUFFIX, scan_of_derived
from dwiser.io.sidecar import sha256


class ScanLocked(DwiserError):
    """Another process is at work on this scan."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code=Code.SCAN_LOCKED)


@dataclass(frozen=True)
class State:
    """Whether a scan's outputs are complete and up to date, or it is none to denoise; else why.

    ``skipped`` is a series that no run denoises, for the reason ``why``.
    """

    done: bool
    why: str = ""
    skipped: bool = False


def denoised_jobs(folder: Path, template: Job) -> list[Job]:
    """A job for every denoised series of a subject's ``folder``, like ``template`` otherwise."""
    images = sorted(p for s in ("dwi", "ses-*/dwi") for p in folder.glob(f"{s}/*_{SUFFIX}.nii.gz"))
    scans = (scan_of_derived(template.out, image, "denoised") for image in images)
    return [replace(template, scan=scan) for scan in scans if scan is not None]


def state(job: Job, *, exact: bool = False) -> State:
    """Compare the outputs with what would be written now.

    Parameters
    ----------
    exact : hash an input whose size is as recorded but whose time is not, to see whether it
        really changed. Without it such a scan counts as to do; the worker then checks exactly.
    """
    if job.scan.twin is not None:
        return State(False, "there as .nii and .nii.gz")
    expected = [*job.images.values(), job.figure, *([job.report] if job.options.report else [])]
    missing = [path for path in expected if not path.is_file()]
    record = read_run_record(job.sidecar)
    if record is None or missing:
        return State(False, "new" if not job.image.exists() else "incomplete")
    for key, value in job.options.decides.items():
        if record.decides.get(key) != value:
            return State(False, _changed(key, record.decides.get(key), value))
    return _inputs(job, record.inputs, exact)


def _changed(key: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [name for name in now if before.get(name) != now[name]] or list(before)
        key, before, now = keys[0], before.get(keys[0]), now.get(keys[0])
    return f"{key} was {before}, is {now}"


def _inputs(job: Job, recorded: dict[str, Any], exact: bool) -> State:
    if set(recorded) != set(job.inputs):
        return State(False, "other input files than before")
    for kind, path in job.inputs.items():
        then = recorded[kind]
        try:
            now = path.stat()
        except OSError:
            return State(False, f"{kind} is not there")
        if then.get("Bytes") != now.st_size:
            return State(False, f"{kind} changed")
        touched = then.get("Modified") != now.st_mtime_ns
        if touched and not (exact and then.get("SHA256") == sha256(path)):
            return State(False, f"{kind} changed" if exact else f"{kind} may have changed")
    return State(True)


def fingerprints(job: Job) -> dict[str, Any]:
    """Size, time and SHA-256 of every input, as the sidecar records them."""
    by_input = {}
    for kind, path in job.inputs.items():
        status = path.stat()
        by_input[kind] = {
            "SHA256": sha256(path),
            "Bytes": status.st_size,
            "Modified": status.st_mtime_ns,
        }
    return by_input


def staging_folder(job: Job) -> Path:
    """The folder of this scan's files before they get their final names."""
    return job.out / HIDDEN / "work" / job.name


def remove_leftovers(job: Job) -> None:
    """Remove a killed worker's files of this scan; ScanLocked where another is at work on it."""
    with locked(job.out, job.name):
        shutil.rmtree(staging_folder(job), ignore_errors=True)


@contextmanager
def locked(out: Path, name: str, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock ``name`` of an output folder; the kernel releases it when its process dies.

    Raises
    ------
    Held
        When another process has had it for all of ``seconds``; it says which.
    """
    path = out / HIDDEN / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_suffix(".json")
    lock = FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except Timeout as error:
        raise ScanLocked(
            f"{name}: another process is at work on it ({_holder_text(holder)})."
        ) from error
    try:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        who = {"Host": socket.gethostname(), "PID": os.getpid(), "Since": now}
        holder.write_text(json.dumps(who))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder_text(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text())
        return f"host {who['Host']}, process {who['PID']}, since {who['Since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it did not say which"
