"""What a job of Slurm is asked for, and what its workers hold: the plan says both."""

from unittest.mock import Mock

import dask
import dask_jobqueue  # noqa: F401  its defaults are there before a test sets some
import pytest

from dwiser.cohort import clusters, slurm_memory
from dwiser.cohort.clusters import WorkerRequest, workers_in_words
from dwiser.errors import Code
from dwiser.machine import GIB
from tests.refusals import refused

UNITS = "in Slurm's units of 1024"
YAML = "in jobqueue.yaml, where GB is 10⁹ bytes"


def slurm(**settings: object) -> dask.config.set:
    return dask.config.set({f"jobqueue.slurm.{name}": value for name, value in settings.items()})


@pytest.mark.parametrize(
    ("written", "processes", "asked", "sentence"),
    [
        ("8GB", 1, None, f"7.45 GiB for each (memory 8GB {YAML}); a job is granted 8G, {UNITS}"),
        ("8GiB", 1, None, f"8.00 GiB for each (memory 8GiB {YAML}); a job is granted 8G, {UNITS}"),
        ("8GiB", 2, None, f"4.00 GiB for each (memory 8GiB {YAML}); a job is granted 8G, {UNITS}"),
        ("8GB", 1, 8 * GIB, f"8.00 GiB for each; a job is granted 8192M, {UNITS}"),
        (None, 4, 3 * GIB // 2, f"0.38 GiB for each; a job is granted 1536M, {UNITS}"),
    ],
)
def test_the_plan_says_what_the_worker_gets_and_the_job(
    written: str | None, processes: int, asked: int | None, sentence: str
) -> None:
    with slurm(memory=written, processes=processes):
        request = WorkerRequest("slurm", 3, memory=asked)
        assert workers_in_words(request) == f"3 asked of Slurm, {sentence}"


def test_the_job_is_asked_for_that_and_its_worker_keeps_to_it() -> None:
    from dask_jobqueue.slurm import SLURMJob

    scheduler = Mock(address="tcp://127.0.0.1:1")
    for asked, line, limit in ((None, "8G", "7.45GiB"), (8 * GIB, "8192M", "8.00GiB")):
        with slurm(memory="8GB"):
            memory = slurm_memory.of_jobs(asked)
            options = {"memory": "8GB", **memory.options}
            script = SLURMJob(scheduler, "w", cores=1, processes=1, **options).job_script()
        assert memory.granted == line
        assert f"#SBATCH --mem={line}\n" in script
        assert f"--memory-limit {limit}" in script


def test_a_line_that_is_dropped_or_set_is_told() -> None:
    with slurm(memory="2GB", **{"job-directives-skip": ["--mem"]}):
        assert (
            "or Slurm's own default if that is less: the jobs ask for no memory"
            in workers_in_words(WorkerRequest("slurm"))
        )
    with slurm(memory="2GB", **{"job-mem": "3G"}):
        assert "a job is granted 3G" in workers_in_words(WorkerRequest("slurm"))


def test_what_slurm_cannot_be_asked_for_is_refused() -> None:
    with slurm(memory=None), refused(Code.CLUSTER_SETUP, "no memory", "write 'cores' and 'memory'"):
        workers_in_words(WorkerRequest("slurm"))
    with slurm(memory="much"), refused(Code.CLUSTER_SETUP, "'much'", "jobqueue.yaml"):
        workers_in_words(WorkerRequest("slurm"))


def test_the_workers_of_this_machine_and_of_a_scheduler(monkeypatch) -> None:
    monkeypatch.setattr(clusters, "usable_cores", lambda: 4)
    request = WorkerRequest(workers=2, memory=GIB, device="cpu")
    assert workers_in_words(request) == "2 on this machine, 2 threads and 1.0 GiB each"
    address = "tcp://node7:8786"
    assert f"those of {address}" in workers_in_words(WorkerRequest(address))
    with refused(Code.ARGUMENT_CONFLICT, address, "leave out --memory", "--memory-limit"):
        workers_in_words(WorkerRequest(address, memory=GIB))
