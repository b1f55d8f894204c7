"""The plan of a cohort: which scans there are, which are done, what the rest may take."""

import math
import os
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from dwiser.cohort import ledger
from dwiser.cohort.costs import Cost, rate
from dwiser.cohort.job import CohortOptions, Job
from dwiser.cohort.outcome import Outcome
from dwiser.cohort.run_record import read_run_record
from dwiser.cohort.skipping import why_skipped
from dwiser.errors import Code, InputError
from dwiser.io.bids import find_scans
from dwiser.io.image_shape import read_shape


@dataclass(frozen=True)
class Step:
    """One scan of the plan: its job, whether it is done, and what it may take if not."""

    job: Job
    state: ledger.State
    shape: tuple[int, ...] | None
    cost: Cost


@dataclass(frozen=True)
class CohortPlan:
    """Every scan of a cohort, in order."""

    steps: tuple[Step, ...]

    @property
    def to_do(self) -> tuple[Step, ...]:
        return tuple(s for s in self.steps if not (s.state.done or s.state.skipped))

    @property
    def skipped(self) -> tuple[Step, ...]:
        """The series that are no scans to denoise; each state says why."""
        return tuple(step for step in self.steps if step.state.skipped)

    def outcomes(self) -> dict[str, Outcome]:
        """Of the series that are skipped, by name: nothing is tried on them."""
        names = ((step.job.name, step.state.why) for step in self.skipped)
        return {name: Outcome(name, "skipped", why) for name, why in names}

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


def plan_cohort(
    root: Path,
    out: Path,
    options: CohortOptions,
    *,
    subjects: Collection[str] = (),
    sessions: Collection[str] = (),
    work: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda state, total: None,
) -> CohortPlan:
    """List a dataset's series and check which of them are done.

    Parameters
    ----------
    root, out : the BIDS dataset, and the folder of the derived one; nothing is written.
    options : the options of every scan.
    subjects, sessions : labels; empty for all.
    work : a folder for unfinished files, in place of one inside ``out``.
    on_progress : called with (checked, total).

    Raises
    ------
    InputError
        For a method, setting, folder or label that is wrong, and a dataset without a series.
    """
    _ = options.decides  # an unknown method or setting is refused before anything is read
    _apart(root, out)
    scans = find_scans(root, subjects, sessions)
    jobs = [Job(scan, root, out, options, work) for scan in scans]
    states = []
    for count, job in enumerate(jobs):
        on_progress(count, len(jobs))
        states.append(_state(job))
    on_progress(len(jobs), len(jobs))
    pairs = list(zip(jobs, states, strict=True))
    known = [
        record
        for job, s in pairs
        if s.done and (record := read_run_record(job.sidecar)) is not None
    ]
    costs = rate(str(options.decides["Method"]), known)
    shapes = [None if state.done or state.skipped else _shape(job) for job, state in pairs]
    return CohortPlan(
        tuple(
            Step(job, state, shape, costs.of(_size(job, shape)))
            for (job, state), shape in zip(pairs, shapes, strict=True)
        )
    )


def _state(job: Job) -> ledger.State:
    state = ledger.State(False, "--force") if job.options.force else ledger.state(job)
    why = None if state.done else why_skipped(job)
    return state if why is None else ledger.State(False, why, skipped=True)


def _apart(root: Path, out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: this is a file: give the name of a folder.", code=Code.FILE_KIND)
    if out.resolve() == root.resolve():
        raise InputError(
            f"{out}: this is the input dataset: give another folder for the output.",
            code=Code.OUTPUT_IS_INPUT,
        )
    if out.is_dir() and not os.access(out, os.W_OK | os.X_OK):
        raise InputError(
            f"{out}: it may not be written: choose another folder.", code=Code.OUTPUT_FOLDER
        )


def _size(job: Job, shape: tuple[int, ...] | None) -> int | None:
    """How many numbers are denoised, with those of its other echoes."""
    return None if shape is None else math.prod(shape) * (1 + len(job.joined_echoes))


def _shape(job: Job) -> tuple[int, ...] | None:
    """From the header alone; None where it cannot be read, which the worker reports later."""
    try:
        return read_shape(job.scan.dwi)
    except InputError:
        return None
