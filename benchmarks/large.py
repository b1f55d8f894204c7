"""A scan of the Human Connectome Project's size, and parts of it: time, memory, verdict, error.

``python -m benchmarks.large [--parts 1,4] [--peer 20]``: ``dwiser simulate`` writes a phantom of
145×174×145 voxels with 288 volumes (4.2 GB as float32), and one of a part of the slices for every
further number of ``--parts``; splitq denoises each once, from file to file with the verdict. The
slope is that of log time against log size: 1 is linear. MRtrix3's dwidenoise, where it is
installed, gets the part ``--peer``, since the whole would take it hours; splitq that part too. It
needs more slices than half of its patch: seven, of a twentieth, are enough.

Peak memory is the resident set of the process and its children, mapped pages of files included,
looked at fifty times a second. Errors are in units of σ, over the mask. 15 to 30 minutes and 13 GB
of disk for the whole.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.against import ROOT, Build, dwidenoise, errors, of_dwiser, simulated
from benchmarks.memory import watched
from benchmarks.record import save
from dwiser.io.names import companion

SHAPE, SHELLS, B0S = (145, 174, 145), "1000:90,2000:90,3000:90", 18
SMOKE = (24, 26, 32), "1000:12", 2
VOXEL = 1.25  # mm
SEED = 21
KEYS = ("wall_s", "cpu_s", "resident_mib")


def taken(words: Sequence[str]) -> dict[str, float]:
    """Seconds and MiB of a command that has to succeed."""
    run = watched(list(words))
    if run.code:
        raise SystemExit(f"{words[0]} ended with {run.code}: {run.said}")
    return {key: getattr(run, key) for key in KEYS}


def part(
    folder: Path, scheme: tuple[tuple[int, int, int], str, int], share: int, threads: int,
    peer: bool,
) -> dict[str, Any]:  # fmt: skip
    """One size: what writing it took, and each program on it."""
    (x, y, z), shells, b0s = scheme
    shape = (x, y, max(1, z // share))
    place = folder / f"part{share}"
    dwiser = [sys.executable, "-m", "dwiser"]
    options = ["--shape", ",".join(map(str, shape)), "--shells", shells, "--b0", str(b0s)]
    options += ["--voxel", str(VOXEL), "--sigma-map", "gfactor", "--seed", str(SEED), "-q"]
    simulate = taken([*dwiser, "simulate", str(place), *options])
    scan = simulated(place, place.name)
    here = {"PYTHONPATH": str(ROOT / "src")}
    builds: list[Build] = [of_dwiser("splitq", sys.executable, here, scan, threads, "splitq")]
    if peer and (other := dwidenoise(scan, threads)) is not None:
        builds.append(other)
    row: dict[str, Any] = {"share": share, "shape": shape, "simulate": simulate}
    row["volumes"] = nib.load(scan.dwi).shape[3]
    row["scan_mib"] = round(float(np.prod(shape)) * row["volumes"] * 4 / 2**20, 1)
    for build in builds:
        out = folder / f"{build.name}.nii.gz"
        row[build.name] = {**taken(build.words(out)), **errors(scan, out)}
        record = companion(out, ".json")
        if build.name == "splitq":
            row[build.name]["verdict"] = json.loads(record.read_text())["Verdict"]["Level"]
        out.unlink()
    shutil.rmtree(place)
    print(json.dumps(row), flush=True)
    return row


def slope(rows: Sequence[dict[str, Any]], key: str) -> float | None:
    """d log(splitq's figure) / d log(size) between the smallest and the largest."""
    small, large = (f(rows, key=lambda r: r["scan_mib"]) for f in (min, max))
    if small["scan_mib"] == large["scan_mib"]:
        return None
    sizes, figures = (
        large["scan_mib"] / small["scan_mib"],
        [row["splitq"][key] for row in (small, large)],
    )
    return round(float(np.log(figures[1] / figures[0]) / np.log(sizes)), 2)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="4,1", help="of its slices: 4 is a quarter of them")
    parser.add_argument("--peer", type=int, default=20, help="the part for dwidenoise; 0: none")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="a tiny phantom")
    asked = parser.parse_args(words)
    scheme = SMOKE if asked.smoke else (SHAPE, SHELLS, B0S)
    shares = [int(n) for n in asked.parts.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        beside = [part(folder, scheme, asked.peer, asked.threads, True)] if asked.peer else []
        rows = [part(folder, scheme, share, asked.threads, False) for share in shares]
    figures = {"threads": asked.threads, "parts": rows, "beside_dwidenoise": beside}
    figures["slope"] = {key: slope(rows, key) for key in ("wall_s", "cpu_s")}
    print(figures["slope"])
    if not asked.smoke:
        print(save("large", SEED, figures))


if __name__ == "__main__":
    main()
