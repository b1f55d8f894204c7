"""The engine submits each scan once, no more than there are workers, and loses none."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from dwiser.cohort import engine
from dwiser.cohort.engine import carry_out
from dwiser.cohort.job import Job
from dwiser.cohort.outcome import Outcome
from dwiser.io.bids import BidsScan


def jobs(count: int) -> list[Job]:
    scans = [BidsScan(Path(f"{n}.nii.gz"), Path(), f"sub-{n:02d}") for n in range(count)]
    return [Job(scan, Path(), Path("out")) for scan in scans]


class Scripted:
    """An executor whose outcomes follow a script, one word for each try; then "done"."""

    def __init__(self, script: dict[str, list[str]], workers: int = 3) -> None:
        self.script, self.workers = script, workers
        self.begun: list[str] = []
        self.waiting: list[Future] = []
        self.most = self.maintained = 0

    def capacity(self) -> int:
        return self.workers

    def submit(self, job: Job) -> Future:
        self.begun.append(job.name)
        future: Future = Future()
        self.waiting.append(future)
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) == self.workers or len(self.begun) >= 10:
            for each in self.waiting:
                each.set_result(None)
            self.waiting = []
        return future

    def outcome(self, future: Future, job: Job) -> Outcome:
        words = self.script.get(job.name)
        return Outcome(job.name, words.pop(0) if words else "done")

    def maintain(self) -> None:
        self.maintained += 1
        for each in self.waiting:
            each.set_result(None)
        self.waiting = []


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(engine, "RETRY_SECONDS", 0.02)


def test_every_scan_is_done_once_with_no_more_at_work_than_workers() -> None:
    executor = Scripted({})
    status = carry_out(jobs(10), executor)
    assert sorted(executor.begun) == [f"sub-{n:02d}" for n in range(10)]
    assert executor.most == 3
    assert status.count("done") == 10
    assert not status.running


def test_locked_and_lost_scans_come_again_until_they_are_done() -> None:
    executor = Scripted({"sub-01": ["locked", "locked", "up to date"], "sub-02": ["lost", "lost"]})
    status = carry_out(jobs(4), executor)
    assert executor.begun.count("sub-01") == 3
    assert executor.begun.count("sub-02") == 3
    assert {name: o.status for name, o in status.outcomes.items()} == {
        "sub-00": "done", "sub-01": "up to date", "sub-02": "done", "sub-03": "done",
    }  # fmt: skip


def test_after_so_many_failures_no_new_scan_is_begun_and_each_is_accounted_for() -> None:
    script = {f"sub-{n:02d}": ["failed"] for n in range(10)}
    executor = Scripted(script, workers=2)
    status = carry_out(jobs(10), executor, max_failures=3)
    assert len(status.outcomes) == 10
    assert 3 <= status.count("failed") <= 4  # the one beside the third was at work already
    assert status.count("failed") + status.count("not begun") == 10
    assert len(executor.begun) == status.count("failed")


def test_ctrl_c_ends_the_run_and_keeps_what_is_known() -> None:
    executor = Scripted({}, workers=1)

    interrupted = []

    def once(status: engine.RunStatus) -> None:
        if not interrupted and status.count("done") == 2:
            interrupted.append(1)
            raise KeyboardInterrupt

    status = carry_out(jobs(5), executor, once)
    assert status.interrupted
    assert status.count("done") == 2


def test_without_a_worker_it_waits_and_continues_when_there_is_one() -> None:
    executor = Scripted({}, workers=0)

    def maintain() -> None:
        executor.maintained += 1
        executor.workers = 1 if executor.maintained > 2 else 0

    executor.maintain = maintain  # type: ignore[method-assign]
    assert carry_out(jobs(3), executor).count("done") == 3
    assert executor.maintained == 3
