"""Carry a plan out: submit scans while the executor has capacity, and count the outcomes."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol, runtime_checkable

from dwiser.cohort.job import Job
from dwiser.cohort.outcome import Outcome, Status

POLL_SECONDS = 0.5  # between two calls of maintain
RETRY_SECONDS = 5.0  # before a scan that another process has locked is tried again


@runtime_checkable
class Executor(Protocol):
    """What denoises: this process, or workers elsewhere."""

    def capacity(self) -> int:
        """How many scans can run at once, now."""
        ...

    def submit(self, job: Job) -> Any:
        """Begin a scan; returns a future with ``add_done_callback``."""
        ...

    def outcome(self, future: Any, job: Job) -> Outcome:
        """The outcome of a finished future; never raises."""
        ...

    def maintain(self) -> None:
        """Called regularly: missing workers may be requested again."""
        ...


@dataclass
class RunStatus:
    """The state of a run; ``running`` maps a scan to its start by the monotonic clock."""

    total: int
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)
    waiting: int = 0
    workers: int = 0
    interrupted: bool = False
    begun: float = field(default_factory=monotonic)

    def count(self, status: Status) -> int:
        return sum(outcome.status == status for outcome in self.outcomes.values())

    @property
    def seconds_remaining(self) -> float | None:
        """Estimated from the scans done so far; None before the first."""
        took = [o.seconds for o in self.outcomes.values() if o.status == "done"]
        if not took:
            return None
        mean, now = sum(took) / len(took), monotonic()
        under_way = sum(max(0.0, mean - (now - since)) for since in self.running.values())
        return (self.waiting * mean + under_way) / max(1, self.workers)


OnStatus = Callable[[RunStatus], None]


def carry_out(
    jobs: Sequence[Job],
    executor: Executor,
    on_status: OnStatus = lambda status: None,
    *,
    max_failures: int | None = None,
) -> RunStatus:
    """Do every job, no more at once than the executor's capacity.

    A scan that another process has locked is tried again until that process has done it or died.
    A scan that was lost with its scheduler is submitted again. Once ``max_failures`` scans have
    failed no new one is begun. Ctrl-C ends the run; the status says so.
    """
    run = _Run(jobs, executor, on_status, max_failures)
    try:
        while run.is_unfinished():
            run.submit_jobs()
            run.collect_outcome()
    except KeyboardInterrupt:
        run.status.interrupted = True
    on_status(run.status)
    return run.status


class _Run:
    """Jobs that wait, jobs that another process has locked, and jobs that are running."""

    def __init__(
        self, jobs: Sequence[Job], executor: Executor, on_status: OnStatus, max_failures: int | None
    ) -> None:
        self.executor, self.on_status, self.max_failures = executor, on_status, max_failures
        self.waiting, self.locked = deque(jobs), deque[tuple[float, Job]]()
        self.futures: dict[int, tuple[Any, Job]] = {}
        self.finished: SimpleQueue[Any] = SimpleQueue()
        self.status = RunStatus(len(jobs))

    def is_unfinished(self) -> bool:
        if self.max_failures is not None and self.status.count("failed") >= self.max_failures:
            for job in (*self.waiting, *(job for _, job in self.locked)):
                self.status.outcomes[job.name] = Outcome(job.name, "not begun", "too many failed")
            self.waiting.clear()
            self.locked.clear()
        return bool(self.waiting or self.locked or self.futures)

    def submit_jobs(self) -> None:
        while self.locked and self.locked[0][0] <= monotonic():
            self.waiting.append(self.locked.popleft()[1])
        self.status.workers = self.executor.capacity()
        while self.waiting and len(self.futures) < self.status.workers:
            job = self.waiting.popleft()
            self.status.running[job.name] = monotonic()
            self._report()
            future = self.executor.submit(job)
            self.futures[id(future)] = future, job
            future.add_done_callback(self.finished.put)
        self._report()

    def collect_outcome(self) -> None:
        try:
            done = self.finished.get(timeout=POLL_SECONDS)
        except Empty:
            self.executor.maintain()
            return
        future, job = self.futures.pop(id(done))
        del self.status.running[job.name]
        outcome = self.executor.outcome(future, job)
        if outcome.status == "lost":
            self.waiting.appendleft(job)
        elif outcome.status == "locked":
            self.locked.append((monotonic() + RETRY_SECONDS, job))
        else:
            self.status.outcomes[job.name] = outcome

    def _report(self) -> None:
        self.status.waiting = len(self.waiting) + len(self.locked)
        self.on_status(self.status)
