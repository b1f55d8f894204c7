"""The outcome of one scan, and the sentence for an unexpected error."""

import contextlib
import traceback
from dataclasses import dataclass
from typing import Literal

from dwiser.cohort.job import Job
from dwiser.errors import Code

Status = Literal["done", "up to date", "failed", "locked", "lost", "not begun", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one scan.

    ``status``: done; up to date, nothing was to do; failed, for ``reason``; locked, another
    process is at work on it; lost, the scheduler went away; not begun;
    skipped, no scan to denoise. ``seconds`` is the whole
    time, ``denoising`` the method's part of it. ``code`` is that of dwiser's own error, if one.
    """

    name: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    denoising: float = 0.0
    worker: str = ""
    code: Code | None = None


def failed_outcome(job: Job, error: BaseException) -> Outcome:
    """The outcome for an unexpected error; its traceback is written to a log."""
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        words = f"{error.filename or job.out}: it could not be read or written ({reason})."
        return Outcome(job.name, "failed", words)
    where = job.out / "logs" / f"{job.name}.txt"
    words = " ".join(str(error).split())
    reason = f"{job.scan.dwi}: something inside dwiser broke ({type(error).__name__}: {words})"
    with contextlib.suppress(OSError):
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        reason += f"; see {where}"
    return Outcome(job.name, "failed", f"{reason}.")
