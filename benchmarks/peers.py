"""Ours against the peers on whole-brain phantoms: errors, wall and CPU time, peak memory.

``python -m benchmarks.peers [--snr 10,20,30] [--case rician|nc-chi|small] [--threads 2]``

Each method is a process of its own from file to file: dwiser's by ``dwiser denoise``, MRtrix3's
``dwidenoise`` by its own command line, with its default settings and the same mask. The phantom is
65×78×66 voxels with 6 b0s and 64 directions at b=1000 (Rician, σ the same everywhere), or 32 each
at b=1000 and 2000 with four channels' nc-χ noise, σ varying as a g-factor does, and lesions; or
``small``, 40×40×20 voxels with 4 b0s and 36 directions at b=1000 (Rician). Two NRMSEs are
measured, since some methods remove the magnitude's noise floor and some keep it: against the truth,
and against the mean of the noisy magnitude ("NRMSE, mean").

Methods whose program or package is not on this machine are left out and named in the record
(``absent``); the versions of those that are stand there too (``others``). Results are written
after each method, so that a stop loses nothing; rows of methods that are not asked for stay as they
were recorded.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import recorded, save
from dwiser.errors import DwiserWarning
from dwiser.evaluation.suite import Evaluation, evaluate
from dwiser.io import load, read_on_grid
from dwiser.methods.peers.programs import find_program
from dwiser.methods.registry import METHODS as REGISTRY
from dwiser.prepare.moments import expected_magnitude
from dwiser.simulation import Simulation, phantom
from dwiser.simulation.files import save_simulation

METHODS = (
    "noisy,gaussian,subspace,patch2self,dwidenoise,dwidenoise2,patch_denoise,mppca,localpca,splitq"
)
SMALL_TOO = ",splitq:floor=kept,nlsam"  # nlsam takes many minutes on a small phantom
SHAPES = {"rician": (65, 78, 66), "nc-chi": (65, 78, 66), "small": (40, 40, 20)}
SEEDS = {10.0: 310, 20.0: 320, 30.0: 330, 5.0: 305}  # of the phantoms; none was tuned on
CASES: dict[str, dict[str, Any]] = {
    "rician": {"shells": ((1000.0, 64),), "n_b0": 6},
    "nc-chi": {
        "shells": ((1000.0, 32), (2000.0, 32)), "n_b0": 6, "noise": "nc-chi", "coils": 4,
        "sigma_map": "gfactor", "lesions": True,
    },
    "small": {"shells": ((1000.0, 36),), "n_b0": 4},
}  # fmt: skip
SHELLS = "the mean over the shells"
COLUMNS = {
    "NRMSE": ("fidelity.nrmse", SHELLS), "b0 NRMSE": ("fidelity.nrmse", "b0"),
    "bias": ("error.bias", SHELLS), "FA": ("fa.rmse", "all"), "MD": ("md.rmse", "all"),
    "V1": ("v1.angle.median", "all"), "edge mm": ("edge.fwhm", SHELLS),
    "residual~FA": ("residual.anatomy.mean_fa", "DWI"), "lag-1 x": ("residual.lag1.x", "all"),
}  # fmt: skip
# A process's peak begins with its parent's, so that a small one starts the method.
WATCH = """
import json, os, subprocess, sys, time
begun = time.perf_counter()
_, status, used = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0)
print(json.dumps([status, time.perf_counter() - begun, used.ru_utime + used.ru_stime,
                  used.ru_maxrss / 1024]))
