"""The executor that denoises on the workers of a Dask scheduler."""

import contextlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any
from uuid import uuid4

from distributed import Client, KilledWorker, Worker, WorkerPlugin, get_worker

from dwiser.cohort import ledger
from dwiser.cohort.job import Job
from dwiser.cohort.outcome import Outcome, failed_outcome
from dwiser.errors import Code, DwiserError
from dwiser.machine import one_heap

Work = Callable[[Job], Outcome]

SCAN = "scan"  # the worker's resource that a scan takes: one at a time in each process
GPU = "GPU"
COUNT_EVERY = 1.0  # seconds
SCALE_EVERY = 60.0  # seconds between two checks for workers that died and were not replaced
STRANDED = 10.0  # seconds that Dask gets to find a worker, while there are some
PATIENCE = 600.0  # seconds without a scheduler after which the run ends
OUT_OF_MEMORY = "worker-restart-memory"  # the topic of a nanny that ends its worker for that


class OneScanEach(WorkerPlugin):
    """Makes a worker take one scan at a time, with all its threads.

    A Dask worker would pause for ever where its process does not return freed memory, and spill
    results, of which there are none; so both are off. Its nanny still kills it near its limit.
    """

    name = "dwiser"

    async def setup(self, worker: Worker) -> None:
        one_heap()
        memory = worker.memory_manager
        memory.memory_target_fraction = False
        memory.memory_spill_fraction = False
        memory.memory_pause_fraction = False
        await worker.set_resources(**{SCAN: 1})


def on_worker(job: Job, work: Work | None) -> Outcome:
    """``denoise_scan`` in a Dask worker, with its threads and memory unless the user gave some.

    The import is inside: the scheduler's client needs neither torch nor the methods.
    """
    from dwiser.cohort.worker import denoise_scan

    worker = get_worker()
    limit = worker.memory_manager.memory_limit
    work = work or partial(denoise_scan, limit=limit)
    if job.options.threads is None:
        job = replace(job, options=replace(job.options, threads=worker.state.nthreads))
    if job.options.memory is None and limit:
        job = replace(job, options=replace(job.options, memory=f"{limit >> 20}M"))
    return replace(work(job), worker=worker.address)


class DaskExecutor:
    """The workers of a scheduler; a task that is lost with it is submitted again by the engine.

    ``connect`` returns a client, and a new one after the first has lost its scheduler for good.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        *,
        retries: int,
        gpu: bool = False,
        scale: Callable[[], None] = lambda: None,
        work: Work | None = None,
    ) -> None:
        self.connect, self.client = connect, connect()
        self.retries, self.scale, self.work = retries, scale, work
        self.resources = {SCAN: 1} | ({GPU: 1} if gpu else {})
        self.worker_count, self.counted_at = 0, -COUNT_EVERY
        self.scaled_at = self.last_contact = monotonic()
        self.futures: dict[str, Any] = {}
        self.stranded_since: dict[str, float] = {}  # when a task was first without a worker
        self.stranded: Counter[str] = Counter()
        self.client.register_plugin(OneScanEach())

    def close(self) -> None:
        self.client.close()

    def capacity(self) -> int:
        now = monotonic()
        if now - self.counted_at >= COUNT_EVERY:
            self.worker_count, self.counted_at = self._count(), now
        return self.worker_count

    def _count(self) -> int:
        """The number of connected workers; 0 while the scheduler is away.

        A restarted scheduler, and workers that are new to it, lack our plugin.
        """
        try:
            if self.client.status == "closed":
                self.client = self.connect()
            if self.client.status != "running":
                return 0
            resources_by_worker = self.client.run_on_scheduler(
                lambda dask_scheduler: [dict(w.resources) for w in dask_scheduler.workers.values()]
            )
            if any(SCAN not in resources for resources in resources_by_worker):
                self.client.register_plugin(OneScanEach())
        except (DwiserError, OSError, TimeoutError, CancelledError):
            return 0
        self.last_contact = monotonic()
        return sum(
            all(kind in resources for kind in self.resources) for resources in resources_by_worker
        )

    def submit(self, job: Job) -> Any:
        key = f"{job.name}-{uuid4().hex[:8]}"
        future = self.client.submit(
            on_worker, job, self.work,
            key=key, pure=False, retries=self.retries, resources=self.resources,
        )  # fmt: skip
        self.futures[key] = future
        return future

    def outcome(self, future: Any, job: Job) -> Outcome:
        self.futures.pop(future.key, None)
        if future.status in ("cancelled", "lost"):
            if self.stranded[job.name] > self.retries:
                return Outcome(job.name, "failed", self._died(job, self.stranded[job.name]))
            return Outcome(job.name, "lost", "its scheduler went away")
        try:
            outcome: Outcome = future.result(timeout=PATIENCE)
            return outcome
        except KilledWorker as error:
            return Outcome(job.name, "failed", self._killed(job, error))
        except CancelledError:
            return Outcome(job.name, "lost", "its scheduler went away")
        except Exception as error:
            return failed_outcome(job, error)
        finally:
            future.release()

    def _killed(self, job: Job, error: KilledWorker) -> str:
        worker = getattr(error.last_worker, "address", str(error.last_worker))
        return self._died(job, error.allowed_failures + 1, self._for_memory(worker))

    def _died(self, job: Job, times: int, for_memory: bool = False) -> str:
        with contextlib.suppress(DwiserError, OSError):
            ledger.remove_leftovers(job)
        words = f"{job.scan.dwi}: {times} workers were killed while at work on it"
        more = "give each worker more (--memory, or 'memory' in jobqueue.yaml)"
        if for_memory:
            return f"{words}, the last for lack of memory: {more}, or use fewer workers."
        return f"{words}, probably for lack of memory: {more}, or see the workers' own logs."

    def _for_memory(self, worker: str) -> bool:
        """Whether a nanny has reported that it ended this worker for its memory."""
        with contextlib.suppress(Exception):
            events = self.client.get_events(OUT_OF_MEMORY)
            return any(event.get("worker") == worker for _, event in events)
        return False

    def maintain(self) -> None:
        now = monotonic()
        if now - self.last_contact > PATIENCE:
            raise DwiserError(
                f"The scheduler stopped and did not return within {PATIENCE / 60:.0f} minutes: "
                "finished scans stay; start a scheduler and run the same command again.",
                code=Code.CLUSTER_LOST,
            )
        if now - self.scaled_at >= SCALE_EVERY:
            self.scaled_at = now
            self.scale()
        if self.futures and self.worker_count:
            self._rescue()

    def _rescue(self) -> None:
        """Cancel tasks that Dask cannot run any more: scans whose only worker died.

        The scheduler looks for a new worker when one joins, but a worker that the user started
        has no resource of ours at that moment; so the scan would wait for ever.
        """
        with contextlib.suppress(OSError, TimeoutError, CancelledError):
            unrunnable = self.client.run_on_scheduler(
                lambda dask_scheduler: [task.key for task in dask_scheduler.unrunnable]
            )
            now = monotonic()
            self.stranded_since = {
                k: self.stranded_since.get(k, now) for k in set(unrunnable) & set(self.futures)
            }
            for key in [k for k, since in self.stranded_since.items() if now - since > STRANDED]:
                self.stranded[key.rpartition("-")[0]] += 1
                self.futures[key].cancel()
