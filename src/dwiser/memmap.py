"""Arrays larger than memory: mapped temporary files, removed when no longer needed."""

import math
import mmap
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

FLOAT32 = np.dtype(np.float32)


def allocate_mapped(shape: tuple[int, ...], kind: np.dtype[Any] = FLOAT32) -> np.ndarray:
    """An array in a temporary file (in TMPDIR), each volume contiguous.

    The file has no name, so it is removed whatever happens.

    Raises
    ------
    OSError
        If the disk has no space for it.
    """
    with tempfile.TemporaryFile(prefix="dwiser-") as file:
        if hasattr(os, "posix_fallocate"):  # a full disk fails now, not by a crash later
            os.posix_fallocate(file.fileno(), 0, math.prod(shape) * kind.itemsize)
        return np.memmap(file, kind, "w+", 0, shape, order="F")


def is_mapped(data: np.ndarray) -> bool:
    """Whether the array, or what it is a view of, lies in a file."""
    base: Any = data
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def is_tmpfs(folder: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Whether a folder lies in memory (tmpfs), so that files in it take up memory."""
    try:
        rows = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    except OSError:
        return False
    around = [(len(place), kind) for place, kind in rows if folder.resolve().is_relative_to(place)]
    return bool(around) and max(around)[1] in ("tmpfs", "ramfs")


def allocate_like(data: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """An empty array of the shape of ``data``, or another: mapped where ``data`` is mapped.

    Its last axis is the slowest: volumes, or columns of a list of voxels, lie in one piece.
    """
    shape = data.shape if shape is None else shape
    if is_mapped(data):
        return allocate_mapped(shape, data.dtype)
    return np.empty(shape, data.dtype, order="F")


def writable_copy(data: np.ndarray) -> np.ndarray:
    """A copy to write into: in memory, or mapped where ``data`` (X, Y, Z, V) is mapped."""
    copy = allocate_like(data)
    for last in range(data.shape[-1]):
        copy[..., last] = data[..., last]
    return copy
