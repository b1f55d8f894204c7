"""Whether a method fits the memory that it may have: checked before it starts."""

import shutil
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.machine import GIB
from dwiser.memmap import is_mapped, is_tmpfs
from dwiser.methods.base import Denoiser
from dwiser.prepare.box import Box
from dwiser.prepare.mask import object_mask
from dwiser.scan import Scan

BASE = 0.4 * GIB  # Python, torch and the libraries
VOLUMES = 12  # of float32, whatever their number: means, masks, σ, one volume in float64


def bytes_needed(
    method: Denoiser, scan: Scan, mask: Bool[np.ndarray, "x y z"] | None = None
) -> int | None:
    """The most memory that the method will hold, about; None where it was not measured.

    ``mask`` is where it will work, if that is known; otherwise everywhere.

    Notes
    -----
    See `dwiser.methods.capabilities.WorkingMemory`.
    """
    mapped, memory = is_mapped(scan.data), method.capabilities.memory
    if memory is None:
        return None
    working = memory.mapped if mapped else memory.in_memory
    resident = 0.0 if mapped else 2.0
    if scan.phase is not None:
        resident += 0 if is_mapped(scan.phase) else 1
        working += 1  # the real part
        resident += 0 if mapped or not asdict(method).get("real_part") else 2  # as a result, φ₀
    working *= _share(memory.grows_with, mask)
    volumes = VOLUMES / scan.shape[3]
    return int(BASE + (resident + working + volumes) * scan.data.nbytes)


def _share(place: str, mask: Bool[np.ndarray, "x y z"] | None) -> float:
    """Of the field of view, that a method works in."""
    if mask is None or place == "field of view":
        return 1.0
    return float(mask.mean()) if place == "mask" else mask[Box.around(mask).index].size / mask.size


def bytes_at_least(method: Denoiser, size: int, *, phase: bool) -> int | None:
    """What the method will hold of a scan of ``size`` bytes as float32, whatever its mask is."""
    memory = method.capabilities.memory
    if memory is None:
        return None
    everywhere = memory.in_memory if memory.grows_with == "field of view" else 0.0
    return int(BASE + (2 + 2 * phase + everywhere) * size)


def check_memory(method: Denoiser, scan: Scan, limit: int | None, usable: int | None) -> None:
    """Refuse work above ``limit``, --memory; warn of work above what is ``usable``.

    Raises
    ------
    InputError
        In one sentence, with what would fit.
    """
    least = min((n for n in (limit, usable) if n is not None), default=None)
    needed = bytes_needed(method, scan)
    if needed is None or least is None or needed <= least:
        return
    needed = bytes_needed(method, scan, object_mask(scan))  # only now: it reads all of the scan
    assert needed is not None
    need = f"{method.name} would hold about {needed / GIB:.1f} GiB for this scan"
    if limit is not None and needed > limit:
        raise InputError(
            f"{need}, --memory allows {limit / GIB:.1f}: raise it, crop the scan to the object, or "
            "take a method that holds less (dwiser methods).",
            code=Code.MEMORY_LIMIT,
        )
    if usable is not None and needed > usable:
        warnings.warn(
            f"{need}, {usable / GIB:.1f} are free: it may be stopped by the system.",
            DwiserWarning,
            stacklevel=3,
        )


def check_room(scan: Scan) -> None:
    """Warn where the files of a mapped scan would take the memory that they are to spare."""
    folder = Path(tempfile.gettempdir())
    if is_mapped(scan.data) and is_tmpfs(folder):
        warnings.warn(
            f"{folder} lies in memory (tmpfs), where a scan this large is to be spared of it: name "
            "a folder on a disk by TMPDIR.",
            DwiserWarning,
            stacklevel=3,
        )


def check_disk(scan: Scan, *series: Path | None) -> None:
    """Warn before the work where the results may find no room on their disk."""
    for folder in {path.parent for path in series if path is not None}:
        size = scan.data.nbytes * sum(p is not None and p.parent == folder for p in series)
        free = shutil.disk_usage(folder).free
        if size > free:
            warnings.warn(
                f"{folder}: {free / GIB:.1f} GiB are free, and the results take up to "
                f"{size / GIB:.1f}: make room, or they may not be written.",
                DwiserWarning,
                stacklevel=3,
            )
