"""Time and memory against voxels and against volumes, four sizes each; and one large scan.

``python benchmarks/scaling.py [--large]``: splitq from file to file in a process of its own, one
thread, on phantoms at b0 SNR 20. The slope is that of log CPU seconds against log size: 1 is
linear. ``--large`` is a brain of 1.25 mm with 130 volumes on its own. Memory is the highest
resident set over the size of the scan in float32.
"""

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from peers import command, timed
from record import save

from dwiser.errors import DwiserWarning
from dwiser.run.simulation import save_simulation
from dwiser.simulate import phantom

BRAIN = (65, 78, 66)  # at 2.5 mm
SCALES = (0.5, 0.63, 0.79, 1.0)  # of each axis: 1/8, 1/4, 1/2 and all of the voxels
DIRECTIONS = (30, 60, 120, 240)
SMALL = (52, 62, 40)  # the grid on which volumes are counted up
USUAL, B0S = 64, 6
LARGE = (130, 156, 132)  # twice the brain's axes: 1.25 mm
LARGE_VOLUMES = (124, 6)
SEED = 350


def measured(method: str, shape: tuple[int, int, int], directions: int, b0s: int) -> dict[str, Any]:
    """One size: what it took, and the mask's voxels times the volumes."""
    made = phantom(shape, shells=((1000.0, directions),), n_b0=b0s, snr=20.0, seed=SEED)
    voxels, volumes = int(made.mask.sum()), directions + b0s
    scan_mib = float(np.prod(shape)) * volumes * 4 / 2**20
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "scan"
        save_simulation(made, folder)
        del made
        took = timed(command(method, folder, Path(name) / "out.nii.gz", threads=1))
    row = {"shape": list(shape), "volumes": volumes, "mask_voxels": voxels, **took}
    return row | {
        "scan_mib": round(scan_mib, 1),
        "times_scan": round(took["peak_mib"] / scan_mib, 2),
    }


def slope(rows: list[dict[str, Any]], against: str) -> float:
    """d log(CPU seconds) / d log(size), least squares."""
    x, y = (np.log([r[key] for r in rows]) for key in (against, "cpu_s"))
    return round(float(np.polyfit(x, y, 1)[0]), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="splitq")
    parser.add_argument("--large", action="store_true", help="only the large scan")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    name = f"scaling_{asked.method}"
    if asked.large:
        directions, b0s = LARGE_VOLUMES
        print(row := measured(asked.method, LARGE, directions, b0s))
        print(save(f"{name}_large", SEED, row))
        return
    voxels, volumes = [], []
    for scale in SCALES:
        x, y, z = (round(n * scale) for n in BRAIN)
        voxels.append(measured(asked.method, (x, y, z), USUAL, B0S))
        print(voxels[-1], flush=True)
    for count in DIRECTIONS:
        volumes.append(measured(asked.method, SMALL, count, B0S))
        print(volumes[-1], flush=True)
    figures = {
        "voxels": voxels, "slope_against_voxels": slope(voxels, "mask_voxels"),
        "volumes": volumes, "slope_against_volumes": slope(volumes, "volumes"),
    }  # fmt: skip
    print(save(name, SEED, figures))


if __name__ == "__main__":
    main()
