"""Who denoises: this process itself; and what is said of a scan that broke something."""

import contextlib
import traceback
from concurrent.futures import Future

from dwiser.cohort.job import Job
from dwiser.cohort.outcome import Outcome
from dwiser.watch import Watch, silent


class ThisProcess:
    """One scan at a time, here."""

    def __init__(self, watch: Watch = silent) -> None:
        self.watch = watch

    def free(self) -> int:
        return 1

    def submit(self, job: Job) -> Future[Outcome]:
        from dwiser.cohort.worker import denoise_scan

        future: Future[Outcome] = Future()
        try:
            future.set_result(denoise_scan(job, self.watch))
        except Exception as error:
            future.set_exception(error)
        return future

    def outcome(self, future: Future[Outcome], job: Job) -> Outcome:
        error = future.exception()
        return future.result() if error is None else broken(job, error)

    def tend(self) -> None:
        """Nothing to look after."""


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
