"""``dwiser cohort``: a BIDS dataset on a laptop's cores or a cluster's nodes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dwiser.cli.cohort_options import DEFAULTS, BidsDir, Cohort, Level, OutDir, run_cohort
from dwiser.machine import CUDA, find_machine, parse_memory

if TYPE_CHECKING:
    from dwiser.cohort.clusters import WorkerRequest
    from dwiser.cohort.engine import Executor
    from dwiser.cohort.plan import CohortPlan

LOCAL = "local"


def cohort(
    bids_dir: BidsDir,
    out: OutDir,
    analysis_level: Level,
    /,
    *,
    cluster: Annotated[
        str,
        Parameter(help="local, slurm (set up in jobqueue.yaml), or a Dask scheduler's address."),
    ] = LOCAL,
    workers: Annotated[
        int | None,
        Parameter(help="How many (default: local as many as cores and memory allow; slurm 1)."),
    ] = None,
    memory: Annotated[
        str | None,
        Parameter(
            help="Local: memory of each worker (default: its share of all); slurm: of each job, as "
            "Slurm grants it (default: jobqueue.yaml's). 8G is 8 GiB."
        ),
    ] = None,
    retries: Annotated[
        int, Parameter(help="How often a scan is tried again when its worker dies or breaks.")
    ] = 2,
    options: Cohort = DEFAULTS,
) -> int:
    """Denoise every diffusion series of a BIDS dataset, many at once; skips what is done."""

    _check(workers, retries)
    if cluster == LOCAL and options.device == CUDA:
        find_machine(CUDA)  # refused now, not with each scan
    worker_bytes = None if memory is None else parse_memory(memory)

    def request(plan: "CohortPlan") -> "WorkerRequest":
        from dwiser.cohort.clusters import WorkerRequest

        return WorkerRequest(
            cluster, workers, worker_bytes, retries, options.device, options.threads,
            options.work_dir, plan.largest_mib, len(plan.to_do),
        )  # fmt: skip

    def workers_line(plan: "CohortPlan") -> str:
        from dwiser.cohort.clusters import workers_in_words

        return workers_in_words(request(plan))

    @contextmanager
    def open_executor(plan: "CohortPlan") -> Iterator["Executor"]:
        from dwiser.cohort.clusters import open_workers

        with open_workers(request(plan)) as executor:
            yield executor

    return run_cohort(bids_dir, out, options, open_executor, workers_line=workers_line)


def _check(workers: int | None, retries: int) -> None:
    from dwiser.errors import Code, InputError

    if workers is not None and workers < 1:
        raise InputError(f"--workers must be at least 1, not {workers}.", code=Code.ARGUMENT_VALUE)
    if retries < 0:
        raise InputError(f"--retries must not be negative: {retries} is.", code=Code.ARGUMENT_VALUE)
