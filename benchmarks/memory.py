"""What each method holds, against what it says; and a scan that is larger than the memory.

``python -m benchmarks.memory [--methods a,b] [--large]``: every method from file to file in a
process of its own, one thread, looked at fifty times a second. Anonymous memory is counted apart
from pages of files, mapped scans among them, which the system drops when it must.

Each method runs on scans of two sizes in memory, and mapped. The slope of its
peak against the size of the scan as float32, less 2 for the scan and the result, is what it holds
beside them. The mask fills the field of view, which is the worst case, but for methods that would
take an hour so. Training is cut to two iterations or splits: what is held at its peak is the same.

``--large``: the command on a scan that is larger than the memory that it may have, float32 in a
``.nii`` and int16 in a ``.nii.gz``: ``--memory`` below the scan's size, and the same as a limit
that the system enforces (RLIMIT_DATA).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.record import recorded, save
from dwiser.io import load, save_volume, write_bvals, write_bvecs
from dwiser.machine import GIB, one_heap
from dwiser.memmap import allocate_mapped
from dwiser.methods.registry import METHODS
from dwiser.run import denoise
from dwiser.run import save as write_result
from dwiser.run.memory_limit import MIB, high_water_mib, tree_memory
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import phantom

EVERY = 0.02  # seconds between looks
SEED = 360
BRAIN, DIRECTIONS, B0S = (48, 48, 24), 60, 6
SIZES = (2, 4)  # times as many slices
SLOW = ("nlmeans", "ascm", "mppca", "localpca")  # a mask of a few thousand voxels
LARGE, INNER = (176, 176, 80), (32, 36, 30)  # the field of view, and the object in it
LIMIT = 0.58  # GiB, of a scan of 0.61
FILES = "dwi.nii,packed.nii.gz"
SHORT = {"iterations": 2, "folds": 2, "evaluations": 1, "sampling_batch": 8}


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
        round(time.perf_counter() - begun, 2), round(used.ru_utime + used.ru_stime, 2),
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
        folder / "dwi.nii", mask=folder / ("corner.nii.gz" if method in SLOW else "mask.nii.gz"),
        memory=1 if mapped else 64 * GIB
    )  # fmt: skip
    result = denoise(scan, method, threads=1, device="cpu", **short)
    write_result(result, folder / "out.nii.gz", scan, force=True)


def write(folder: Path, slices: int) -> float:
    """A phantom ``slices`` times as thick, its whole grid and a corner as masks; MiB as float32."""
    made = phantom(BRAIN, shells=((1000.0, DIRECTIONS),), n_b0=B0S, snr=20.0, seed=SEED)
    data = np.tile(made.scan.data, (1, 1, slices, 1))
    scan = Scan(data, made.scan.affine, made.scan.gradients, made.scan.header)
    mask = np.ones(data.shape[:3], bool)
    put(folder, scan, mask)
    mask[24:], mask[:, 24:], mask[:, :, 12:] = False, False, False
    save_volume(mask, folder / "corner.nii.gz", like=scan)
    return float(data.size * 4 / MIB)


def put(folder: Path, scan: Scan, mask: np.ndarray) -> None:
    save_volume(scan.data, folder / "dwi.nii", like=scan)
    save_volume(mask, folder / "mask.nii.gz", like=scan)
    write_bvals(scan.gradients, folder / "dwi.bval")
    write_bvecs(scan.gradients, folder / "dwi.bvec")


def worked(method: str, folders: dict[Path, float]) -> dict[str, Any]:
    """How memory grows with the scan; what is held where the scan is mapped."""
    chosen = METHODS[method].load()
    row: dict[str, Any] = {"mask": "corner" if method in SLOW else "whole"}
    for name, mapped in (("in_memory", False), ("mapped", True)):
        row[name] = [forked(method, folder, mapped) for folder in folders]
    sizes = list(folders.values())
    more = sizes[1] - sizes[0]
    marks = [r["high_mib"] for r in row["in_memory"]]
    mapped_marks = [r["anonymous_mib"] for r in row["mapped"]]
    return row | {
        "scan_mib": [round(s, 1) for s in sizes],
        "beside_scan_and_result": round((marks[1] - marks[0]) / more - 2, 2),
        "where_mapped": round((mapped_marks[1] - mapped_marks[0]) / more, 2),
        "says": None if (memory := chosen().capabilities.memory) is None else memory.in_memory,
    }


def large(folder: Path, packed: bool) -> float:
    """An object with much air around it, voxels drawn volume by volume; GiB as float32."""
    made = phantom(INNER, shells=((1000.0, DIRECTIONS),), n_b0=B0S, snr=20.0, seed=SEED)
    rng, sigma = stream(SEED, "large"), float(made.sigma[made.mask].mean())
    shape = (*LARGE, made.scan.shape[3])
    data, mask = allocate_mapped(shape), np.zeros(LARGE, bool)
    head = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(LARGE, INNER, strict=True))
    mask[head] = made.mask
    for v in range(shape[3]):
        data[..., v] = np.round(rng.rayleigh(sigma, LARGE))
        data[(*head, v)] = np.round(made.scan.data[..., v])
    scan = Scan(data, made.scan.affine, made.scan.gradients, made.scan.header)
    put(folder, scan, mask)
    size = float(np.prod(shape) * 4 / GIB)
    if not packed:
        return size
    integers = nib.Nifti1Image(data, scan.affine, scan.header)
    integers.set_data_dtype(np.int16)
    integers.header.set_slope_inter(1, 0)
    integers.to_filename(folder / "packed.nii.gz")
    return size


def under_a_limit(method: str, dwi: str, folder: Path) -> dict[str, Any]:
    """The command with ``--memory`` and the system's own limit, both below the scan's size."""
    settings = ("--set", "iterations=2") if method in ("difusion", "splitnet") else ()
    words = [
        sys.executable, "-m", "dwiser", "denoise", str(folder / dwi), str(folder / "out.nii"),
        "--bval", str(folder / "dwi.bval"), "--bvec", str(folder / "dwi.bvec"),
        "--mask", str(folder / "mask.nii.gz"), "--method", method, "--threads", "1",
        "--device", "cpu", "--force", "-q", "--memory", f"{LIMIT}G", *settings,
    ]  # fmt: skip
    row = asdict(watched(words, int(LIMIT * GIB)))
    sidecar = folder / "out.json"
    if row["code"] == 0:
        told = json.loads(sidecar.read_text())
        row["told"] = {k: told[k] for k in ("PeakMemoryMiB", "PeakAnonymousMiB")}
        row["warnings"] = [w for w in told["Warnings"] if "--memory" in w]
    sidecar.unlink(missing_ok=True)
    return {"method": method, "file": dwi, "said": row.pop("said").replace(f"{folder}/", "")} | row


def large_scan(methods: list[str], files: list[str]) -> None:
    """Each method on both files; what each run held, or the sentence that refused it."""
    with tempfile.TemporaryDirectory() as name:
        size = large(Path(name), any(f.endswith(".gz") for f in files))
        rows: list[dict[str, Any]] = recorded("memory_large", {}).get("rows", [])
        for method in methods:
            for dwi in files:
                rows = [r for r in rows if (r["method"], r["file"]) != (method, dwi)]
                rows.append(under_a_limit(method, dwi, Path(name)))
                print(rows[-1], flush=True)
                save("memory_large", SEED, {"scan_gib": size, "limit_gib": LIMIT, "rows": rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--files", default=FILES, help="which of the large scan's")
    parser.add_argument("--large", action="store_true", help="a scan larger than the memory")
    asked = parser.parse_args()
    one_heap()  # as the command does
    if asked.large:
        large_scan(asked.methods.split(","), asked.files.split(","))
        return
    rows = recorded("memory_methods", {}).get("rows", {})
    with tempfile.TemporaryDirectory() as name:
        homes = [Path(name) / str(slices) for slices in SIZES]
        for home in homes:
            home.mkdir()
        folders = {h: write(h, slices) for h, slices in zip(homes, SIZES, strict=True)}
        for method in asked.methods.split(","):
            rows[method] = worked(method, folders)
            print(method, rows[method], flush=True)
            save("memory_methods", SEED, {"rows": rows})


if __name__ == "__main__":
    main()
