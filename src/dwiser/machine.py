"""The machine a method may use: device, threads; aware of a container's limits."""

import ctypes
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from threadpoolctl import threadpool_limits

from dwiser import lazy
from dwiser.errors import Code, InputError
from dwiser.torch_package import has_torch, require_torch

torch = lazy.module("torch")

GIB = 2**30
CUDA = "cuda"
DEVICES = ("auto", "cpu", CUDA)
CUDA_DRIVERS = ("libcuda.so.1", "nvcuda.dll")  # NVIDIA's, on Linux and on Windows
AMD_DRIVER = Path("/dev/kfd")  # which torch's builds for ROCm call cuda too


PROC_CGROUP = Path("/proc/self/cgroup")
CGROUPS = (  # version 2 and version 1: where, and the files of limit, use, and droppable pages
    (Path("/sys/fs/cgroup"), ("memory.max", "memory.current", "inactive_file")),
    (
        Path("/sys/fs/cgroup/memory"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ),
)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h
REUSED = 16 * 2**20  # bytes: arrays up to this size take memory that others have freed
AHEAD = 1  # parts for each thread that wait or are worked on beside the one to be taken next
Part = TypeVar("Part")
Result = TypeVar("Result")
UNITS = {"": GIB, "k": 2**10, "m": 2**20, "g": GIB, "t": 2**40}


@dataclass(frozen=True)
class Machine:
    """Where to compute: ``device`` is "cpu" or "cuda", ``threads`` the CPU threads to use."""

    device: str = "cpu"
    threads: int = 1


def usable_cores() -> int:
    """CPU cores this process may really use: its affinity and its cgroup's quota."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = Path("/sys/fs/cgroup/cpu.max")
    try:
        limit, period = quota.read_text().split()
        if limit != "max":
            cores = min(cores, max(1, round(int(limit) / int(period))))
    except (OSError, ValueError):
        pass
    return max(1, cores)


def parse_memory(text: str) -> int:
    """Bytes from a size as people write it; the one parser of every ``--memory``.

    Parameters
    ----------
    text : a number and K, M, G or T, with or without "B" or "iB"; without a unit, GiB. All
        units are powers of 1024: "8", "8G", "8GB" and "8 GiB" are the same.

    Returns
    -------
    int
        The size in bytes, at least 1.

    Raises
    ------
    InputError
        For any other text, and for less than one byte.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    amount = float(match[1]) * UNITS[match[2]] if match else 0.0
    if amount < 1:
        raise InputError(
            f"--memory {text!r} is no amount of memory: write 8G or 500M.", code=Code.ARGUMENT_VALUE
        )
    return int(amount)


def usable_memory() -> int | None:
    """Bytes that this process may still take: what is free, within its cgroup's limit."""
    limits = [_free(), _cgroup_available()]
    known = [n for n in limits if n is not None]
    return min(known) if known else None


def _free() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(n.split()[1]) * 1024 for n in lines if n.startswith("MemAvailable:")), None)


def _cgroup_available() -> int | None:
    """The least memory available in this process's cgroup and its parents (a batch job's)."""
    try:
        lines = PROC_CGROUP.read_text().splitlines()
    except OSError:
        return None
    available = []
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        root, names = CGROUPS[bool(kinds)]
        inner = root / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(root):
                available.append(_available(folder, *names))
    return min((n for n in available if n is not None), default=None)


def _available(folder: Path, limit: str, used: str, cache: str) -> int | None:
    """The limit minus what is in use; pages of files, which can be dropped, are not counted."""
    try:
        stat = dict(n.split(" ") for n in (folder / "memory.stat").read_text().splitlines())
        in_use = int((folder / used).read_text()) - int(stat[cache])
        return int((folder / limit).read_text()) - in_use
    except (OSError, ValueError, KeyError):  # no such cgroup here, or no limit ("max")
        return None


def find_machine(device: str = "auto", threads: int | None = None) -> Machine:
    """Turn what the user asked for into a machine; refuse a GPU that is missing.

    Raises
    ------
    InputError
        For an unknown device, a GPU that is missing, and fewer than one thread.
    """
    if device not in DEVICES:
        raise InputError(
            f"Unknown device '{device}': choose from {', '.join(DEVICES)}.",
            code=Code.ARGUMENT_VALUE,
        )
    if threads is not None and threads < 1:
        raise InputError(f"--threads must be at least 1, not {threads}.", code=Code.ARGUMENT_VALUE)
    if device != "cpu":
        if cuda_is_available():
            device = "cuda"
        elif device == "cuda":
            if _gpu_driver():
                require_torch("--device cuda", "leave it out")
            raise InputError(
                "No CUDA GPU can be used on this machine: leave out --device cuda, or say cpu.",
                code=Code.DEVICE_MISSING,
            )
    return Machine("cpu" if device == "auto" else device, threads or usable_cores())


def cuda_is_available() -> bool:
    """Whether torch sees a GPU; torch is imported only where the driver of one is there to ask."""
    if not _gpu_driver():
        return False
    return has_torch() and bool(torch.cuda.is_available())


def _gpu_driver() -> bool:
    """Whether the driver of a GPU that torch may use is on this machine."""
    return any(_loads(name) for name in CUDA_DRIVERS) or AMD_DRIVER.exists()


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@contextmanager
def limited(machine: Machine) -> Iterator[None]:
    """Limit every thread pool (BLAS, OpenMP, torch if it is in use) to the machine's threads."""
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(machine.threads)
    try:
        with threadpool_limits(machine.threads):
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)


def side_by_side(
    work: Callable[[Part], Result], parts: Iterable[Part], threads: int
) -> Iterator[Result]:
    """``work`` of each part, in the order of the parts, on so many threads.

    For array work that leaves Python's lock alone; hold BLAS and torch to one thread around it
    (`limited`), or their threads fight with these for the cores. Few results wait to be taken, so
    that they may be large.
    """
    if threads == 1:  # a thread of its own would keep the memory that it freed
        yield from map(work, parts)
        return
    ahead: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for part in parts:
            ahead.append(pool.submit(work, part))
            if len(ahead) > AHEAD * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def one_heap() -> None:
    """Let all threads of this program share one heap, which gives freed memory to the next array.

    glibc gives each thread its own heap, and does not return what an ended thread has freed
    there: 140 MiB after a denoising on two threads. And it returns what an array of some MiB has
    freed at once, so that the system clears pages again for the next one: a tenth of a denoising's
    time. To be called before threads are started.
    """
    if sys.platform == "linux":
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:  # musl has none
            set_option(M_ARENA_MAX, 1)
            set_option(M_MMAP_THRESHOLD, REUSED)
            set_option(M_TRIM_THRESHOLD, 2 * REUSED)


def give_memory_back() -> None:
    """Return freed memory to the system; glibc holds 240 MiB of it after learning on a brain."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # musl has none
            trim(0)
