"""The engine hands out each scan once, no more than there are hands, and loses none."""

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
    """Hands that give what the script says, a word a try; "done" when it has run out."""

    def __init__(self, script: dict[str, list[str]], hands: int = 3) -> None:
        self.script, self.hands = script, hands
        self.begun: list[str] = []
        self.waiting: list[Future] = []
        self.most = self.tended = 0

    def free(self) -> int:
        return self.hands

    def submit(self, job: Job) -> Future:
        self.begun.append(job.name)
        future: Future = Future()
        self.waiting.append(future)
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) == self.hands or len(self.begun) >= 10:
            for each in self.waiting:
                each.set_result(None)
            self.waiting = []
        return future

    def outcome(self, future: Future, job: Job) -> Outcome:
        words = self.script.get(job.name)
        return Outcome(job.name, words.pop(0) if words else "done")

    def tend(self) -> None:
        self.tended += 1
        for each in self.waiting:
            each.set_result(None)
        self.waiting = []


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOOK", 0.01)
    monkeypatch.setattr(engine, "AGAIN", 0.02)


def test_every_scan_is_done_once_with_no_more_at_work_than_hands() -> None:
    hands = Scripted({})
    tally = carry_out(jobs(10), hands)
    assert sorted(hands.begun) == [f"sub-{n:02d}" for n in range(10)]
    assert hands.most == 3
    assert tally.count("done") == 10
    assert not tally.running


def test_held_and_lost_scans_come_again_until_they_are_done() -> None:
    hands = Scripted({"sub-01": ["held", "held", "kept"], "sub-02": ["lost", "lost"]})
    tally = carry_out(jobs(4), hands)
    assert hands.begun.count("sub-01") == 3
    assert hands.begun.count("sub-02") == 3
    assert {name: o.status for name, o in tally.outcomes.items()} == {
        "sub-00": "done", "sub-01": "kept", "sub-02": "done", "sub-03": "done",
    }  # fmt: skip


def test_after_so_many_failures_no_new_scan_is_begun_and_each_is_accounted_for() -> None:
    script = {f"sub-{n:02d}": ["failed"] for n in range(10)}
    hands = Scripted(script, hands=2)
    tally = carry_out(jobs(10), hands, max_failures=3)
    assert len(tally.outcomes) == 10
    assert 3 <= tally.count("failed") <= 4  # the one beside the third was at work already
    assert tally.count("failed") + tally.count("left") == 10
    assert len(hands.begun) == tally.count("failed")


def test_ctrl_c_ends_the_run_and_keeps_what_is_known() -> None:
    hands = Scripted({}, hands=1)

    seen = []

    def once(tally: engine.RunStatus) -> None:
        if not seen and tally.count("done") == 2:
            seen.append(1)
            raise KeyboardInterrupt

    tally = carry_out(jobs(5), hands, once)
    assert tally.interrupted
    assert tally.count("done") == 2


def test_without_a_hand_it_waits_and_goes_on_when_there_is_one() -> None:
    hands = Scripted({}, hands=0)

    def tend() -> None:
        hands.tended += 1
        hands.hands = 1 if hands.tended > 2 else 0

    hands.tend = tend  # type: ignore[method-assign]
    assert carry_out(jobs(3), hands).count("done") == 3
    assert hands.tended == 3
