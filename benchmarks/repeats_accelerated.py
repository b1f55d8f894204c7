"""Real truth of an accelerated scan: half of its repeats denoised, scored against the raw others.

``DWISER_DATA=… python -m benchmarks.repeats_accelerated [--methods …]``

The object of sense3_mb3_phantom (SENSE 3, multiband 3) is isotropic, so the volumes of one b-value
are repeats. Every other volume of each b-value is denoised alone, with the σ that the method finds,
and held against the raw mean of the rest; then the other way round. The error is unbiased, whatever
σ is: the two halves share no noise, and what the mean's own noise adds is measured by the variance
between its volumes and taken off. A signal whose noise floor was removed is turned into the
magnitude that it would show, with the σ and channels that its method found.

``unlike``: sd between the raw repeats over that of the noise-only volumes (smoothed, 1 where
volumes differ by noise alone). Where it is far above 1 the volumes are no repeats, and whoever
keeps their differences is charged for it.
"""

import argparse
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from benchmarks.record import RESULTS, save
from benchmarks.repeats import Phantom
from dwiser.errors import DwiserWarning
from dwiser.evaluation.repeats import plain_mean, score
from dwiser.io import load
from dwiser.methods.registry import build, settings_of
from dwiser.prepare.mask import MARGIN, object_mask
from dwiser.prepare.moments import expected_magnitude, magnitude_sd
from dwiser.prepare.shells import shells
from dwiser.run import denoise
from dwiser.scan import Scan

SCAN = "sense3_mb3_phantom"
OURS = "splitq"
PEERS = ("localpca", "dwidenoise")  # that the reach names
METHODS = f"{OURS},splitq:floor=kept,raw,localpca,dwidenoise,mppca,patch2self"
NOISE_VOLUMES = slice(1, 5)  # the first and the last are weaker
NOISE_ALONE = 1.25  # times the noise: b-values whose volumes differ by no more are repeats
REPEATS = "repeats"  # the b-values below it, in one


def magnitudes(label: str, scan: Scan, seed: int) -> np.ndarray:
    """What a method makes of a scan, as magnitudes with their noise floor."""
    if label == "raw":
        return scan.data
    name, *words = label.split(":")
    result = denoise(scan, build(name, settings=settings_of(words)), threads=1, seed=seed)
    if result.record.get("noise_floor") != "removed":
        return result.data
    coils = result.record["coils"] or 1
    sigma = np.broadcast_to(result.sigma[..., None], result.data.shape)
    return expected_magnitude(result.data, sigma, coils)


def unlike(phantom: Phantom) -> dict[str, float]:
    """By b-value: sd between repeats over the sd that the noise-only volumes foresee."""
    ratios = {}
    for shell in shells(phantom.scan.gradients):
        repeats = phantom.scan.data[phantom.inside][:, shell.volumes].astype(float)
        own = repeats.var(1, ddof=1)
        noise = magnitude_sd(phantom.sigma[phantom.inside], repeats.mean(1)) ** 2
        ratios[f"b{shell.bval:.0f}"] = float(np.sqrt(own.mean() / noise.mean()))
    return ratios


def measure(phantom: Phantom, label: str, seed: int) -> dict[str, Any]:
    """Mean squared error by b-value in σ², both ways and their mean; the time."""
    power = float(np.square(phantom.sigma[phantom.inside], dtype=float).mean())
    begun, worked = perf_counter(), process_time()
    excess: dict[str, list[float]] = {}
    first, second = phantom.halves()
    for volumes, rest in ((first, second), (second, first)):
        values = magnitudes(label, phantom.part(volumes), seed)[phantom.inside]
        raw = phantom.scan.data[phantom.inside]
        for shell in shells(phantom.scan.gradients):
            others = raw[:, np.intersect1d(shell.volumes, rest)].astype(float)
            truth = plain_mean(others, others.std(1, ddof=1))
            own = values[:, np.isin(volumes, shell.volumes)]
            excess.setdefault(f"b{shell.bval:.0f}", []).append(score(own, truth).excess / power)
    seconds = {"wall_s": perf_counter() - begun, "cpu_s": process_time() - worked}
    return {
        "excess": {group: [round(x, 4) for x in both] for group, both in excess.items()},
        **{name: round(value, 1) for name, value in seconds.items()},
    }


def roots(row: Mapping[str, Any], repeats: list[str]) -> dict[str, float]:
    """Root mean square error in σ, by b-value and over those that are repeats."""
    means = {group: float(np.mean(both)) for group, both in row["excess"].items()}
    means[REPEATS] = float(np.mean([means[group] for group in repeats]))
    return {group: round(max(0.0, mean) ** 0.5, 4) for group, mean in means.items()}


def read(folder: Path) -> Phantom:
    """The scan with its mask, and the measured σ: the noise-only volumes', smoothed by 2 voxels."""
    scan = load(folder / "dwi.nii.gz")
    mask = object_mask(scan)
    masked = Scan(scan.data, scan.affine, scan.gradients, scan.header, mask=mask)
    noise = np.asarray(nib.load(folder / "noise_volumes.nii.gz").dataobj)[..., NOISE_VOLUMES]
    square = np.square(noise.astype(float)).mean(-1) / 2
    known = mask & (square > 0)
    weight, total = (
        ndimage.gaussian_filter(np.where(known, values, 0.0), 2.0)
        for values in (np.ones(mask.shape), square)
    )
    sigma = np.sqrt(total / weight.clip(1e-3))
    inside = ndimage.binary_erosion(mask, iterations=MARGIN, border_value=1) & known
    return Phantom(SCAN, masked, inside, sigma)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default=METHODS, help=f"{OURS} first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="repeats_accelerated", help=f"of file in {RESULTS.name}/")
    asked = parser.parse_args()
    source = os.environ.get("DWISER_DATA")
    if source is None:
        raise SystemExit("Set DWISER_DATA to the folder that holds the real scans.")
    warnings.simplefilter("ignore", DwiserWarning)
    phantom = read(Path(source) / SCAN)
    spread = unlike(phantom)
    repeats = [group for group, ratio in spread.items() if ratio < NOISE_ALONE]
    rows: dict[str, Any] = {}
    for label in asked.methods.split(","):
        rows[label] = measure(phantom, label, asked.seed)
        rows[label]["rmse"] = roots(rows[label], repeats)
        best = {
            group: min((rows[p]["rmse"][group] for p in PEERS if p in rows), default=0.0)
            for group in rows[label]["rmse"]
        }
        print(label, rows[label], flush=True)
    ratios = {g: round(rows[OURS]["rmse"][g] / b, 3) for g, b in best.items() if b}
    figures = {
        "voxels": int(phantom.inside.sum()), "unlike": spread, "repeats": repeats,
        "ours_over_best_of": list(PEERS), "ratio": ratios, "rows": rows,
    }  # fmt: skip
    print(ratios)
    print(save(asked.name, asked.seed, figures))


if __name__ == "__main__":
    main()
