"""σ maps against noise of known σ: phantoms, and scanner phantoms whose noise was measured.

``python -m benchmarks.sigma [FOLDER] [--label NAME] [--cases white-20,oil]``

FOLDER (default: the environment's DWISER_DATA; none: phantoms only) holds oil_phantom,
water_phantom and sense3_mb3_phantom, each with dwi.nii.gz, dwi.bval, dwi.bvec. The ratio of the
estimate to the known σ is given by its 5, 50 and 95 % over the object's voxels. Rows of another
label stay in the record: run an older source with a label of its own to compare.

Known σ: of a phantom, what it was made with. Of oil and water, successive differences of the
repeats of each b-value, where their median SNR is above 5 (drifts and Rician bias fall out). Of
sense3, the mean square of four noise-only volumes; and as a second reference, which no σ of the
scan itself can exceed by more than its own error, √(mean square/2) of the ten volumes at
b = 3000, of which any signal only adds. Local references are smoothed by 2 voxels (sd).
"""

import argparse
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import nibabel as nib
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import ndimage

import dwiser
from benchmarks.record import RESULTS, save
from dwiser.errors import DwiserWarning
from dwiser.io import load
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.shells import shells
from dwiser.scan import Scan
from dwiser.simulation import phantom

SEED = 30
SHAPE = (48, 56, 24)
CORRELATED: dict[str, Any] = {"zero_fill": 1.4, "partial_fourier": 0.75}
G_FACTOR: dict[str, Any] = {"sigma_map": "gfactor"}
TWO_SHELLS = ((1000.0, 20), (3000.0, 40))
CASES: dict[str, dict[str, Any]] = {
    **{f"white-{snr}": {"snr": float(snr), "seed": SEED + snr} for snr in (5, 10, 20, 30)},
    "g-factor-20": {**G_FACTOR, "seed": 41},
    "g-factor-10": {**G_FACTOR, "snr": 10.0, "seed": 42},
    **{f"directions-{n}": {"shells": ((1000.0, n),), "n_b0": 1, "seed": 50 + n}
       for n in (6, 12, 20)},
    "two-shells": {"shells": TWO_SHELLS, "seed": 61},
    "nc-chi-4": {"noise": "nc-chi", "coils": 4, "seed": 62},
    "lesions": {"lesions": True, "seed": 63},
    "half-mask": {"seed": 64},
    "one-slice": {"shape": (64, 72, 1), "seed": 65},
    "correlated-20": {**CORRELATED, "seed": 77},
    "correlated-10": {**CORRELATED, "snr": 10.0, "seed": 78},
    "correlated-g-factor": {**CORRELATED, **G_FACTOR, "snr": 15.0, "seed": 79},
    "correlated-directions-12": {**CORRELATED, "shells": ((1000.0, 12),), "n_b0": 1, "seed": 80},
    "correlated-directions-20": {**CORRELATED, "shells": ((1000.0, 20),), "n_b0": 1, "seed": 81},
    "correlated-two-shells": {**CORRELATED, "shells": TWO_SHELLS, "seed": 82},
    "partial-fourier": {"partial_fourier": 0.625, "seed": 83},
    "correlated-directions-6": {**CORRELATED, "shells": ((1000.0, 6),), "n_b0": 1, "seed": 84},
}  # fmt: skip
SCANS = ("oil", "water", "sense3", "sense3-bound")
FOLDERS = {"oil": "oil_phantom", "water": "water_phantom", "sense3": "sense3_mb3_phantom"}
NOISE_VOLUMES = slice(1, 5)  # the first and the last are weaker
INSIDE = 4  # voxels of erosion: the smoothed reference is that of the object alone
SMOOTH = 2.0  # sd in voxels
STRONG = 5.0  # SNR of repeats whose magnitudes have the noise's own sd

Known = tuple[Scan, np.ndarray, np.ndarray, int]  # scan, mask, known σ, coils


