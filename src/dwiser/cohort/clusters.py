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
from dwiser.cohort.dask_executor import GPU, SCAN, DaskExecutor
from dwiser.errors import Code, InputError
from dwiser.machine import usable_cores
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
    memory: int | None = None  # bytes a worker may hold; local only
    retries: int = 2
    device: str = "auto"
    threads: int | None = None
    scratch: Path | None = None
    expected_mib: float | None = None
    scans: int = 1


@contextmanager
def open_workers(
    request: WorkerRequest, on_message: Callable[[str], None] = lambda line: None
) -> Iterator[DaskExecutor]:
    """An executor of these workers; those that are started here end with the context.

    Parameters
    ----------
    request : where the workers run, how many, and what each may use.
    on_message : gets one line that says which workers were asked for.

    Raises
    ------
    InputError
        Where no scheduler answers, Slurm is not set up, or the workers run another version.
    """
    with dask.config.set(SETTINGS | {"distributed.scheduler.allowed-failures": request.retries}):
        cluster, scale, description = _cluster(request)
        try:
            on_message(description)
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


def _cluster(request: WorkerRequest) -> tuple[Any, Callable[[], None], str]:
    if request.cluster == LOCAL:
        gpus = _gpus() if request.device != "cpu" else []
        cluster, words = _on_gpus(request, gpus) if gpus else _local(request)
        return cluster, lambda: None, words
    if request.cluster == SLURM:
        return _slurm(request)
    return None, lambda: None, f"workers of {request.cluster}"


def _local(request: WorkerRequest) -> tuple[Any, str]:
    """As many workers as cores and memory allow, and no more than scans."""
    cores, total = usable_cores(), MEMORY_LIMIT
    count = request.workers
    if count is None:
        room = cores if request.threads is None else max(1, cores // request.threads)
        if request.expected_mib:
            room = min(room, int(total / (request.expected_mib * MIB)))
        count = max(1, min(room, request.scans))
    threads = request.threads or max(1, cores // count)
    memory = request.memory or total // count
    cluster = LocalCluster(
        n_workers=count, threads_per_worker=threads, memory_limit=memory, processes=True,
        dashboard_address=None, local_directory=_scratch(request), silence_logs=CRITICAL,
        resources={SCAN: 1},
    )  # fmt: skip
    return cluster, (
        f"{count} workers on this machine, {threads} threads and {memory / 1024**3:.1f} GiB each"
    )


def _on_gpus(request: WorkerRequest, gpus: list[str]) -> tuple[Any, str]:
    """One worker for each GPU, which sees no other GPU."""
    gpus_used = gpus[: request.workers] if request.workers else gpus
    threads = request.threads or max(1, usable_cores() // len(gpus_used))
    memory = request.memory or MEMORY_LIMIT // len(gpus_used)
    options = {"nthreads": threads, "memory_limit": memory, "resources": {GPU: 1, SCAN: 1}}
    options |= {"local_directory": _scratch(request), "dashboard": False}
    specs = {
        number: {
            "cls": Nanny,
            "options": {**options, "env": {"CUDA_VISIBLE_DEVICES": gpu}},
        }
        for number, gpu in enumerate(gpus_used)
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard": False, "host": "127.0.0.1"}}
    cluster = SpecCluster(workers=specs, scheduler=scheduler, name="dwiser", silence_logs=CRITICAL)
    return cluster, f"{len(gpus_used)} workers, a GPU and {threads} threads each"


def _gpus() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes."""
    if not has_torch() or not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named:
        return named.split(",")
    return [str(number) for number in range(torch.cuda.device_count())]


def _slurm(request: WorkerRequest) -> tuple[Any, Callable[[], None], str]:
    from dask_jobqueue import SLURMCluster

    count = request.workers or 1
    prologue = dask.config.get("jobqueue.slurm.job-script-prologue", None) or []
    worker_args = dask.config.get("jobqueue.slurm.worker-extra-args", None) or []
    try:
        cluster = SLURMCluster(
            job_script_prologue=[*prologue, NO_DAEMON],
            worker_extra_args=_with_resource(worker_args),
        )
    except ValueError as error:
        raise InputError(
            f"Slurm is not set up for Dask ({' '.join(str(error).split())}): write 'cores' and "
            "'memory' under 'jobqueue: slurm:' in ~/.config/dask/jobqueue.yaml.",
            code=Code.CLUSTER_SETUP,
        ) from error
    cluster.scale(count)

    def scale() -> None:
        cluster.scale(count)

    return cluster, scale, f"{count} workers asked of Slurm"


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
