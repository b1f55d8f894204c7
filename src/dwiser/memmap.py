"""Arrays larger than memory: mapped temporary files, removed when no longer needed."""

import math
import mmap
import os
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

FLOAT32 = np.dtype(np.float32)
MOST_PAGES = 2**26  # bytes of files that may be resident: some volumes, and the libraries
MOST_RESIDENT = 2**28  # bytes of all memory, below which no page is let go
SMALL_LIST = 2**26  # bytes
MOST_IN_MEMORY = 2**29  # bytes of an array that a disk has no room for
EVERY = 0.05  # s between two looks at them
LETS_GO = sys.platform == "linux" and hasattr(mmap, "MADV_DONTNEED")  # of pages in use


def allocate_mapped(shape: tuple[int, ...], kind: np.dtype[Any] = FLOAT32) -> np.ndarray:
    """An array in a temporary file (in TMPDIR), each volume contiguous.

    The file has no name, so it is removed whatever happens.

    Raises
    ------
    OSError
        If the disk has no space for it.
    """
    return mapped_volumes((), shape, kind)


def mapped_volumes(
    volumes: Iterable[np.ndarray], shape: tuple[int, ...], kind: np.dtype[Any] = FLOAT32
) -> np.ndarray:
    """The same, filled with volumes in turn: written, which is faster than touching its pages.

    Parameters
    ----------
    volumes : one for each place along the last axis of ``shape``, or none; converted to ``kind``.

    Raises
    ------
    OSError
        If the disk has no space for it.
    """
    with tempfile.TemporaryFile(prefix="dwiser-") as file:
        _reserve(file.fileno(), math.prod(shape) * kind.itemsize)
        for volume in volumes:
            file.write(volume.astype(kind, copy=False).ravel(order="F").data)
        file.flush()
        return spared(np.memmap(file, kind, "r+", 0, shape, order="F"))


def _reserve(file: int, size: int) -> None:
    """A full disk fails now, not by a crash later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)


def spared(mapping: np.ndarray) -> np.ndarray:
    """The mapped array, whose pages are let go while it is in use: they stay in the file.

    A page that was read or written counts as this program's memory until the system wants it back,
    which it does not while there is some. On Linux a thread of its own lets go of all of them
    whenever they are more than 64 MiB, and all memory is more than 256; what is used again comes
    from the system's cache.
    """
    _PAGES.add(_mmap_of(mapping))
    return mapping


class _Pages:
    """What lies in mapped files, and the thread that keeps its pages few."""

    def __init__(self) -> None:
        self.mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None

    def add(self, mapped: mmap.mmap) -> None:
        if not LETS_GO:
            return
        with self.lock:
            self.mapped.add(mapped)
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._watch, name="pages", daemon=True)
                self.thread.start()

    def _watch(self) -> None:
        while True:
            time.sleep(EVERY)
            with self.lock:
                if not self.mapped:
                    self.thread = None
                    return
                mapped = list(self.mapped)
            resident, in_files = resident_pages()
            if resident > MOST_RESIDENT and in_files > MOST_PAGES:
                for one in mapped:
                    with suppress(ValueError, OSError):  # closed meanwhile
                        one.madvise(mmap.MADV_DONTNEED)
            del mapped


def resident_pages() -> tuple[int, int]:
    """Bytes of this process's memory, and of these the pages of files, by Linux's count."""
    resident, in_files = Path("/proc/self/statm").read_text().split()[1:3]
    return int(resident) * mmap.PAGESIZE, int(in_files) * mmap.PAGESIZE


_PAGES = _Pages()


def is_mapped(data: np.ndarray) -> bool:
    """Whether the array, or what it is a view of, lies in a file."""
    return isinstance(_mmap_of(data), mmap.mmap)


def _mmap_of(data: np.ndarray) -> Any:
    """What the array is at last a view of."""
    base: Any = data
    while isinstance(base, np.ndarray):
        base = base.base
    return base


def is_tmpfs(folder: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Whether a folder lies in memory (tmpfs), so that files in it take up memory."""
    try:
        rows = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    except OSError:
        return False
    around = [(len(place), kind) for place, kind in rows if folder.resolve().is_relative_to(place)]
    return bool(around) and max(around)[1] in ("tmpfs", "ramfs")


def allocate_like(
    data: np.ndarray, shape: tuple[int, ...] | None = None, kind: np.dtype[Any] | None = None
) -> np.ndarray:
    """An empty array of the shape and type of ``data``, or others: mapped where ``data`` is mapped.

    Its last axis is the slowest: volumes, or columns of a list of voxels, lie in one piece. One
    of up to half a GiB lies in memory where the disk refuses it; a list, which is written to again
    and again, is mapped only above 64 MiB.

    Raises
    ------
    OSError
        If the disk has no space for it.
    """
    is_list = shape is not None and shape != data.shape
    shape, kind = shape or data.shape, kind or data.dtype
    if is_mapped(data) and not (is_list and math.prod(shape) * kind.itemsize <= SMALL_LIST):
        try:
            return allocate_mapped(shape, kind)
        except OSError:
            if math.prod(shape) * kind.itemsize > MOST_IN_MEMORY:
                raise
    return np.empty(shape, kind, order="F")


def writable_copy(data: np.ndarray) -> np.ndarray:
    """A copy to write into: in memory, or mapped where ``data`` (X, Y, Z, V) is mapped."""
    copy = allocate_like(data)
    for last in range(data.shape[-1]):
        copy[..., last] = data[..., last]
    return copy
