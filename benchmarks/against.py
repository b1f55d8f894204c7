"""This build against an earlier one and against dwidenoise: time, memory and error, side by side.

``python -m benchmarks.against REV [--shape 65,78,66 --shells 1000:64 | --real sherbrooke_1p2mm |
--folder DIR]``, or ``make bench-against REV=cfb6393``. The same scan goes through the present
build, the build of commit REV and, where it is installed, MRtrix3's dwidenoise: from file to file,
with the verdict, one after the other in turn, so that what else the machine does falls on all
alike. Medians over ``--repeats`` are written with all single figures.

REV's files are taken from git into ``.venv/against``. Where it declares the same dependencies, it
runs on the packages that are installed, so that the code alone differs; else (or with ``--venv``)
in a second virtual environment there, with the versions that REV pins.

Peak memory is the resident set of the process and its children, mapped pages of files included,
looked at fifty times a second. A phantom, or a folder that ``dwiser simulate`` wrote, has a truth:
its errors are in units of σ, over the mask.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.memory import Watched, watched
from benchmarks.record import save
from dwiser.io.names import companion
from dwiser.io.truth import IMAGE
from dwiser.simulation.files import SimulationRequest, simulate_files

ROOT = Path(__file__).parents[1]
BUILDS = ROOT / ".venv" / "against"
SEED = 370
SHAPE, SHELLS, B0S = "65,78,66", "1000:64", 6
SMOKE = {"shape": "20,22,10", "shells": "1000:12"}
MEASURES = ("wall_s", "cpu_s", "resident_mib")
VERSIONS = ("dwiser", "numpy", "scipy", "torch", "nibabel", "dipy")


@dataclass(frozen=True)
class Input:
    """The scan that goes through all: its files, and the truth where it is known."""

    name: str
    dwi: Path
    mask: Path | None = None
    truth: Path | None = None
    sigma: Path | None = None


@dataclass(frozen=True)
class Build:
    """Something that denoises from file to file: ``words`` gives the command for an output."""

    name: str
    words: Callable[[Path], Sequence[str]]
    about: dict[str, Any]


def git(*words: str) -> str:
    """What git answers about this repository."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def tree_of(commit: str, place: Path) -> Path:
    """The files of a commit in ``place``, taken from git unless they are there."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        packed = place.with_suffix(".tar")
        git("archive", "--output", str(packed), commit)
        shutil.unpack_archive(packed, place, filter="data")
        packed.unlink()
    return place


def needs(tree: Path) -> tuple[Any, Any]:
    """What a tree declares to be built and to run."""
    project = tomllib.loads((tree / "pyproject.toml").read_text())
    return project["project"]["dependencies"], project["build-system"]


def python_of(tree: Path, venv: bool) -> tuple[str, dict[str, str]]:
    """An interpreter and the environment variables with which a tree's dwiser runs."""
    if not venv and needs(tree) == needs(ROOT):
        return sys.executable, {"PYTHONPATH": str(tree / "src")}
    place = tree.with_name("venv")
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    pins = ["-c", str(tree / "constraints.txt")]
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    subprocess.run([*pip, *pins, str(tree)], check=True)
    return str(python), {}


def versions(python: str, variables: dict[str, str]) -> dict[str, str]:
    """Where an interpreter's dwiser lies and what it and its packages are."""
    code = (
        "import json, sys, platform, dwiser; from importlib.metadata import version; "
        "print(json.dumps({n: version(n) for n in sys.argv[1:]} | {'python': "
        "platform.python_version(), 'dwiser': dwiser.__version__, 'file': dwiser.__file__}))"
    )
    words = [python, "-c", code, *VERSIONS]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=cleared(variables))
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def cleared(variables: dict[str, str]) -> dict[str, str]:
    """The environment without a PYTHONPATH of ours, and with ``variables``."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | variables


def of_dwiser(
    name: str, python: str, variables: dict[str, str], scan: Input, threads: int, method: str
) -> Build:
    """A build of dwiser."""
    about = versions(python, variables)
    mask = [] if scan.mask is None else ["--mask", str(scan.mask)]
    options = [*mask, "--method", method, "--threads", str(threads), "--force", "-q"]
    env = shutil.which("env") or "env"
    setting = [f"{key}={value}" for key, value in variables.items()]

    def words(out: Path) -> list[str]:
        run = [python, "-m", "dwiser", "denoise", str(scan.dwi), str(out), *options]
        return [env, "-u", "PYTHONPATH", *setting, *run]

    return Build(name, words, about)


def dwidenoise(scan: Input, threads: int) -> Build | None:
    """MRtrix3's program, if it is installed."""
    program = shutil.which("dwidenoise")
    if program is None:
        return None
    mask = [] if scan.mask is None else ["-mask", str(scan.mask)]
    options = [*mask, "-nthreads", str(threads), "-force", "-quiet"]
    shown = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    return Build(
        "dwidenoise",
        lambda out: [program, str(scan.dwi), str(out), *options],
        {"version": shown.stdout.splitlines()[0].strip("= ") if shown.stdout else "unknown"},
    )