"""


def command(method: str, folder: Path, out: Path, threads: int) -> list[str]:
    """How the method is called, from file to file."""
    dwi, mask = str(folder / "dwi.nii.gz"), str(folder / "mask.nii.gz")
    if method == "dwidenoise":
        program = shutil.which("dwidenoise") or "dwidenoise"
        return [program, dwi, str(out), "-mask", mask, "-nthreads", str(threads), "-quiet"]
    name, *settings = method.split(":")
    sets = [word for s in settings for word in ("--set", s)]
    return [
        sys.executable, "-m", "dwiser", "denoise", dwi, str(out), "--mask", mask,
        "--method", name, "--threads", str(threads), "--force", "-q", *sets,
    ]  # fmt: skip


def apart(methods: list[str]) -> tuple[list[str], dict[str, str]]:
    """The methods that can run here; and for each other, what it needs."""
    entries = {m: REGISTRY.get(m.split(":")[0]) for m in methods}
    absent = {m: e.needs for m, e in entries.items() if e is not None and not e.available}
    return [m for m in methods if m not in absent], absent


def version_of(method: str) -> str | None:
    """Of the program or package that a method calls, where it is not dwiser's own."""
    entry = REGISTRY.get(method.split(":")[0])
    if entry is None or (entry.program is None and entry.package is None):
        return None
    if entry.package is not None:
        return f"{entry.package} {version(entry.package)}, SciPy {version('scipy')}"
    program = find_program(entry.program or "") or ""
    asking = "--version" if entry.program == "patch-denoise" else "-version"
    told = subprocess.run([program, asking], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+(\.\d+)+", told)
    return f"{entry.program} {number[0] if number else '?'}"


def timed(words: list[str]) -> dict[str, float]:
    """Wall and CPU seconds and peak memory of a process and its children."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *words], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    status, wall, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    if status:
        raise SystemExit(f"{' '.join(words)} failed: {done.stderr.strip()}")
    return {"wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "peak_mib": round(peak)}


def is_shell(group: str) -> bool:
    """Whether a group of volumes is one shell's DWIs."""
    return group[:1] == "b" and group[1:].isdigit() and group != "b0"


def figures(evaluation: Evaluation) -> dict[str, float | None]:
    """The columns that could be measured, and each lesion's kept contrast at its least."""
    row: dict[str, float | None] = {}
    for name, (metric, group) in COLUMNS.items():
        values = [
            m.value for m in evaluation.metrics
            if m.metric == metric and (m.group == group or (group is SHELLS and is_shell(m.group)))
        ]  # fmt: skip
        row[name] = float(np.mean(values)) if values else None
    shares = [m.value for m in evaluation.metrics if m.metric == "lesion.kept"]
    row["lesion kept, least"] = min(shares) if shares else None
    return row


def against_the_mean(made: Simulation, data: np.ndarray, coils: int) -> float:
    """NRMSE of the DWIs in the mask against the mean that the noisy magnitude has there."""
    mask, dwis = made.mask, ~made.scan.gradients.is_b0
    truth = made.truth[mask][:, dwis].astype(float)
    mean = expected_magnitude(truth, made.sigma[mask][:, None].astype(float), coils)
    error = np.square(data[mask][:, dwis] - mean).mean()
    return float(np.sqrt(error / np.square(mean).mean()))


def measured(made: Simulation, data: np.ndarray, coils: int) -> dict[str, Any]:
    """Errors against the truth, the verdict on the residual."""
    scan = made.scan
    lesions = made.lesions if made.lesions.any() else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)
        evaluation = evaluate(
            data, scan, truth=made.truth, mask=made.mask, sigma=made.sigma, lesions=lesions
        )
    verdict = evaluation.verdict.level if evaluation.verdict is not None else "none"
    mean = {"NRMSE, mean": against_the_mean(made, data, coils)}
    return {**figures(evaluation), **mean, "verdict": verdict}


def show(title: str, rows: dict[str, dict[str, Any]]) -> None:
    """One table a phantom."""
    names = list(next(iter(rows.values())))
    for row in rows.values():
        names += [n for n in row if n not in names]
    table = Table("method", *names, title=title, box=None)
    for label, row in rows.items():
        cells = [row.get(n) for n in names]
        table.add_row(
            label,
            *["" if c is None else f"{c:.4g}" if isinstance(c, float) else str(c) for c in cells],
        )
    Console(width=190).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snr", default="10,20,30")
    parser.add_argument("--case", choices=CASES, default="rician")
    parser.add_argument("--methods", help="all that are on this machine if not given")
    parser.add_argument("--shape", help="of the phantom, if not the case's own")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--name", help="of the file in results/")
    asked = parser.parse_args()
    shape = tuple(map(int, asked.shape.split(","))) if asked.shape else SHAPES[asked.case]
    every = METHODS + (SMALL_TOO if asked.case == "small" else "")
    methods, absent = apart((asked.methods or every).split(","))
    for method, needs in absent.items():
        print(f"{method} is left out: it needs {needs}")
    name = asked.name or f"peers_{asked.case}"
    about = {"case": asked.case, "shape": list(shape), "threads": asked.threads}
    before = recorded(name, about)
    results: dict[str, dict[str, dict[str, Any]]] = before.get("phantoms", {})
    absent = {m: n for m, n in (before.get("absent", {}) | absent).items() if m not in methods}
    others = before.get("others", {}) | {m: v for m in methods if (v := version_of(m))}
    for snr in (float(s) for s in asked.snr.split(",")):
        made = phantom(shape, snr=snr, seed=SEEDS.get(snr, 399), **CASES[asked.case])
        rows = results.setdefault(f"b0 SNR {snr:g}", {})
        with tempfile.TemporaryDirectory() as place:
            folder, out = Path(place) / "scan", Path(place) / "out.nii.gz"
            save_simulation(made, folder)
            for method in methods:
                data, took = made.scan.data, {}
                if method != "noisy":
                    out.unlink(missing_ok=True)
                    took = timed(command(method, folder, out, asked.threads))
                    data = read_on_grid(out, load(folder / "dwi.nii.gz"), "image", series=True)
                rows[method] = {**took, **measured(made, data, CASES[asked.case].get("coils", 1))}
                figures = {**about, "seeds": SEEDS, "absent": absent}
                figures |= {"others": others, "phantoms": results}
                path = save(name, SEEDS.get(snr, 399), figures)
        show(f"{asked.case}, b0 SNR {snr:g}", rows)
    print(path)


if __name__ == "__main__":
    main()
