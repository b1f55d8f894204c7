"""Every method on one scan by ``dwiser compare``: the table, times, peak memory, one montage.

``python -m benchmarks.all_methods phantom`` (a whole head of known truth: 65×78×66, 64 directions
at b=1000 and 6 b0s, b0 SNR 20) or ``… real`` (the 20 middle slices of sherbrooke_1p8mm in the
folder that DWISER_DATA names). Each method is a ``compare`` of its own in a folder of its own, and
the results are written after each: what is done is not done again, unless ``--again`` says so.
Rows of methods that this run leaves out stay as they were recorded, with their date.
"""

import argparse
import csv
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import RESULTS, save
from dwiser.cli import main as dwiser
from dwiser.compare.variants import parse_variants
from dwiser.errors import DwiserWarning
from dwiser.io import load, read_on_grid, save_volume, write_bvals, write_bvecs
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.reports.figures import middle_dwi, save_montage
from dwiser.reports.side_by_side import side_by_side
from dwiser.scan import Scan
from dwiser.simulation import phantom
from dwiser.simulation.files import parse_shape, save_simulation

ALL = (
    "identity,gaussian,nlmeans,ascm,mppca,patch2self,patch2self:version=1,subspace,dwidenoise,"
    "splitq,splitq:floor=kept,difusion,noise2noise,splitnet,ddm2,deep_image_prior,noisier2noise,"
    "difusion:fusion=neighbour,noisier2noise:output=corrected"
)
SHAPE, SEED, SNR = "65,78,66", 301, 20.0
SLICES, REAL = 20, "sherbrooke_1p8mm"
HELD_OUT = {"phantom": 0, "real": 5}  # without a truth, held-out raw volumes are the judge
NOISY = "noisy"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan", choices=["phantom", "real"])
    parser.add_argument("--methods", default=ALL)
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/work"), help="images go here")
    parser.add_argument("--shape", default=SHAPE, help="of the phantom")
    parser.add_argument("--seed", type=int, default=SEED, help="of the phantom")
    parser.add_argument("--slices", type=int, default=SLICES, help="of the real scan")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--held-out", type=int, help="volumes; as HELD_OUT if not given")
    parser.add_argument("--again", action="store_true", help="also what is done already")
    parser.add_argument("--name", help="of the file in results/")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    folder = asked.out / asked.scan
    made = made_phantom if asked.scan == "phantom" else made_real
    about = made(asked, folder / "scan")
    held = HELD_OUT[asked.scan] if asked.held_out is None else asked.held_out
    name = asked.name or f"all_methods_{asked.scan}"
    labels = [v.label for v in parse_variants(asked.methods, asked.preset)]
    for label in labels:
        compared(label, asked, folder, held)
        figures = {"scan": about, "preset": asked.preset, "held_out_volumes": held}
        figures |= {"rows": beside(rows_of(folder, labels), RESULTS / f"{name}.json")}
        print(save(name, asked.seed if asked.scan == "phantom" else 0, figures), flush=True)
    drawn(folder, labels, RESULTS / f"{name}.png")


def made_phantom(asked: argparse.Namespace, place: Path) -> dict[str, Any]:
    """The phantom with its truth in a folder; what it is."""
    if not (place / "dwi.nii.gz").exists():
        shells = ((1000.0, 64),)
        scan = phantom(
            parse_shape(asked.shape), shells=shells, n_b0=6, snr=SNR, noise="rician",
            seed=asked.seed,
        )  # fmt: skip
        save_simulation(scan, place, force=True)
    return {
        "name": "phantom", "shape": asked.shape, "directions": 64, "b": 1000, "b0s": 6,
        "b0_snr": SNR, "seed": asked.seed,
    }  # fmt: skip


def made_real(asked: argparse.Namespace, place: Path) -> dict[str, Any]:
    """The middle slices of the real scan in a folder; what they are."""
    if not (place / "dwi.nii.gz").exists():
        source = os.environ.get("DWISER_DATA")
        if source is None:
            raise SystemExit("Set DWISER_DATA to the folder that holds the real scans.")
        image = next((Path(source) / REAL).glob("*.nii*"))
        stem = image.name.split(".nii")[0]
        whole = load(image, image.with_name(f"{stem}.bval"), image.with_name(f"{stem}.bvec"))
        first = (whole.shape[2] - asked.slices) // 2
        affine = whole.affine.copy()
        affine[:3, 3] += first * affine[:3, 2]
        part = whole.data[:, :, first : first + asked.slices].copy()
        scan = Scan(part, affine, whole.gradients)
        place.mkdir(parents=True, exist_ok=True)
        write_bvals(scan.gradients, place / "dwi.bval")
        write_bvecs(scan.gradients, place / "dwi.bvec")
        save_volume(scan.data, place / "dwi.nii.gz", like=scan)
    return {"name": REAL, "slices": asked.slices, "middle": True}


