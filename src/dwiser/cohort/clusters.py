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

from dwiser import __version__, lazy
from dwiser.cohort import slurm_memory
from dwiser.cohort.dask_executor import GPU, SCAN, DaskExecutor
from dwiser.errors import Code, InputError
from dwiser.machine import GIB, usable_cores
from dwiser.torch_package import has_torch

torch = lazy.module("torch")

LOCAL, SLURM = "local", "slurm"
CONNECT_SECONDS = 30.0  # to reach a scheduler
SETTINGS = {
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.daemon": False,  # a daemon may have no children, and mppca does
    "distributed.scheduler.worker-ttl": "15 minutes",  # a scan may block its worker's heartbeat
}
MIB = 1024**2
NO_DAEMON = "export DASK_DISTRIBUTED__WORKER__DAEMON=False"  # as in SETTINGS


@dataclass(frozen=True)
class WorkerRequest:
    """The workers that a user asks for; ``expected_mib`` is what the largest scan may need."""

    cluster: str = LOCAL
    workers: int | None = None
    memory: int | None = None  # bytes a local worker may hold, or a job of Slurm
    retries: int = 2
    device: str = "auto"
    threads: int | None = None
    scratch: Path | None = None
    expected_mib: float | None = None
    scans: int = 1


def workers_in_words(request: WorkerRequest) -> str:
    """One sentence: how many workers there will be, where, and what memory each of them gets.

    Raises
    ------
    InputError
        Where Slurm is not set up, or a scheduler's workers are asked for an amount of memory.
    """
    if request.cluster == LOCAL:
        if gpus := _gpus_used(request):
            return f"{len(gpus)} on this machine, a GPU and {_share(request, len(gpus))} each"
        share = _local_share(request)
        return f"{share.workers} on this machine, {share} each"
    if request.cluster == SLURM:
        return slurm_memory.of_jobs(request.memory).sentence(request.workers or 1)
    _refuse_memory(request)
    return f"those of {request.cluster}, with the memory that they were started with"


@contextmanager
def open_workers(request: WorkerRequest) -> Iterator[DaskExecutor]:
    """An executor of these workers; those that are started here end with the context.

    Parameters
    ----------
    request : where the workers run, how many, and what each may use.

    Raises
    ------
    InputError
        Where no scheduler answers, Slurm is not set up, or the workers run another version.
    """
    with dask.config.set(SETTINGS | {"distributed.scheduler.allowed-failures": request.retries}):
        cluster, scale = _cluster(request)
        try:
            address = request.cluster if cluster is None else cluster
            gpu = request.device == "cuda"
            with closing(
                DaskExecutor(
                    lambda: _client(address), retries=request.retries, gpu=gpu, scale=scale
                )
            ) as executor:
                _same_version(executor.client)
                yield executor
        finally:
            if cluster is not None:
                cluster.close()


def _cluster(request: WorkerRequest) -> tuple[Any, Callable[[], None]]:
    if request.cluster == LOCAL:
        gpus = _gpus_used(request)
        cluster = _on_gpus(request, gpus) if gpus else _local(request)
        return cluster, lambda: None
    if request.cluster == SLURM:
        return _slurm(request)
    _refuse_memory(request)
    return None, lambda: None


def _refuse_memory(request: WorkerRequest) -> None:
    """The workers of a scheduler were started elsewhere, and keep their limit."""
    if request.memory is not None:
        raise InputError(
            f"The workers of {request.cluster} have the memory that they were started with: leave "
            "out --memory, and give it to them (dask worker --memory-limit 8GiB).",
            code=Code.ARGUMENT_CONFLICT,
        )


@dataclass(frozen=True)
class Share:
    """What each of the workers of this machine gets; ``memory`` in bytes."""

    workers: int
    threads: int
    memory: int

    def __str__(self) -> str:
        plural = "s" * (self.threads != 1)
        return f"{self.threads} thread{plural} and {self.memory / GIB:.1f} GiB"


