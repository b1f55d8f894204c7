"""What is there, what is done, what is to do, and what it may take: before anything is begun."""

import math
import os
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from dwiser.cohort import ledger
from dwiser.cohort.costs import Cost, rate
from dwiser.cohort.job import CohortOptions, Job
from dwiser.errors import InputError
from dwiser.io.bids import find_scans
from dwiser.io.nifti import read_shape


@dataclass(frozen=True)
class Step:
    """One scan of the plan: its job, whether it is done, and what it may take if not."""

    job: Job
    state: ledger.State
    shape: tuple[int, ...] | None
    cost: Cost


@dataclass(frozen=True)
class Plan:
    """Every scan of a cohort, in order."""

    steps: tuple[Step, ...]

    @property
    def to_do(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if not step.state.done)

    @property
    def seconds(self) -> float | None:
        """Of all that is to do, one after the other; None where one is not known."""
        some = [step.cost.seconds for step in self.to_do]
        known = [s for s in some if s is not None]
        return sum(known) if len(known) == len(some) else None

    @property
    def largest_mib(self) -> float | None:
        """Of the scan that needs the most."""
        return max((s.cost.mib for s in self.to_do if s.cost.mib is not None), default=None)

    def why(self) -> Counter[str]:
        """How many scans are to do for each reason."""
        return Counter(step.state.why for step in self.to_do)


def plan(
    root: Path,
    out: Path,
    asked: CohortOptions,
    *,
    subjects: Collection[str] = (),
    sessions: Collection[str] = (),
    work: Path | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Plan:
    """List a dataset's series and look which of them are done.

    Parameters
    ----------
    root, out : the BIDS dataset, and the folder of the derived one; nothing is written.
    asked : what is asked of every scan.
    subjects, sessions : labels; empty for all.
    work : a folder for files in the making, in place of one inside ``out``.
    told : gets (looked at, all) now and then.

    Raises
    ------
    InputError
        For a method, setting, folder or label that is wrong, and a dataset without a series.
    """
    _ = asked.decides  # an unknown method or setting is refused before anything is looked for
    _apart(root, out)
    scans = find_scans(root, subjects, sessions)
    jobs = [Job(scan, root, out, asked, work) for scan in scans]
    states = []
    for count, job in enumerate(jobs):
        told(count, len(jobs))
        done = ledger.State(False, "--force") if asked.force else ledger.state(job)
        states.append(done)
    told(len(jobs), len(jobs))
    pairs = list(zip(jobs, states, strict=True))
    known = [r for job, s in pairs if s.done and (r := ledger.record_of(job)) is not None]
    costs = rate(str(asked.decides["Method"]), known)
    shapes = [None if done.done else _shape(job) for job, done in pairs]
    return Plan(
        tuple(
            Step(job, done, shape, costs.of(None if shape is None else math.prod(shape)))
            for (job, done), shape in zip(pairs, shapes, strict=True)
        )
    )


def _apart(root: Path, out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: this is a file: give the name of a folder.")
    if out.resolve() == root.resolve():
        raise InputError(f"{out}: this is the input dataset: give another folder for the output.")
    if out.is_dir() and not os.access(out, os.W_OK | os.X_OK):
        raise InputError(f"{out}: it may not be written: choose another folder.")


def _shape(job: Job) -> tuple[int, ...] | None:
    """From the header alone; None where it cannot be read, which the worker will say in words."""
    try:
        return read_shape(job.scan.dwi)
    except InputError:
        return None
