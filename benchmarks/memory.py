"""What each method holds, against what it says; and a scan that is larger than the memory.

``python benchmarks/memory.py [--methods a,b] [--large]``: every method from file to file in a
process of its own, one thread, looked at fifty times a second. Anonymous memory is counted apart
from pages of files, mapped scans among them, which the system drops when it must.

Each method runs on scans of two sizes in memory, and mapped. The slope of its
peak against the size of the scan as float32, less 2 for the scan and the result, is what it holds
beside them. The mask fills the field of view, which is the worst case, but for methods that would
take an hour so. Training is cut to two iterations, which changes nothing in what it holds.

``--large``: scans of 4 GiB as float32, ``.nii`` and ``.nii.gz``, under a real limit (RLIMIT_DATA)
below their size.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, save

from dwiser.io import load, save_volume, write_bvals, write_bvecs
from dwiser.machine import GIB
from dwiser.methods.registry import METHODS
from dwiser.run import denoise
from dwiser.run import save as write_result
from dwiser.run.memory import MIB, high_water_mib, tree_memory
from dwiser.scan import Scan
from dwiser.simulate import phantom

EVERY = 0.02  # seconds between looks
SEED = 360
BRAIN, DIRECTIONS, B0S = (48, 48, 24), 60, 6
SIZES = (1, 3)  # times as many slices
SLOW = ("nlmeans", "ascm", "mppca")  # a mask of a few thousand voxels
SHORT = {"iterations": 2, "evaluations": 1, "sampling_batch": 8}


@dataclass(frozen=True)
class Watched:
    """A command that ended: its exit code, what it said, what it took (MiB and seconds)."""

    code: int
    said: str
    resident_mib: float
    anonymous_mib: float
    wall_s: float
    cpu_s: float


def watched(words: list[str], data_limit: int | None = None) -> Watched:
    """Run a command and look at it; ``data_limit`` in bytes is enforced by the system.

    RLIMIT_DATA: memory beyond it is not given; pages of shared mapped files do not count in it.
    """
    code = "import os, resource, sys; n = int(sys.argv[1]); "
    code += "resource.setrlimit(resource.RLIMIT_DATA, (n, n)); os.execv(sys.argv[2], sys.argv[2:])"
    limit = [] if data_limit is None else [sys.executable, "-c", code, str(data_limit)]
    begun, resident, anonymous = time.perf_counter(), 0.0, 0.0
    child = subprocess.Popen(
        [*limit, *words], stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    while True:
        pid, status, used = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        held = tree_memory(child.pid)
        resident, anonymous = max(resident, held.resident), max(anonymous, held.anonymous)
        time.sleep(EVERY)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.stderr is not None
    said = [n for n in child.stderr.read().splitlines() if "warning:" not in n]
    return Watched(
        child.returncode, " ".join(said[-1:]), round(resident, 1), round(anonymous, 1),
        round(time.perf_counter() - begun, 1), round(used.ru_utime + used.ru_stime, 1),
    )  # fmt: skip


def forked(method: str, folder: Path, mapped: bool) -> dict[str, Any]:
    """Denoise in a child of this process, which has imported everything; what it held.

    ``high_mib`` is the kernel's own mark of the child, which no short peak escapes; it counts pages
    of files too, and is the one to take where the scan is in memory.
    """
    mark = folder / "mark"
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            one(method, folder, mapped)
            mark.write_text(str(high_water_mib()))
            code = 0
        finally:
            os._exit(code)
    anonymous, ended = 0.0, (0, 0, None)
    while not ended[0]:
        anonymous = max(anonymous, tree_memory(pid).anonymous)
        time.sleep(EVERY)
        ended = os.wait4(pid, os.WNOHANG)
    if ended[1]:
        raise SystemExit(f"{method} failed")
    return {"high_mib": round(float(mark.read_text()), 1), "anonymous_mib": round(anonymous, 1)}


def one(method: str, folder: Path, mapped: bool) -> None:
    """Denoise from file to file as the command does, whether --memory would allow it or not."""
    chosen = METHODS[method].load()
    short = {k: v for k, v in SHORT.items() if k in chosen.__dataclass_fields__}
    scan = load(
        folder / "dwi.nii", mask=folder / "mask.nii.gz", memory=1 if mapped else 64 * GIB
    )  # fmt: skip
    result = denoise(scan, method, threads=1, device="cpu", **short)
    write_result(result, folder / "out.nii.gz", scan, force=True)


def write(folder: Path, slices: int, slow: bool) -> float:
    """A phantom ``slices`` times as thick; MiB as float32."""
    made = phantom(BRAIN, shells=((1000.0, DIRECTIONS),), n_b0=B0S, snr=20.0, seed=SEED)
    data = np.tile(made.scan.data, (1, 1, slices, 1))
    mask = np.ones(data.shape[:3], bool)
    if slow:
        mask[:] = False
        mask[:24, :24, :12] = True
    scan = Scan(data, made.scan.affine, made.scan.gradients, made.scan.header)
    put(folder, scan, mask)
    return float(data.size * 4 / MIB)


def put(folder: Path, scan: Scan, mask: np.ndarray) -> None:
    save_volume(scan.data, folder / "dwi.nii", like=scan)
    save_volume(mask, folder / "mask.nii.gz", like=scan)
    write_bvals(scan.gradients, folder / "dwi.bval")
    write_bvecs(scan.gradients, folder / "dwi.bvec")


def worked(method: str) -> dict[str, Any]:
    """How memory grows with the scan; what is held where the scan is mapped."""
    chosen = METHODS[method].load()
    row: dict[str, Any] = {"mask": "small" if method in SLOW else "whole"}
    sizes, marks, mapped = [], [], []
    for slices in SIZES:
        with tempfile.TemporaryDirectory() as name:
            sizes.append(write(Path(name), slices, method in SLOW))
            took = forked(method, Path(name), mapped=False)
            marks.append(took["high_mib"])
            row[f"in_memory_{slices}"] = took
            took = forked(method, Path(name), mapped=True)
            mapped.append(took["anonymous_mib"])
            row[f"mapped_{slices}"] = took
    more = sizes[1] - sizes[0]
    return row | {
        "scan_mib": [round(s, 1) for s in sizes],
        "beside_scan_and_result": round((marks[1] - marks[0]) / more - 2, 2),
        "where_mapped": round((mapped[1] - mapped[0]) / more, 2),
        "says": getattr(chosen, "working", None),
    }


def recorded(name: str) -> dict[str, Any]:
    """The rows that earlier calls measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["rows"] if path.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default=",".join(METHODS))
    asked = parser.parse_args()
    rows = recorded("memory_methods")
    for method in asked.methods.split(","):
        rows[method] = worked(method)
        print({k: v for k, v in rows[method].items() if not isinstance(v, dict)}, flush=True)
        save("memory_methods", SEED, {"rows": rows})


if __name__ == "__main__":
    main()