def simulated(name: str) -> Known:
    """A phantom, and the voxels that count."""
    settings = {"shape": SHAPE, "shells": ((1000.0, 40),), "n_b0": 3, "snr": 20.0} | CASES[name]
    made = phantom(**settings)
    scan, mask = made.scan, made.mask.copy()
    if name == "half-mask":
        mask[mask.shape[0] // 2 :] = False
        scan = Scan(scan.data, scan.affine, scan.gradients, mask=mask)
    return scan, mask, made.sigma, settings.get("coils", 1)


def smoothed(square: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The root of a map's mean in the mask, 2 voxels (sd) around each voxel."""
    weight = ndimage.gaussian_filter(mask.astype(float), SMOOTH)
    total = ndimage.gaussian_filter(np.where(mask, square, 0.0), SMOOTH)
    return np.sqrt(total / weight.clip(1e-3))


def measured(folder: Path, name: str) -> Known:
    """A scanner's phantom with what its own volumes say of σ."""
    place = folder / FOLDERS[name.split("-")[0]]
    scan = load(place / "dwi.nii.gz")
    mask = object_mask(scan)
    inside = ndimage.binary_erosion(mask, iterations=INSIDE, border_value=1)
    table = shells(scan.gradients)
    if name == "sense3":
        noise = np.asarray(nib.load(place / "noise_volumes.nii.gz").dataobj)[..., NOISE_VOLUMES]
        square = np.square(noise.astype(float)).mean(-1) / 2
    elif name == "sense3-bound":
        square = np.square(scan.data[..., table[-1].volumes].astype(float)).mean(-1) / 2
    else:
        square, count = np.zeros(mask.shape), 0
        for shell in table:
            repeats = scan.data[..., shell.volumes].astype(float)
            own = np.square(np.diff(repeats, axis=-1)).mean(-1) / 2
            if np.median(repeats.mean(-1)[mask] / np.sqrt(own[mask])) > STRONG:
                square += own * (len(shell.volumes) - 1)
                count += len(shell.volumes) - 1
        square /= count
    known = mask & (square > 0)  # noise volumes are 0 in places
    return scan, inside & known, smoothed(square, known), 1


def scored(known: Known) -> dict[str, float]:
    """Percentiles of the estimate over the known σ; CPU seconds of the estimate."""
    scan, counted, truth, coils = known
    mask = object_mask(scan)
    begun = process_time()
    estimate = sigma_map(scan, mask, coils)
    seconds = process_time() - begun
    ratio = estimate[counted] / truth[counted]
    low, middle, high = np.percentile(ratio, [5, 50, 95])
    error = float(np.sqrt(np.square(ratio - 1).mean()))
    figures = {"p5": low, "median": middle, "p95": high, "rms_error": error}
    return {k: round(float(v), 4) for k, v in figures.items()} | {"cpu_s": round(seconds, 2)}


def bound_over_noise_volumes(folder: Path) -> dict[str, float]:
    """The bound on the diffusion volumes' σ over the noise volumes' σ, inside sense3."""
    _, inside, bound, _ = measured(folder, "sense3-bound")
    _, also_inside, noise, _ = measured(folder, "sense3")
    inside &= also_inside
    ratio = bound[inside] / noise[inside]
    percentiles = np.percentile(ratio, [5, 50, 95]).round(4)
    figures = dict(zip(("p5", "median", "p95"), map(float, percentiles), strict=True))
    return figures | {"share_below_0.85": round(float((ratio < 0.85).mean()), 4)}


def all_known(names: list[str], folder: Path | None) -> Iterator[tuple[str, Known]]:
    for name in names:
        if name in CASES:
            yield name, simulated(name)
        elif folder is not None:
            yield name, measured(folder, name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=os.environ.get("DWISER_DATA"))
    parser.add_argument(
        "--label", default=dwiser.__version__, help="of the source that is measured"
    )
    parser.add_argument("--cases", default=",".join([*CASES, *SCANS]))
    args = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    path = RESULTS / "sigma.json"
    old = json.loads(path.read_text()) if path.exists() else {}
    rows, bound = old.get("rows", []), old.get("bound_over_noise_volumes")
    names, folder = args.cases.split(","), Path(args.folder) if args.folder else None
    if folder is not None and "sense3" in names:
        bound = bound_over_noise_volumes(folder)
    for name, known in all_known(names, folder):
        rows = [r for r in rows if (r["case"], r["label"]) != (name, args.label)]
        rows.append({"case": name, "label": args.label, **scored(known)})
        print(rows[-1], flush=True)
        figures = {"shape": SHAPE, "cases": CASES, "bound_over_noise_volumes": bound, "rows": rows}
        save("sigma", SEED, figures)
    table = Table("case", "label", "5 %", "median", "95 %", "rms error", "s")
    for row in sorted(rows, key=lambda r: ([*CASES, *SCANS].index(r["case"]), r["label"])):
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    print(path)


if __name__ == "__main__":
    main()
