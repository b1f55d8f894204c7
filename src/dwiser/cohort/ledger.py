"""What is done, read from the outputs themselves; and who is at work on what is not."""

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
from dwiser.errors import DwiserError
from dwiser.io.bids import SUFFIX, BidsScan
from dwiser.io.sidecar import sha256

INPUTS = "InputFiles"  # the sidecar's entry on the files that it was made from


class Held(DwiserError):
    """Another process is at work on this scan."""


@dataclass(frozen=True)
class State:
    """Whether a scan's outputs are there and up to date; if not, why."""

    done: bool
    why: str = ""


def record_of(job: Job) -> dict[str, Any] | None:
    """The sidecar of the denoised series; None where it is missing or no JSON object."""
    try:
        found = json.loads(job.sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def made_in(folder: Path, like: Job) -> list[Job]:
    """A job for every denoised series of a subject, whose ``folder`` is in ``like``'s output."""
    ending = f"_desc-denoised_{SUFFIX}.nii.gz"
    images = sorted(p for s in ("dwi", "ses-*/dwi") for p in folder.glob(f"{s}/*{ending}"))
    return [
        replace(like, scan=BidsScan(p, p.parent.relative_to(like.out), p.name.removesuffix(ending)))
        for p in images
    ]


def state(job: Job, *, exact: bool = False) -> State:
    """Compare the outputs with what would be made now.

    Parameters
    ----------
    exact : hash an input whose size is as recorded and whose time is not, to see whether it
        really changed. Without it such a scan is to do; whoever does it looks exactly first.
    """
    wanted = [*job.images.values(), job.figure, *([job.report] if job.asked.report else [])]
    missing = [path for path in wanted if not path.is_file()]
    record = record_of(job)
    if record is None or missing:
        return State(False, "new" if not job.image.exists() else "incomplete")
    made = record | {"Version": _version(record)}
    for key, value in job.asked.decides.items():
        if made.get(key) != value:
            return State(False, _changed(key, made.get(key), value))
    recorded = record.get(INPUTS)
    return _inputs(job, recorded if isinstance(recorded, dict) else {}, exact)


def _version(record: dict[str, Any]) -> Any:
    by = record.get("GeneratedBy")
    return by[0].get("Version") if isinstance(by, list) and by and isinstance(by[0], dict) else None


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
    found = {}
    for kind, path in job.inputs.items():
        known = path.stat()
        found[kind] = {
            "SHA256": sha256(path),
            "Bytes": known.st_size,
            "Modified": known.st_mtime_ns,
        }
    return found


def workshop(job: Job) -> Path:
    """Where this scan's files are made before they are given their names."""
    return job.out / HIDDEN / "work" / job.name


def sweep(job: Job) -> None:
    """Remove what a killed worker left of this scan; Held where another is at work on it."""
    with held(job.out, job.name):
        shutil.rmtree(workshop(job), ignore_errors=True)


@contextmanager
def held(out: Path, name: str, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock ``name`` of an output folder; the kernel drops it when its process dies.

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
        raise Held(f"{name}: another process is at work on it ({_signed(holder)}).") from error
    try:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        who = {"Host": socket.gethostname(), "PID": os.getpid(), "Since": now}
        holder.write_text(json.dumps(who))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _signed(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text())
        return f"host {who['Host']}, process {who['PID']}, since {who['Since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it did not say which"
