"""Time and memory against voxels and against volumes; a large scan, and a real one.

``python -m benchmarks.scaling [--large | --wide | --real sherbrooke_1p8mm]``: splitq from file to
file in a process of its own, one thread, on phantoms at b0 SNR 20, four sizes each. The slope is
that of log CPU seconds against log size: 1 is linear. ``--large`` is a brain of 1.25 mm with 130
volumes on its own: the usual one with each voxel split in eight, and Rician noise. ``--wide`` is
81×106×76 with 150 volumes, on two threads: what a GPU is asked for (where there is one it is used,
and the record is named after it). ``--real`` is a whole real scan of ``DWISER_DATA``, without a
mask, as a user would call it. Memory is the highest resident set over the scan's size in float32.
"""

import argparse
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from benchmarks.peers import command, timed
from benchmarks.record import save
from dwiser.errors import DwiserWarning
from dwiser.io import save_volume, write_bvals, write_bvecs
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import phantom

BRAIN = (65, 78, 66)  # at 2.5 mm
SCALES = (0.5, 0.63, 0.79, 1.0)  # of each axis: 1/8, 1/4, 1/2 and all of the voxels
DIRECTIONS = (30, 60, 120, 240)
SMALL = (52, 62, 40)  # the grid on which volumes are counted up
USUAL, B0S = 64, 6
FINER = 2  # times as many voxels along each axis of the brain: 1.25 mm
LARGE_SHELLS = ((1000.0, 62), (2000.0, 62))
WIDE, WIDE_SHELLS = (81, 106, 76), ((1000.0, 72), (2000.0, 72))
SEED = 350


def measured(
    method: str,
    shape: tuple[int, int, int],
    shells: tuple[tuple[float, int], ...],
    threads: int = 1,
) -> dict[str, Any]:
    """One size: what it took, and the mask's voxels times the volumes."""
    made = phantom(shape, shells=shells, n_b0=B0S, snr=20.0, seed=SEED)
    return taken(method, made.scan, made.mask, threads)


def large(method: str) -> dict[str, Any]:
    """The brain at 1.25 mm, volume by volume: its truth alone would be gigabytes in float64."""
    made = phantom(BRAIN, shells=LARGE_SHELLS, n_b0=B0S, snr=20.0, seed=SEED)
    rng, sigma = stream(SEED, "large"), float(made.sigma[made.mask].mean())
    shape = (*(FINER * n for n in BRAIN), made.truth.shape[3])
    data = np.empty(shape, np.float32, order="F")
    for v in range(shape[3]):
        real = finer(made.truth[..., v]) + sigma * rng.standard_normal(shape[:3], np.float32)
        data[..., v] = np.hypot(real, sigma * rng.standard_normal(shape[:3], np.float32))
    scan = Scan(data, made.scan.affine @ np.diag([1 / FINER] * 3 + [1]), made.scan.gradients)
    return taken(method, scan, finer(made.mask))


def finer(image: np.ndarray) -> np.ndarray:
    for axis in range(3):
        image = image.repeat(FINER, axis)
    return image


def taken(method: str, scan: Scan, mask: np.ndarray, threads: int = 1) -> dict[str, Any]:
    """What the method took, from file to file."""
    shape, mib = scan.shape, float(np.prod(scan.shape)) * 4 / 2**20
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_volume(scan.data, folder / "dwi.nii.gz", like=scan)
        save_volume(mask, folder / "mask.nii.gz", like=scan)
        write_bvals(scan.gradients, folder / "dwi.bval")
        write_bvecs(scan.gradients, folder / "dwi.bvec")
        del scan
        took = timed(command(method, folder, folder / "out.nii.gz", threads=threads))
    row = {"shape": list(shape[:3]), "volumes": shape[3], "mask_voxels": int(mask.sum()), **took}
    return row | {"scan_mib": round(mib, 1), "times_scan": round(took["peak_mib"] / mib, 2)}


def real(method: str, name: str) -> dict[str, Any]:
    """A whole scan of ``DWISER_DATA``, as it lies there."""
    dwi = Path(os.environ["DWISER_DATA"]) / name / "dwi.nii.gz"
    shape = nib.load(dwi).shape
    with tempfile.TemporaryDirectory() as place:
        out, mask = Path(place) / "out.nii.gz", Path(place) / "mask.nii.gz"
        words = ["denoise", str(dwi), str(out), "--method", method, "--save-mask", str(mask)]
        took = timed([sys.executable, "-m", "dwiser", *words, "--threads", "1", "-q"])
        told = json.loads((Path(place) / "out.json").read_text())
        voxels = int(np.asarray(nib.load(mask).dataobj).sum())
    row = {"scan": name, "shape": list(shape[:3]), "volumes": shape[3], "mask_voxels": voxels}
    mib = float(np.prod(shape)) * 4 / 2**20
    row |= {**took, "scan_mib": round(mib, 1), "times_scan": round(took["peak_mib"] / mib, 2)}
    return row | {"of_the_work": {k: told[k] for k in ("WallTimeSeconds", "PeakMemoryMiB")}}


def slope(rows: list[dict[str, Any]], against: str) -> float:
    """d log(CPU seconds) / d log(size), least squares."""
    x, y = (np.log([r[key] for r in rows]) for key in (against, "cpu_s"))
    return round(float(np.polyfit(x, y, 1)[0]), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="splitq")
    parser.add_argument("--large", action="store_true", help="only the large scan")
    parser.add_argument("--wide", action="store_true", help="only 150 volumes on two threads")
    parser.add_argument("--real", metavar="NAME", help="only a real scan of DWISER_DATA")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    on_gpu = asked.method != "dwidenoise" and torch.cuda.is_available()
    name = f"scaling_{asked.method}{'_cuda' if on_gpu else ''}"
    row = None
    if asked.large:
        size, row = "large", large(asked.method)
    elif asked.wide:
        size, row = "wide", measured(asked.method, WIDE, WIDE_SHELLS, threads=2)
    elif asked.real:
        if not (Path(os.environ.get("DWISER_DATA", "")) / asked.real / "dwi.nii.gz").is_file():
            parser.error(f"DWISER_DATA holds no {asked.real}/dwi.nii.gz")
        size, row = "real", real(asked.method, asked.real)
    if row is not None:
        print(row)
        print(save(f"{name}_{size}", SEED, row))
        return
    voxels, volumes = [], []
    for scale in SCALES:
        x, y, z = (round(n * scale) for n in BRAIN)
        voxels.append(measured(asked.method, (x, y, z), ((1000.0, USUAL),)))
        print(voxels[-1], flush=True)
    for count in DIRECTIONS:
        volumes.append(measured(asked.method, SMALL, ((1000.0, count),)))
        print(volumes[-1], flush=True)
    figures = {
        "voxels": voxels, "slope_against_voxels": slope(voxels, "mask_voxels"),
        "volumes": volumes, "slope_against_volumes": slope(volumes, "volumes"),
    }  # fmt: skip
    print(save(name, SEED, figures))


if __name__ == "__main__":
    main()
