"""Real truth: half of a scanner phantom's repeats is denoised and scored against the other half.

``python -m benchmarks.repeats [FOLDER] [--methods raw,mean-of-all-volumes,difusion:laptop]``

FOLDER (default: the environment's DWISER_DATA) holds oil_phantom and water_phantom, each with
dwi.nii.gz, dwi.bval, dwi.bvec. A method is ``name[:preset][:field=value…]``.

The object of oil hardly diffuses, so its 86 volumes are repeats; in water those of one b-value
are. Interleaved halves, both ways. Scores are in units of σ²: ``excess`` is the mean squared
error against the other half's mean less what that mean's own noise adds, so that raw gives 1
(less at the Rician floor). In water the moment-corrected mean is the truth and the plain mean
stands beside it: a denoiser that does not correct the floor hits the second. The mean of all
volumes wins on oil; the verdicts on the same scans, and on the packaged brain, catch it.
"""

import argparse
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.ndimage import binary_erosion

from benchmarks.record import save
from dwiser.errors import DwiserWarning, InputError
from dwiser.evaluation.repeats import RepeatReference, RepeatScore, moment_mean, plain_mean, score
from dwiser.evaluation.suite import evaluate
from dwiser.evaluation.tensor import pick
from dwiser.evaluation.verdict import Verdict
from dwiser.io import load
from dwiser.io.sample import sample_paths
from dwiser.methods.registry import build, settings_of
from dwiser.prepare.mask import MARGIN, object_mask
from dwiser.prepare.moments import magnitude_sd
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.shells import shells
from dwiser.run import denoise
from dwiser.scan import Scan

DEFAULT = "raw,gaussian,mean-of-all-volumes,difusion:laptop"
PHANTOMS = ("oil_phantom", "water_phantom")

Apply = Callable[[Scan], np.ndarray]


@dataclass(frozen=True, eq=False)
class Phantom:
    """A scanned object: where to score (without the mask's margin) and the noise's σ there."""

    name: str
    scan: Scan
    inside: np.ndarray
    sigma: np.ndarray

    def halves(self) -> tuple[np.ndarray, np.ndarray]:
        """Every other volume of each b-value, and the rest."""
        table = [s.volumes for s in shells(self.scan.gradients)]
        first = np.sort(np.concatenate([v[::2] for v in table]))
        return first, np.setdiff1d(np.arange(self.scan.shape[3]), first)

    def part(self, volumes: np.ndarray) -> Scan:
        """The scan with these volumes only; the mask goes with it, σ is the method's to find."""
        s = self.scan
        table = pick(s.gradients, volumes)
        return Scan(s.data[..., volumes], s.affine, table, s.header, mask=s.mask)


def read(folder: Path, name: str) -> Phantom:
    """One phantom with its Otsu mask and σ map."""
    scan = load(folder / name / "dwi.nii.gz")
    mask = object_mask(scan)
    masked = Scan(scan.data, scan.affine, scan.gradients, scan.header, mask=mask)
    inside = binary_erosion(mask, iterations=MARGIN)
    return Phantom(name, masked, inside, sigma_map(masked, mask))


def method(label: str, args: argparse.Namespace) -> Apply:
    """A name of the list as a function from a scan to a denoised series."""
    name, *words = label.split(":")
    if label == "raw":
        return lambda scan: scan.data.copy()
    if label == "mean-of-all-volumes":
        return lambda scan: np.repeat(scan.data.mean(3, keepdims=True), scan.shape[3], axis=3)
    presets = [word for word in words if "=" not in word]
    settings = settings_of([word for word in words if "=" in word])
    chosen = build(name, *presets, settings=settings)
    where = {"device": args.device, "threads": args.threads, "seed": args.seed}
    return lambda scan: denoise(scan, chosen, *presets, **where).data


def truths(phantom: Phantom, given: np.ndarray, held_out: np.ndarray) -> Iterator[tuple]:
    """(group, columns of the denoised half, reference from the other half)."""
    sigma = phantom.sigma[phantom.inside]
    other = phantom.scan.data[phantom.inside][:, held_out]

    def plain(repeats: np.ndarray) -> RepeatReference:
        return plain_mean(repeats, magnitude_sd(sigma, repeats.mean(1)))

    if phantom.name == "oil_phantom":
        yield "all", np.arange(len(given)), plain(other)
    for shell in shells(phantom.scan.gradients):
        columns = np.flatnonzero(np.isin(given, shell.volumes))
        repeats = other[:, np.isin(held_out, shell.volumes)]
        yield f"b{shell.bval:.0f}", columns, plain(repeats)
        if phantom.name == "water_phantom":
            yield f"b{shell.bval:.0f}", columns, moment_mean(repeats, sigma)


