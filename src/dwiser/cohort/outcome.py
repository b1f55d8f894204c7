"""What came of one scan, and what is said of one that broke something."""

import contextlib
import traceback
from dataclasses import dataclass
from typing import Literal

from dwiser.cohort.job import Job

Status = Literal["done", "kept", "failed", "held", "lost", "left"]


@dataclass(frozen=True)
class Outcome:
    """What came of one scan.

    ``status``: done; kept, it was up to date; failed, for ``reason``; held, another process is
    at work on it; lost, the scheduler went away; left, it was never begun. ``seconds`` is the
    whole time, ``denoising`` what the method took of it.
    """

    name: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    denoising: float = 0.0
    worker: str = ""


def broken(job: Job, error: BaseException) -> Outcome:
    """Something that should not have happened; the traceback goes to a log."""
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
