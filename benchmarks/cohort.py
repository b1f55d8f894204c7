"""What a cohort costs beside the denoising: ``benchmarks/results/cohort_*.json``.

    python -m benchmarks.cohort throughput   # 1, 2 and 4 workers on one dataset
    python -m benchmarks.cohort overhead     # what a scan takes beside its method; --dwi FILE
    python -m benchmarks.cohort simulated    # 10 000 scans whose work is to do nothing

Each needs a few hundred MB of disk for a while, in --folder or the system's temporary one.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.record import save
from dwiser.cohort import pages, worker
from dwiser.cohort.clusters import WorkerRequest, open_workers
from dwiser.cohort.engine import carry_out
from dwiser.cohort.job import CohortOptions, Job
from dwiser.cohort.outcome import Outcome
from dwiser.cohort.plan import plan_cohort
from dwiser.cohort.serial_executor import SerialExecutor
from dwiser.io import find_inputs, save_volume, write_bvals, write_bvecs
from dwiser.io.image_shape import read_shape
from dwiser.io.names import ending
from dwiser.run import denoising
from dwiser.simulation import phantom

SHAPE, DIRECTIONS, B0S, SEED = (40, 44, 16), 32, 4, 101
TINY, FEW = (10, 11, 5), 6
SOME = 6
SCANS = 8  # two rounds of the four workers
PEOPLE = 10_000
MIB = 1024**2


def dataset(root: Path, shape: tuple[int, int, int], directions: int, b0s: int, count: int) -> Path:
    """A BIDS dataset of ``count`` copies of one phantom."""
    made = phantom(shape, shells=((1000.0, directions),), n_b0=b0s, snr=20.0, seed=SEED).scan
    root.mkdir(parents=True)
    described = {"Name": "phantoms", "BIDSVersion": "1.10.0"}
    (root / "dataset_description.json").write_text(json.dumps(described))
    for number in range(count):
        head = root / f"sub-{number:05d}/dwi/sub-{number:05d}_dwi"
        head.parent.mkdir(parents=True)
        save_volume(made.data, head.with_name(f"{head.name}.nii.gz"), like=made)
        write_bvals(made.gradients, head.with_name(f"{head.name}.bval"))
        write_bvecs(made.gradients, head.with_name(f"{head.name}.bvec"))
    return root


def jobs_of(root: Path, out: Path, options: CohortOptions) -> list[Job]:
    jobs = [step.job for step in plan_cohort(root, out, options).to_do]
    pages.begin_dataset(root, out)
    return jobs


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


def throughput(folder: Path) -> dict[str, Any]:
    """Scans a minute with workers that are warm: each has done one scan before."""
    root = dataset(folder / "raw", SHAPE, DIRECTIONS, B0S, SCANS)
    rows = []
    for workers in (1, 2, 4):
        options = CohortOptions(threads=1, device="cpu")
        warm = jobs_of(root, folder / f"warm{workers}", options)[:workers]
        jobs = jobs_of(root, folder / f"out{workers}", options)
        request = WorkerRequest(workers=workers, threads=1, device="cpu", scans=len(jobs))
        spent = cpu_seconds()
        with open_workers(request) as executor:
            carry_out(warm, executor)
            begun = time.perf_counter()
            status = carry_out(jobs, executor)
            wall = time.perf_counter() - begun
        assert status.count("done") == len(jobs)
        mean = statistics.mean(o.seconds for o in status.outcomes.values())
        rows.append({
            "workers": workers,
            "wall_seconds": round(wall, 1),
            "scans_per_minute": round(60 * len(jobs) / wall, 2),
            "seconds_a_scan": round(mean, 2),
            "cpu_seconds_with_start": round(cpu_seconds() - spent, 1),
        })  # fmt: skip
        print(rows[-1])
    return {"scan": described(SHAPE, DIRECTIONS + B0S), "scans": SCANS, "rows": rows}


def overhead(folder: Path, dwi: Path | None = None) -> dict[str, Any]:
    """What a scan takes beside its method, and what of; then with a report too.

    Of every scan but the first, which imports. Seconds of the processor, which a machine that
    others use too does not stretch much, and of the clock.
    """
    root = folder / "raw"
    if dwi is None:
        dataset(root, SHAPE, DIRECTIONS, B0S, SOME)
    else:
        linked(root, dwi, 2)
    options = CohortOptions("gaussian", threads=1, device="cpu")
    took = {name: Clocks() for name in PARTS}
    for name, (where, function) in PARTS.items():
        setattr(where, function, took[name].around(getattr(where, function)))
    jobs, figures = jobs_of(root, folder / "out", options), {}
    for kind, some in {
        "first_with_imports": jobs[:1],
        "without_report": jobs[1:],
        "with_report": [replace(job, options=replace(options, report=True, force=True))
                             for job in jobs[1:]],
    }.items():  # fmt: skip
        whole = Clocks()
        for clocks in took.values():
            clocks.clear()
        for job in some:
            assert whole.around(carry_out)([job], SerialExecutor()).count("done") == 1
        figures[kind] = parted(whole, took)
    figures["report_megabytes"] = round(jobs[-1].report.stat().st_size / 1e6, 1)
    record = {"scan": described(*described_by(jobs[0])), **figures}
    if dwi is None:
        record |= round_trip(jobs, folder)
    print(json.dumps(record, indent=1))
    return record


class Clocks:
    """(processor, wall) seconds of each call."""

    def __init__(self) -> None:
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def clear(self) -> None:
        self.cpu, self.wall = [], []

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*some: Any, **named: Any) -> Any:
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                return function(*some, **named)
            finally:
                self.cpu.append(time.process_time() - cpu)
                self.wall.append(time.perf_counter() - wall)

        return called


PARTS = {
    "method": (denoising, "denoise"),
    "verdict": (denoising, "judgement"),
    "figure": (worker, "draw_figure"),
    "report": (worker, "report"),
}


def parted(whole: Clocks, took: dict[str, Clocks]) -> dict[str, dict[str, float]]:
    """Medians by part; "rest" is to load, hash, write, rename and the pages."""
    medians = {}
    for clock in ("cpu", "wall"):
        total = statistics.median(getattr(whole, clock))
        parts = {n: statistics.median(s) for n, c in took.items() if (s := getattr(c, clock))}
        parts["rest"] = total - sum(parts.values())
        parts["beside_the_method"] = total - parts["method"]
        medians[f"{clock}_seconds"] = {name: round(value, 2) for name, value in parts.items()}
    return medians


def linked(root: Path, dwi: Path, count: int) -> None:
    """A BIDS dataset of a scan under several names."""
    files = find_inputs(dwi)
    for number in range(count):
        head = root / f"sub-{number:05d}/dwi/sub-{number:05d}_dwi"
        head.parent.mkdir(parents=True)
        for path, kind in ((files.dwi, ending(dwi)), (files.bval, ".bval"), (files.bvec, ".bvec")):
            head.with_name(head.name + kind).symlink_to(path.absolute())


def described_by(job: Job) -> tuple[tuple[int, ...], int]:
    *grid, volumes = read_shape(job.scan.dwi)
    return tuple(grid), volumes


def round_trip(jobs: list[Job], folder: Path) -> dict[str, float]:
    """What Dask adds to a scan, its work stubbed out."""
    with open_workers(WorkerRequest(workers=1, threads=1, device="cpu")) as executor:
        executor.work = nothing
        some = [replace(job, out=folder / "none") for job in jobs] * 50
        named = [replace(job, scan=replace(job.scan, name=f"{n}")) for n, job in enumerate(some)]
        begun, client = time.perf_counter(), time.process_time()
        carry_out(named, executor)
        trip = (time.perf_counter() - begun) / len(named)
        client = (time.process_time() - client) / len(named)
    return {
        "dask_round_trip_seconds": round(trip, 4),
        "dask_round_trip_cpu_seconds_of_client_and_scheduler": round(client, 4),
    }


def nothing(job: Job) -> Outcome:
    return Outcome(job.name, "done", seconds=0.0)


@contextmanager
def scheduler() -> Iterator[tuple[str, int]]:
    """A scheduler with two workers, in processes of their own; its address and process."""
    file = Path(tempfile.mkdtemp()) / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = (sys.executable, "-m")
    head = (*dask, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0")
    one = subprocess.Popen([*head, "--no-dashboard", "--scheduler-file", str(file)], **quiet)
    tail = ("--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--scheduler-file", str(file))
    two = subprocess.Popen([*dask, "distributed.cli.dask_worker", *tail], **quiet)
    try:
        while not file.exists():
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"], one.pid
    finally:
        for process in (two, one):
            process.terminate()
            process.wait()


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def cpu_of(pid: int) -> float:
    """Processor seconds of another process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def simulated(folder: Path, people: int = PEOPLE) -> dict[str, Any]:
    """The machinery alone: find, plan, hand out and take back ten thousand scans."""
    root, out = folder / "raw", folder / "out"
    for number in range(people):
        place = root / f"sub-{number:05d}/dwi"
        place.mkdir(parents=True)
        for kind in ("nii.gz", "bval", "bvec"):
            (place / f"sub-{number:05d}_dwi.{kind}").touch()
    begun = time.perf_counter()
    jobs = jobs_of(root, out, CohortOptions(threads=1, device="cpu"))
    planning = time.perf_counter() - begun
    with scheduler() as (address, pid), open_workers(WorkerRequest(address)) as executor:
        executor.work = nothing
        while executor.capacity() < 2:
            time.sleep(0.1)
        before, rows = resident_mib(pid), []
        spent = time.process_time(), cpu_of(pid)
        for first in range(0, people, 1000):
            begun = time.perf_counter()
            status = carry_out(jobs[first : first + 1000], executor)
            undone = [o for o in status.outcomes.values() if o.status != "done"]
            assert not undone, undone[:3]
            took = time.perf_counter() - begun
            rows.append({"after": first + 1000, "seconds": round(took, 2),
                         "scheduler_mib": round(resident_mib(pid), 1)})  # fmt: skip
            print(rows[-1])
        client, there = time.process_time() - spent[0], cpu_of(pid) - spent[1]
    return {
        "scans": people,
        "workers": 2,
        "plan_seconds": round(planning, 1),
        "scheduler_mib_before": round(before, 1),
        "client_peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "client_cpu_seconds_per_thousand": round(1000 * client / people, 2),
        "scheduler_cpu_seconds_per_thousand": round(1000 * there / people, 2),
        "thousands": rows,
    }


def described(shape: tuple[int, ...], volumes: int) -> str:
    return " × ".join(map(str, (*shape, volumes)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("throughput", "overhead", "simulated"))
    parser.add_argument("--folder", type=Path, help="for the datasets; removed afterwards")
    parser.add_argument("--scans", type=int, default=PEOPLE, help="simulated, in thousands")
    parser.add_argument("--dwi", type=Path, help="overhead of this scan, not of a phantom")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as home:
        measure: dict[str, Any] = {
            "throughput": throughput,
            "overhead": partial(overhead, dwi=args.dwi),
            "simulated": partial(simulated, people=args.scans),
        }
        load = os.getloadavg()[0]
        figures = measure[args.what](Path(home))
    figures["load_before"] = round(load, 1)  # of other programs: a shared machine is slower
    print(save(f"cohort_{args.what}{'_brain' if args.dwi else ''}", SEED, figures))


if __name__ == "__main__":
    main()
