"""Open the workers that a user asked for: on this machine, on Slurm, or at an address."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from logging import CRITICAL
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, Nanny, Scheduler, SpecCluster
from distributed.system import MEMORY_LIMIT

from dwiser import __version__
from dwiser.cohort.dask_executor import GPU, ONE, Workers
from dwiser.errors import InputError
from dwiser.machine import usable_cores

LOCAL, SLURM = "local", "slurm"
CONNECT = 30.0  # seconds to find a scheduler
SETTINGS = {
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.daemon": False,  # a daemon may have no children, and mppca does
    "distributed.scheduler.worker-ttl": "15 minutes",  # a scan may keep its worker from talking
}
MIB = 1024**2
NO_DAEMON = "export DASK_DISTRIBUTED__WORKER__DAEMON=False"  # as SETTINGS has it here


@dataclass(frozen=True)
class Wanted:
    """What a user asks of the workers; ``expected_mib`` is what the largest scan may need."""

    cluster: str = LOCAL
    workers: int | None = None
    memory: int | None = None  # bytes a worker may hold; local only
    retries: int = 2
    device: str = "auto"
    threads: int | None = None
    scratch: Path | None = None
    expected_mib: float | None = None
    scans: int = 1


@contextmanager
def opened(wanted: Wanted, told: Callable[[str], None] = lambda line: None) -> Iterator[Workers]:
    """The workers, for as long as the context is open; those that it started end with it.

    Raises
    ------
    InputError
        Where no scheduler answers, Slurm is not set up, or the workers have another dwiser.
    """
    with dask.config.set(SETTINGS | {"distributed.scheduler.allowed-failures": wanted.retries}):
        cluster, scale, words = _cluster(wanted)
        try:
            told(words)
            where = wanted.cluster if cluster is None else cluster
            gpu = wanted.device == "cuda"
            with closing(
                Workers(lambda: _client(where), retries=wanted.retries, gpu=gpu, scale=scale)
            ) as workers:
                _same_version(workers.client)
                yield workers
        finally:
            if cluster is not None:
                cluster.close()


def _cluster(wanted: Wanted) -> tuple[Any, Callable[[], None], str]:
    if wanted.cluster == LOCAL:
        gpus = _gpus() if wanted.device != "cpu" else []
        cluster, words = _on_gpus(wanted, gpus) if gpus else _local(wanted)
        return cluster, lambda: None, words
    if wanted.cluster == SLURM:
        return _slurm(wanted)
    return None, lambda: None, f"workers of {wanted.cluster}"


def _local(wanted: Wanted) -> tuple[Any, str]:
    """As many workers as there are cores and memory for, and no more than scans."""
    cores, total = usable_cores(), MEMORY_LIMIT
    count = wanted.workers
    if count is None:
        room = cores if wanted.threads is None else max(1, cores // wanted.threads)
        if wanted.expected_mib:
            room = min(room, int(total / (wanted.expected_mib * MIB)))
        count = max(1, min(room, wanted.scans))
    threads = wanted.threads or max(1, cores // count)
    memory = wanted.memory or total // count
    cluster = LocalCluster(
        n_workers=count, threads_per_worker=threads, memory_limit=memory, processes=True,
        dashboard_address=None, local_directory=_scratch(wanted), silence_logs=CRITICAL,
        resources={ONE: 1},
    )  # fmt: skip
    return cluster, (
        f"{count} workers on this machine, {threads} threads and {memory / 1024**3:.1f} GiB each"
    )


def _on_gpus(wanted: Wanted, gpus: list[str]) -> tuple[Any, str]:
    """A worker a GPU, each seeing its own only."""
    used = gpus[: wanted.workers] if wanted.workers else gpus
    threads = wanted.threads or max(1, usable_cores() // len(used))
    memory = wanted.memory or MEMORY_LIMIT // len(used)
    options = {"nthreads": threads, "memory_limit": memory, "resources": {GPU: 1, ONE: 1}}
    options |= {"local_directory": _scratch(wanted), "dashboard": False}
    specs = {
        number: {
            "cls": Nanny,
            "options": {**options, "env": {"CUDA_VISIBLE_DEVICES": gpu}},
        }
        for number, gpu in enumerate(used)
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard": False, "host": "127.0.0.1"}}
    cluster = SpecCluster(workers=specs, scheduler=scheduler, name="dwiser", silence_logs=CRITICAL)
    return cluster, f"{len(used)} workers, a GPU and {threads} threads each"


def _gpus() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named:
        return named.split(",")
    return [str(number) for number in range(torch.cuda.device_count())]


def _slurm(wanted: Wanted) -> tuple[Any, Callable[[], None], str]:
    from dask_jobqueue import SLURMCluster

    count = wanted.workers or 1
    prologue = dask.config.get("jobqueue.slurm.job-script-prologue", None) or []
    words = dask.config.get("jobqueue.slurm.worker-extra-args", None) or []
    try:
        cluster = SLURMCluster(
            job_script_prologue=[*prologue, NO_DAEMON], worker_extra_args=_with_resource(words)
        )
    except ValueError as error:
        raise InputError(
            f"Slurm is not set up for Dask ({' '.join(str(error).split())}): write 'cores' and "
            "'memory' under 'jobqueue: slurm:' in ~/.config/dask/jobqueue.yaml."
        ) from error
    cluster.scale(count)

    def again() -> None:
        cluster.scale(count)

    return cluster, again, f"{count} workers asked of Slurm"


def _with_resource(words: Sequence[str]) -> list[str]:
    """A worker's own options with our resource among those that they name."""
    some = list(words)
    if "--resources" in some[:-1]:
        place = some.index("--resources") + 1
        some[place] = f"{some[place]},{ONE}=1"
        return some
    return [*some, "--resources", f"{ONE}=1"]


def _scratch(wanted: Wanted) -> str | None:
    return None if wanted.scratch is None else str(wanted.scratch)


def _client(where: Any) -> Client:
    try:
        return Client(where, timeout=CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"{where}: no Dask scheduler answers there: give local, slurm, or the address of one "
            "that runs, such as tcp://host:8786."
        ) from error


def _same_version(client: Client) -> None:
    """Refuse workers that would make something else than this dwiser; those here at the start."""
    try:
        found = client.run(_version)
    except Exception as error:
        raise InputError(
            "The workers cannot import dwiser: start them in the environment of this command."
        ) from error
    for worker, version in found.items():
        if version != __version__:
            raise InputError(
                f"The worker {worker} has dwiser {version}, this is {__version__}: start the "
                "workers in the environment of this command."
            )


def _version() -> str:
    import dwiser

    return dwiser.__version__
