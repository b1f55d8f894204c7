"""Carry a plan out: hand scans to whoever has a hand free, and keep the tally."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol, runtime_checkable

from dwiser.cohort.job import Job
from dwiser.cohort.outcome import Outcome

LOOK = 0.5  # seconds between two looks at what goes on
AGAIN = 5.0  # seconds before a scan that another process holds is asked for again


@runtime_checkable
class Hands(Protocol):
    """Whoever denoises: this process, or workers elsewhere."""

    def free(self) -> int:
        """How many scans can be at work at once, now."""
        ...

    def submit(self, job: Job) -> Any:
        """Begin a scan; gives a future with ``add_done_callback``."""
        ...

    def outcome(self, future: Any, job: Job) -> Outcome:
        """What came of a future that is finished; never raises."""
        ...

    def tend(self) -> None:
        """Called now and then: workers that are missing may be asked for anew."""
        ...


@dataclass
class RunStatus:
    """How a run stands. ``running`` tells when each scan began, by the monotonic clock."""

    total: int
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)
    waiting: int = 0
    hands: int = 0
    interrupted: bool = False
    begun: float = field(default_factory=monotonic)

    def count(self, status: str) -> int:
        return sum(outcome.status == status for outcome in self.outcomes.values())

    @property
    def seconds_left(self) -> float | None:
        """From the scans done so far; None before the first."""
        took = [o.seconds for o in self.outcomes.values() if o.status == "done"]
        if not took:
            return None
        mean, now = sum(took) / len(took), monotonic()
        under_way = sum(max(0.0, mean - (now - since)) for since in self.running.values())
        return (self.waiting * mean + under_way) / max(1, self.hands)


Told = Callable[[RunStatus], None]


def carry_out(
    jobs: Sequence[Job],
    hands: Hands,
    told: Told = lambda tally: None,
    *,
    max_failures: int | None = None,
) -> RunStatus:
    """Do every job, no more at once than there are hands.

    A scan that another process holds is asked for again until that one has done it or died. One
    that was lost with its scheduler is handed out anew. Once ``max_failures`` scans have failed
    no new one is begun. Ctrl-C ends the run; the tally says so.
    """
    run = _Run(jobs, hands, told, max_failures)
    try:
        while run.goes_on():
            run.hand_out()
            run.take_back()
    except KeyboardInterrupt:
        run.tally.interrupted = True
    told(run.tally)
    return run.tally


class _Run:
    """Jobs that wait, jobs that wait for another process, and jobs that are with a hand."""

    def __init__(
        self, jobs: Sequence[Job], hands: Hands, told: Told, max_failures: int | None
    ) -> None:
        self.hands, self.told, self.max_failures = hands, told, max_failures
        self.waiting, self.later = deque(jobs), deque[tuple[float, Job]]()
        self.flying: dict[int, tuple[Any, Job]] = {}
        self.finished: SimpleQueue[Any] = SimpleQueue()
        self.tally = RunStatus(len(jobs))

    def goes_on(self) -> bool:
        if self.max_failures is not None and self.tally.count("failed") >= self.max_failures:
            for job in (*self.waiting, *(job for _, job in self.later)):
                self.tally.outcomes[job.name] = Outcome(job.name, "left", "too many failed")
            self.waiting.clear()
            self.later.clear()
        return bool(self.waiting or self.later or self.flying)

    def hand_out(self) -> None:
        while self.later and self.later[0][0] <= monotonic():
            self.waiting.append(self.later.popleft()[1])
        self.tally.hands = self.hands.free()
        while self.waiting and len(self.flying) < self.tally.hands:
            job = self.waiting.popleft()
            self.tally.running[job.name] = monotonic()
            self._tell()
            future = self.hands.submit(job)
            self.flying[id(future)] = future, job
            future.add_done_callback(self.finished.put)
        self._tell()

    def take_back(self) -> None:
        try:
            done = self.finished.get(timeout=LOOK)
        except Empty:
            self.hands.tend()
            return
        future, job = self.flying.pop(id(done))
        del self.tally.running[job.name]
        outcome = self.hands.outcome(future, job)
        if outcome.status == "lost":
            self.waiting.appendleft(job)
        elif outcome.status == "held":
            self.later.append((monotonic() + AGAIN, job))
        else:
            self.tally.outcomes[job.name] = outcome

    def _tell(self) -> None:
        self.tally.waiting = len(self.waiting) + len(self.later)
        self.told(self.tally)