def compared(label: str, asked: argparse.Namespace, folder: Path, held: int) -> None:
    """One method's ``compare``, in its folder; what failed is in its table."""
    out = place_of(folder, label)
    if (out / "comparison.json").exists() and not asked.again:
        return
    scan, truth, mask = (folder / "scan" / f"{name}.nii.gz" for name in ("dwi", "truth", "mask"))
    words = ["compare", str(scan), str(out), "--methods", label, "--preset", asked.preset]
    words += ["--held-out", str(held), "--seeds", "1", "--threads", str(asked.threads)]
    words += ["--device", "cpu", "--force", "--quiet", "--folds", "0"]
    if truth.exists():
        words += ["--truth", str(truth), "--mask", str(mask)]
    code = dwiser(words)
    if code not in (0, 1):  # 1: the method failed, and its row says why
        raise SystemExit(f"{label}: compare ended with exit code {code}.")


def place_of(folder: Path, label: str) -> Path:
    (variant,) = parse_variants(label)
    return folder / variant.file_name


def rows_of(folder: Path, labels: Sequence[str]) -> list[dict[str, Any]]:
    """The rows so far: the noisy scan's, then each method's, with the work it recorded."""
    rows: list[dict[str, Any]] = []
    for label in labels:
        out = place_of(folder, label)
        if not (out / "comparison.json").exists():
            continue
        with (out / "comparison.tsv").open() as text:
            table = {row["method"]: row for row in csv.DictReader(text, delimiter="\t")}
        if not rows:
            rows.append(numbers(table[NOISY]))
        told = json.loads((out / "comparison.json").read_text())["Methods"]
        (record,) = (m["record"] for m in told if m["method"] == label)
        training = record.get("training", {})
        work = {key: training[key] for key in ("iterations", "pixels") if key in training}
        rows.append(numbers(table[label]) | work)
    return rows


def beside(rows: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """These rows and, in the order of ``ALL``, those of other methods that were recorded before."""
    if not path.exists():
        return rows
    told = json.loads(path.read_text())
    new = {row["method"] for row in rows}
    old = [{"date": told["date"]} | row for row in told["rows"] if row["method"] not in new]
    order = [NOISY, *(v.label for v in parse_variants(ALL))]
    place = {label: i for i, label in enumerate(order)}
    return sorted([*rows, *old], key=lambda row: place.get(row["method"], len(order)))


def numbers(row: dict[str, str]) -> dict[str, Any]:
    """A row of the table as numbers, None where it says n/a."""
    return {key: number(text) for key, text in row.items()}


def number(text: str) -> Any:
    if text == "n/a":
        return None
    try:
        return float(f"{float(text):.6g}")
    except ValueError:
        return text


def drawn(folder: Path, labels: Sequence[str], path: Path) -> None:
    """One montage of all methods that gave an image."""
    place = folder / "scan"
    names, known = ("dwi.nii.gz", "dwi.bval", "dwi.bvec"), place / "mask.nii.gz"
    raw = load(*(place / name for name in names))
    mask = object_mask(load(*(place / n for n in names), known if known.exists() else None))
    truth = place / "truth.nii.gz"
    images: dict[str, np.ndarray] = {}
    for label in labels:
        out = place_of(folder, label)
        image = out / f"{out.name}.nii.gz"
        if image.exists():
            images[label] = read_on_grid(image, raw, "denoised image", series=True)
    figure = side_by_side(
        replace(raw, mask=mask), images, mask=mask, sigma=sigma_map(raw, mask),
        volume=middle_dwi(raw.gradients),
        truth=read_on_grid(truth, raw, "truth", series=True) if truth.exists() else None,
    )  # fmt: skip
    save_montage(path, figure)
    print(path)


if __name__ == "__main__":
    main()
