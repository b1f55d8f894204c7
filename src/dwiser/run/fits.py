"""Whether a method's work fits the memory it may have: told before it starts."""

import shutil
import tempfile
import warnings
from pathlib import Path

from dwiser.errors import DwiserWarning, InputError
from dwiser.machine import GIB
from dwiser.methods.base import Denoiser
from dwiser.room import is_mapped, is_of_memory
from dwiser.scan import Scan

BASE = 0.4 * GIB  # Python, torch and the libraries


def bytes_needed(method: Denoiser, scan: Scan) -> int | None:
    """About what the method will hold at most; None where nobody has measured it.

    Notes
    -----
    A method's ``working`` is what it holds beside the scan and the result, over the scan's bytes
    as float32. A scan that is mapped lies in a file; the result is counted all the same.
    """
    working: float | None = getattr(method, "working", None)
    if working is None:
        return None
    resident = 1 if is_mapped(scan.data) else 2
    if scan.phase is not None:
        resident += 0 if is_mapped(scan.phase) else 1
        working += 1  # the real part
    return int(BASE + (resident + working) * scan.data.nbytes)


def check_memory(method: Denoiser, scan: Scan, asked: int | None, usable: int | None) -> None:
    """Refuse work above ``asked``, --memory; warn of work above what is ``usable``.

    Raises
    ------
    InputError
        In one sentence, with what would fit.
    """
    needed = bytes_needed(method, scan)
    if needed is None:
        return
    name = str(getattr(method, "name", "the method"))
    told = f"{name} would hold about {needed / GIB:.1f} GiB for this scan"
    if asked is not None and needed > asked:
        raise InputError(
            f"{told}, --memory allows {asked / GIB:.1f}: raise it, crop the scan to the object, or "
            "take a method that holds less (dwiser methods)."
        )
    if usable is not None and needed > usable:
        warnings.warn(
            f"{told}, {usable / GIB:.1f} are free: it may be stopped by the system.",
            DwiserWarning,
            stacklevel=3,
        )


def check_room(scan: Scan) -> None:
    """Warn where the files of a mapped scan would take the memory that they are to spare."""
    folder = Path(tempfile.gettempdir())
    if is_mapped(scan.data) and is_of_memory(folder):
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