def judged(verdict: Verdict | None) -> dict[str, Any]:
    """A verdict as plain values."""
    if verdict is None:
        return {"level": "none", "reasons": []}
    return {"level": verdict.level, "reasons": [asdict(r) for r in verdict.reasons]}


def measure(phantom: Phantom, apply: Apply) -> dict[str, Any]:
    """Scores by group and reference, the mean of both ways; the verdict of each way; the time."""
    scores_by_group: dict[str, list[RepeatScore]] = {}
    verdicts, seconds, worked = [], 0.0, 0.0
    power = float((phantom.sigma[phantom.inside].astype(float) ** 2).mean())
    first, second = phantom.halves()
    for given, held_out in ((first, second), (second, first)):
        scan = phantom.part(given)
        begun, before = perf_counter(), process_time()
        denoised = apply(scan)
        seconds += perf_counter() - begun
        worked += process_time() - before
        values = denoised[phantom.inside]
        for group, columns, truth in truths(phantom, given, held_out):
            key = f"{group} {truth.kind}"
            scores_by_group.setdefault(key, []).append(score(values[:, columns], truth))
        verdicts.append(judged(evaluate(denoised, scan, sigma=phantom.sigma).verdict))
    scores = {
        key: {
            "excess": float(np.mean([s.excess for s in some])) / power,
            "nrmse": float(np.mean([s.nrmse for s in some if s.nrmse is not None])),
            "bias": float(np.mean([s.bias for s in some])) / power**0.5,
        }
        for key, some in scores_by_group.items()
    }
    took = {"seconds": round(seconds, 1), "cpu_seconds": round(worked, 1)}
    return {"scores": scores, "verdicts": verdicts, **took}


def brain(apply: Apply) -> dict[str, Any]:
    """The verdict on the packaged scan, where directions differ."""
    files = sample_paths()
    scan = load(files.dwi, files.bval, files.bvec)
    return judged(evaluate(apply(scan), scan).verdict)


def show(console: Console, results: dict[str, Any]) -> None:
    """A table a phantom: excess by b-value in σ², then the verdicts."""
    for name in PHANTOMS:
        rows = {label: figures[name] for label, figures in results.items()}
        keys = list(next(iter(rows.values()))["scores"])
        table = Table("method", *keys, "verdict", "s", title=f"{name}: excess/σ²", box=None)
        for label, row in rows.items():
            cells = [f"{row['scores'][k]['excess']:.3f}" for k in keys]
            levels = "/".join(v["level"] for v in row["verdicts"])
            table.add_row(label, *cells, levels, f"{row['seconds']:.0f}")
        console.print(table)
    table = Table("method", "verdict", "because", title="packaged brain", box=None)
    for label, figures in results.items():
        told = figures["brain"]
        because = ", ".join(f"{r['code']} {r['level']}" for r in told["reasons"])
        table.add_row(label, told["level"], because)
    console.print(table)


def asked(
    about: str, methods: str, name: str
) -> tuple[argparse.Namespace, dict[str, Apply], list[Phantom]]:
    """The command line of a benchmark of these phantoms, its methods and the phantoms."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=os.environ.get("DWISER_DATA"), type=Path)
    parser.add_argument("--methods", default=methods)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default=name, help="of the file in results/")
    args = parser.parse_args()
    if args.folder is None:
        parser.error("name the folder with the phantoms, or set DWISER_DATA")
    try:
        chosen = {label: method(label, args) for label in args.methods.split(",")}
        return args, chosen, [read(args.folder, name) for name in PHANTOMS]
    except InputError as error:
        parser.error(str(error))


def main() -> None:
    args, methods, phantoms = asked(__doc__, DEFAULT, "repeats")
    console = Console(width=160)
    results: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)
        for label, apply in methods.items():
            results[label] = {p.name: measure(p, apply) for p in phantoms}
            results[label]["brain"] = brain(apply)
            console.print(f"{label}: done")
    show(console, results)
    sigma = {p.name: float(np.median(p.sigma[p.inside])) for p in phantoms}
    print(
        save(
            args.name,
            args.seed,
            {"units": "σ²", "threads": args.threads, "sigma": sigma, "methods": results},
        )
    )


if __name__ == "__main__":
    main()
