"""``dwiser cohort --memory`` means the same as every other --memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dwiser.cli import cohort as command
from dwiser.cohort import clusters
from dwiser.cohort.clusters import WorkerRequest
from dwiser.cohort.plan import CohortPlan
from dwiser.errors import Code
from dwiser.machine import GIB
from tests.refusals import refused


@pytest.mark.parametrize(
    ("text", "size"),
    [("8G", 8 * GIB), ("8", 8 * GIB), ("4GB", 4 * GIB), ("500M", 500 * 2**20), (None, None)],
)
def test_a_workers_memory_is_read_like_that_of_one_scan(
    monkeypatch: pytest.MonkeyPatch, text: str | None, size: int | None
) -> None:
    requests: list[WorkerRequest] = []

    @contextmanager
    def open_workers(request: WorkerRequest) -> Iterator[None]:
        requests.append(request)
        yield

    def run_cohort(root: Path, out: Path, options: object, open_executor, workers_line) -> int:
        with open_executor(CohortPlan(())):
            return 0

    monkeypatch.setattr(clusters, "open_workers", open_workers)
    monkeypatch.setattr(command, "run_cohort", run_cohort)
    assert command.cohort(Path("raw"), Path("out"), "participant", memory=text) == 0
    assert [request.memory for request in requests] == [size]


@pytest.mark.parametrize("text", ["1e9", "-1", "0", "much"])
def test_what_is_no_amount_is_refused_before_the_dataset_is_read(text: str) -> None:
    with refused(Code.ARGUMENT_VALUE, f"--memory {text!r}", "write 8G or 500M"):
        command.cohort(Path("nowhere"), Path("out"), "participant", memory=text)
