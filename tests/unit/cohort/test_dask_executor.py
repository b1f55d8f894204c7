"""What a worker adds to a job before it does it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from dwiser.cohort import dask_executor
from dwiser.cohort.dask_executor import on_worker
from dwiser.cohort.job import CohortOptions, Job
from dwiser.cohort.outcome import Outcome
from dwiser.io.bids import BidsScan
from dwiser.machine import parse_memory

JOB = Job(BidsScan(Path("a.nii.gz"), Path(), "sub-01"), Path(), Path("out"))


@pytest.mark.parametrize(
    ("options", "limit", "threads", "memory"),
    [
        (CohortOptions(), 6 * 2**30, 4, 6 * 2**30),
        (CohortOptions(threads=1, memory="2G"), 6 * 2**30, 1, 2 * 2**30),
        (CohortOptions(), 0, 4, None),  # Dask's word for no limit
    ],
)
def test_a_scan_gets_the_threads_and_memory_of_its_worker_unless_the_user_named_some(
    monkeypatch: pytest.MonkeyPatch,
    options: CohortOptions,
    limit: int,
    threads: int,
    memory: int | None,
) -> None:
    worker = SimpleNamespace(
        state=SimpleNamespace(nthreads=4),
        memory_manager=SimpleNamespace(memory_limit=limit or None),
        address="tcp://somewhere",
    )
    monkeypatch.setattr(dask_executor, "get_worker", lambda: worker)
    jobs_done: list[Job] = []

    def work(job: Job) -> Outcome:
        jobs_done.append(job)
        return Outcome(job.name, "done")

    outcome = on_worker(replace(JOB, options=options), work)
    assert outcome == Outcome("sub-01", "done", worker="tcp://somewhere")
    (job,) = jobs_done
    assert job.options.threads == threads
    assert (job.options.memory and parse_memory(job.options.memory)) == memory