def simulated(folder: Path, name: str = "phantom") -> Input:
    """The input that a folder of ``dwiser simulate`` is."""
    files = {n: folder / f"{n}.nii.gz" for n in ("mask", "truth", "sigma")}
    return Input(name, folder / IMAGE, **files)


def real(name: str) -> Input:
    """A whole real scan of ``DWISER_DATA``, without a mask."""
    return Input(name, Path(os.environ["DWISER_DATA"]) / name / "dwi.nii.gz")


def measured(builds: Sequence[Build], folder: Path, repeats: int) -> dict[str, list[Watched]]:
    """Run all builds in turn, ``repeats`` times after one round that does not count."""
    rows: dict[str, list[Watched]] = {build.name: [] for build in builds}
    for turn in range(repeats + 1):
        for build in builds:
            run = watched(list(build.words(folder / f"{build.name}.nii.gz")))
            if run.code:
                raise SystemExit(f"{build.name} ended with {run.code}: {run.said}")
            if turn:
                rows[build.name].append(run)
    return rows


def errors(scan: Input, result: Path) -> dict[str, float]:
    """The result's root-mean-square error and mean error in the mask, in units of σ."""
    if scan.truth is None or scan.sigma is None or scan.mask is None:
        return {}
    mask = np.asarray(nib.load(scan.mask).dataobj) > 0
    sigma = np.asarray(nib.load(scan.sigma).dataobj)[mask]
    square = mean = 0.0
    volumes = 0
    for error in difference(result, scan.truth, mask):
        square += float(((error / sigma) ** 2).mean())
        mean += float((error / sigma).mean())
        volumes += 1
    rms = (square / volumes) ** 0.5
    return {"rms_error_sigma": round(rms, 5), "mean_error_sigma": round(mean / volumes, 5)}


def difference(first: Path, second: Path, mask: np.ndarray) -> Any:
    """What one image differs by from another in the mask, volume by volume."""
    # whole: a packed file is unpacked from its beginning for every part of it
    a, b = (np.asanyarray(nib.load(image).dataobj) for image in (first, second))
    for v in range(a.shape[3]):
        yield np.asarray(a[..., v], float)[mask] - np.asarray(b[..., v], float)[mask]


def apart(scan: Input, first: Path, second: Path) -> dict[str, float]:
    """How far two results are from each other: in σ where it is known, else in the scan's units."""
    shape = nib.load(first).shape[:3]
    mask, sigma, unit = np.ones(shape, bool), np.float64(1), "units"
    if scan.mask is not None:
        mask = np.asarray(nib.load(scan.mask).dataobj) > 0
    if scan.sigma is not None:
        sigma, unit = np.asarray(nib.load(scan.sigma).dataobj)[mask], "sigma"
    parts = [np.abs(d / sigma) for d in difference(first, second, mask)]
    most, rms = max(p.max() for p in parts), np.sqrt(np.mean([(p**2).mean() for p in parts]))
    return {f"largest_difference_{unit}": float(most), f"rms_difference_{unit}": float(rms)}


def summary(runs: Sequence[Watched]) -> dict[str, Any]:
    """Medians, and what each run took."""
    columns = {name: [getattr(run, name) for run in runs] for name in MEASURES}
    return {n: round(median(column), 2) for n, column in columns.items()} | {"runs": columns}


