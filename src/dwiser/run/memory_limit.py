"""The most memory that a piece of work held, its child processes included."""

import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread

from dwiser.errors import Code, DwiserError, InputError
from dwiser.io.outputs import NO_ROOM
from dwiser.methods.base import Denoiser

PROC = Path("/proc")
EVERY = 0.2  # seconds between looks; one look costs about 10 µs a process of the machine
MIB = 1024**2


@dataclass(frozen=True)
class Held:
    """Memory in MiB: what is resident, and what of it is ``anonymous``.

    The rest are pages of files, mapped data and libraries, which the system drops when it must.
    """

    resident: float = 0.0
    anonymous: float = 0.0


@dataclass
class Peak:
    """The most, in MiB, that this process and all its descendants held at one moment."""

    mib: float = 0.0
    anonymous: float | None = None  # None where the system does not say

    def see(self, held: Held) -> None:
        self.mib = max(self.mib, held.resident)
        self.anonymous = max(self.anonymous or 0.0, held.anonymous)


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Watch the process tree while the work runs; the peak is known once it is left.

    Notes
    -----
    Where there is a ``/proc`` (Linux), a thread adds up the resident memory of the process and
    of every descendant (the workers of ``mppca``, the program ``dwidenoise``) five times a
    second. Pages that processes share count in each, so that a sum is an upper bound of what
    they held at that moment; a peak between two looks is missed, but for this process's own:
    ``mib`` is never below the kernel's high-water mark of its whole life. Elsewhere (macOS)
    it is that mark and the largest ended child's; workers that still run are not seen.

    Linux's ``ru_maxrss`` is not that mark: it survives exec, and a process that a large one
    started would begin with the large one's peak. ``VmHWM`` starts at zero.
    """
    peak, over = Peak(), Event()

    def watch() -> None:
        while not over.wait(EVERY):
            peak.see(tree_memory())

    watcher = Thread(target=watch, daemon=True, name="memory")
    if (PROC / "self" / "stat").exists():
        watcher.start()
    try:
        yield peak
    finally:
        over.set()
        if watcher.ident is not None:
            watcher.join()
            peak.see(tree_memory())
            peak.mib = max(peak.mib, high_water_mib())
        else:
            peak.mib = high_water_mib() + high_water_mib(resource.RUSAGE_CHILDREN)


@contextmanager
def enough_memory(device: str, method: Denoiser) -> Iterator[None]:
    """Report in one sentence that memory ran out, with the remedy.

    Raises
    ------
    InputError
        For a GPU whose memory ran out: another device was the one to ask for.
    DwiserError
        In place of MemoryError, of torch's own errors of that kind, and of a full TMPDIR.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise DwiserError(
            f"{tempfile.gettempdir()} has no room for what a scan this large needs beside itself: "
            "name another folder by TMPDIR, or raise --memory. Nothing was written.",
            code=Code.DISK_SCRATCH,
        ) from error
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or _of_torch(error)):
            raise
        smaller = [f for f in ("batch", "sampling_batch") if f in asdict(method)]
        less = f"lower {' or '.join(smaller)} (--set), " if smaller else ""
        if device == "cuda":
            raise InputError(
                f"The GPU's memory ran out: {less}end what else runs on it, or use --device cpu. "
                "No result was written; a checkpoint that was written stays.",
                code=Code.MEMORY_RAN_OUT,
            ) from error
        sentence = f"This machine's memory ran out: {less}end other programs, or give a --mask."
        raise DwiserError(f"{sentence} Nothing was written.", code=Code.MEMORY_RAN_OUT) from error


def _of_torch(error: Exception) -> bool:
    """Whether torch says so; where it was never imported, it does not."""
    if "torch" not in sys.modules:
        return False
    from dwiser.learn.memory import out_of_memory

    return out_of_memory(error)


def high_water_mib(who: int = resource.RUSAGE_SELF) -> float:
    """The kernel's mark of this process, or of the largest of its children that ended, in MiB."""
    status = PROC / "self" / "status"
    if who == resource.RUSAGE_SELF and status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    most = resource.getrusage(who).ru_maxrss
    return most / (MIB if sys.platform == "darwin" else 1024)


def tree_memory(root: int | None = None) -> Held:
    """Memory of this process (or of ``root``) and its descendants now, from ``/proc``."""
    parents = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                # "pid (name) state parent …": the name may hold spaces and parentheses
                after = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            parents[int(entry.name)] = int(after[1])
    family = {os.getpid() if root is None else root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    resident = shared = 0
    for pid in family:
        with suppress(OSError):
            pages = (PROC / str(pid) / "statm").read_text().split()
            resident, shared = resident + int(pages[1]), shared + int(pages[2])
    unit = resource.getpagesize() / MIB
    return Held(resident * unit, (resident - shared) * unit)
