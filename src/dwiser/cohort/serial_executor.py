"""The executor without a cluster: this process itself, one scan at a time."""

from concurrent.futures import Future

from dwiser.cohort.job import Job
from dwiser.cohort.outcome import Outcome, failed_outcome
from dwiser.cohort.worker import denoise_scan
from dwiser.watch import Watch, silent


class SerialExecutor:
    """One scan at a time, in this process."""

    def __init__(self, watch: Watch = silent) -> None:
        self.watch = watch

    def capacity(self) -> int:
        return 1

    def submit(self, job: Job) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        try:
            future.set_result(denoise_scan(job, self.watch))
        except Exception as error:
            future.set_exception(error)
        return future

    def outcome(self, future: Future[Outcome], job: Job) -> Outcome:
        error = future.exception()
        return future.result() if error is None else failed_outcome(job, error)

    def maintain(self) -> None:
        """Nothing to maintain."""