def compare(
    scan: Input, builds: Sequence[Build], repeats: int, folder: Path | None = None
) -> dict[str, Any]:
    """What each build took, its error, and the first one's figures over the others'.

    Parameters
    ----------
    scan : what goes through all.
    builds : the present build first.
    repeats : runs of each that count.
    folder : where the results are written; a temporary one by default.

    Returns
    -------
    dict
        "builds": name to figures; "ratios": name to this build's medians over that build's.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) if folder is None else folder
        taken = {n: summary(runs) for n, runs in measured(builds, place, repeats).items()}
        results = {build.name: place / f"{build.name}.nii.gz" for build in builds}
        this, *others = builds
        rows = {
            build.name: {**taken[build.name], **errors(scan, results[build.name]), **build.about}
            for build in builds
        }
        for build in builds:
            record = companion(results[build.name], ".json")
            if record.exists():
                verdict = json.loads(record.read_text()).get("Verdict") or {}
                rows[build.name]["verdict"] = verdict.get("Level")
        for build in others:
            if build.name != "dwidenoise":
                rows[build.name] |= apart(scan, results[this.name], results[build.name])
    ratios = {
        build.name: {
            key: round(taken[this.name][key] / taken[build.name][key], 3)
            for key in MEASURES
            if taken[build.name][key]
        }
        for build in others
    }
    return {"scan": scan.name, "repeats": repeats, "builds": rows, "ratios": ratios}


def all_builds(asked: argparse.Namespace, scan: Input) -> list[Build]:
    """This build, that of REV, and dwidenoise."""
    commit = git("rev-parse", asked.rev)
    tree = tree_of(commit, BUILDS / commit[:12] / "tree")
    python, variables = python_of(tree, asked.venv)
    here = {"PYTHONPATH": str(ROOT / "src")}
    ours = of_dwiser("this", sys.executable, here, scan, asked.threads, asked.method)
    theirs = of_dwiser(commit[:7], python, variables, scan, asked.threads, asked.method)
    for build, root in ((ours, ROOT), (theirs, tree if variables else tree.parent)):
        if not Path(build.about["file"]).is_relative_to(root):
            raise SystemExit(f"{build.name} runs {build.about['file']}: try again with --venv.")
        build.about["file"] = Path(build.about["file"]).relative_to(root).as_posix()
    ours.about["commit"] = git("describe", "--always", "--dirty", "--abbrev=12")
    theirs.about["commit"] = commit[:12]
    theirs.about["environment"] = "shared" if variables else "its own"
    third = None if asked.no_dwidenoise else dwidenoise(scan, asked.threads)
    return [ours, theirs] if third is None else [ours, theirs, third]


def show(figures: dict[str, Any]) -> None:
    """A table of the medians."""
    print(f"{'':<12}{'wall s':>10}{'CPU s':>10}{'peak MiB':>10}{'error σ':>10}")
    for name, row in figures["builds"].items():
        error = row.get("rms_error_sigma", float("nan"))
        numbers = "".join(f"{row[key]:>10.1f}" for key in MEASURES)
        print(f"{name:<12}{numbers}{error:>10.4f}")
    for name, ratio in figures["ratios"].items():
        numbers = "".join(f"{ratio.get(key, float('nan')):>10.2f}" for key in MEASURES)
        print(f"{'/ ' + name:<12}{numbers}")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rev", help="the commit to compare with, such as cfb6393")
    parser.add_argument("--shape", default=SHAPE, help="of the phantom, in voxels")
    parser.add_argument("--shells", default=SHELLS, help="of the phantom, b-value:directions")
    parser.add_argument("--b0", type=int, default=B0S, help="b0s of the phantom")
    parser.add_argument("--real", metavar="NAME", help="a whole scan of DWISER_DATA instead")
    parser.add_argument("--folder", type=Path, help="what `dwiser simulate` wrote instead")
    parser.add_argument("--method", default="splitq")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--venv", action="store_true", help="a second environment in any case")
    parser.add_argument("--no-dwidenoise", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="a tiny phantom, once")
    asked = parser.parse_args(words)
    if asked.smoke:
        asked.shape, asked.shells, asked.repeats = SMOKE["shape"], SMOKE["shells"], 1
    with tempfile.TemporaryDirectory() as name:
        if asked.real:
            scan = real(asked.real)
        elif asked.folder:
            scan = simulated(asked.folder, asked.folder.name)
        else:
            scan = simulated(Path(name) / "scan")
            request = SimulationRequest(
                scan.dwi.parent, shells=asked.shells, b0=asked.b0, shape=asked.shape, seed=SEED
            )
            simulate_files(request)
        shape = list(nib.load(scan.dwi).shape)
        figures = compare(scan, all_builds(asked, scan), asked.repeats)
    show(figures)
    figures |= {"shape": shape, "method": asked.method, "threads": asked.threads}
    smoke = "_smoke" if asked.smoke else ""
    print(
        save(
            f"against_{git('rev-parse', '--short=7', asked.rev)}_{scan.name}{smoke}", SEED, figures
        )
    )


if __name__ == "__main__":
    main()
