"""A worker pays for its imports with its first scan; the later ones import nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cohort import dataset

pytestmark = pytest.mark.slow
SHAPE, DIRECTIONS, B0S = (24, 26, 12), 20, 3
WORK = """
import sys
from dataclasses import replace
from pathlib import Path
from time import process_time

from dwiser.cohort import pages
from dwiser.cohort.clusters import WorkerRequest, open_workers
from dwiser.cohort.engine import carry_out
from dwiser.cohort.job import CohortOptions
from dwiser.cohort.plan import plan_cohort
from dwiser.cohort.serial_executor import SerialExecutor

root, out, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]


def counted(job):
    import sys
    from time import process_time

    before, begun = set(sys.modules), process_time()
    from dwiser.cohort.worker import denoise_scan

    outcome = denoise_scan(job)
    took = process_time() - begun
    return replace(outcome, reason=f"{len(set(sys.modules) - before)} {took:.2f}")


options = CohortOptions(threads=1, device="cpu", report=True)
jobs = [step.job for step in plan_cohort(root, out, options).to_do]
pages.begin_dataset(root, out)
if kind == "plain":
    outcomes = [counted(job) for job in jobs]
else:
    request = WorkerRequest(workers=1, threads=1, device="cpu", scans=len(jobs))
    with open_workers(request) as executor:
        executor.work = counted
        outcomes = list(carry_out(jobs, executor).outcomes.values())
for outcome in outcomes:
    print(outcome.status, outcome.reason)
"""


@pytest.mark.parametrize("kind", ["plain", "dask"])
def test_scans_after_the_first_import_nothing(kind: str, tmp_path: Path) -> None:
    root = dataset(tmp_path / "raw", SHAPE, DIRECTIONS, B0S, 3)
    words = [sys.executable, "-c", WORK, str(root), str(tmp_path / "out"), kind]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    first, *later = (line.split() for line in told.splitlines())
    assert [status for status, *_ in (first, *later)] == ["done"] * 3
    assert int(first[1]) > 100
    assert [int(modules) for _, modules, _ in later] == [0, 0]