def _share(request: WorkerRequest, workers: int) -> Share:
    threads = request.threads or max(1, usable_cores() // workers)
    return Share(workers, threads, request.memory or MEMORY_LIMIT // workers)


def _local_share(request: WorkerRequest) -> Share:
    """Of as many workers as cores and memory allow, and no more than scans."""
    cores, total = usable_cores(), MEMORY_LIMIT
    count = request.workers
    if count is None:
        room = cores if request.threads is None else max(1, cores // request.threads)
        if request.expected_mib:
            room = min(room, int(total / (request.expected_mib * MIB)))
        count = max(1, min(room, request.scans))
    return _share(request, count)


def _local(request: WorkerRequest) -> Any:
    share = _local_share(request)
    return LocalCluster(
        n_workers=share.workers, threads_per_worker=share.threads, memory_limit=share.memory,
        processes=True, dashboard_address=None, local_directory=_scratch(request),
        silence_logs=CRITICAL, resources={SCAN: 1},
    )  # fmt: skip


def _on_gpus(request: WorkerRequest, gpus: list[str]) -> Any:
    """One worker for each GPU, which sees no other GPU."""
    share = _share(request, len(gpus))
    options: dict[str, Any] = {"nthreads": share.threads, "memory_limit": share.memory}
    options |= {"resources": {GPU: 1, SCAN: 1}}
    options |= {"local_directory": _scratch(request), "dashboard": False}
    specs = {
        number: {
            "cls": Nanny,
            "options": {**options, "env": {"CUDA_VISIBLE_DEVICES": gpu}},
        }
        for number, gpu in enumerate(gpus)
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard": False, "host": "127.0.0.1"}}
    return SpecCluster(workers=specs, scheduler=scheduler, name="dwiser", silence_logs=CRITICAL)


def _gpus_used(request: WorkerRequest) -> list[str]:
    """A worker's GPU each; none where the CPU was asked for, or is all that there is."""
    return _gpus()[: request.workers] if request.device != "cpu" else []


def _gpus() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes."""
    if not has_torch() or not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named:
        return named.split(",")
    return [str(number) for number in range(torch.cuda.device_count())]


def _slurm(request: WorkerRequest) -> tuple[Any, Callable[[], None]]:
    from dask_jobqueue import SLURMCluster

    count, memory = request.workers or 1, slurm_memory.of_jobs(request.memory)
    prologue = dask.config.get("jobqueue.slurm.job-script-prologue", None) or []
    worker_args = dask.config.get("jobqueue.slurm.worker-extra-args", None) or []
    try:
        cluster = SLURMCluster(
            job_script_prologue=[*prologue, NO_DAEMON],
            worker_extra_args=_with_resource(worker_args),
            **memory.options,
        )
    except ValueError as error:
        raise slurm_memory.not_set_up(" ".join(str(error).split())) from error
    cluster.scale(count)

    def scale() -> None:
        cluster.scale(count)

    return cluster, scale


def _with_resource(worker_args: Sequence[str]) -> list[str]:
    """The worker's options, with our resource added to those that they name."""
    args = list(worker_args)
    if "--resources" in args[:-1]:
        place = args.index("--resources") + 1
        args[place] = f"{args[place]},{SCAN}=1"
        return args
    return [*args, "--resources", f"{SCAN}=1"]


def _scratch(request: WorkerRequest) -> str | None:
    return None if request.scratch is None else str(request.scratch)


def _client(address: Any) -> Client:
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"{address}: no Dask scheduler answers there: give local, slurm, or the address of one "
            "that runs, such as tcp://host:8786.",
            code=Code.CLUSTER_UNREACHABLE,
        ) from error


def _same_version(client: Client) -> None:
    """Refuse workers of another dwiser version, among those connected at the start."""
    try:
        versions = client.run(_version)
    except Exception as error:
        raise InputError(
            "The workers cannot import dwiser: start them in the environment of this command.",
            code=Code.CLUSTER_VERSION,
        ) from error
    for worker, version in versions.items():
        if version != __version__:
            raise InputError(
                f"The worker {worker} has dwiser {version}, this is {__version__}: start the "
                "workers in the environment of this command.",
                code=Code.CLUSTER_VERSION,
            )


def _version() -> str:
    import dwiser

    return dwiser.__version__
