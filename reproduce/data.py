"""What is scanned: phantoms of known truth, the real thing by path, or the scans at hand."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from dwiser.errors import DwiserWarning
from dwiser.evaluate.tensor import pick
from dwiser.io import load
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulate import Simulation, phantom
from reproduce.protocol import Run

AT_HAND = "sherbrooke_1p8mm"  # 64 directions at b=1000 and one b0, 1.8 mm: nearest to the poster's
ABSENT = "neither --data nor DWISER_DATA names one"


def made(run: Run, seed: int, **more: Any) -> Simulation:
    """A phantom of the run's size."""
    s = run.setting
    given = {"snr": s.snr, "shells": ((1000.0, s.directions),), "n_b0": s.b0s, "seed": seed}
    return phantom(s.shape, **(given | more))


def real(run: Run) -> tuple[Scan | None, str]:
    """The middle of the poster's scan or of the one at hand, and which it is.

    The setting's ``crop`` is how many voxels along each axis; 0 takes all of it, no
    crop no scan. Without a scan: None, and why.
    """
    if run.setting["crop"] is None:
        return None, "none is taken at this size"
    path = run.data
    if path is None:
        folder = os.environ.get("DWISER_DATA")
        if folder is None or not (Path(folder) / AT_HAND).is_dir():
            return None, ABSENT
        path = next((Path(folder) / AT_HAND).glob("*.nii*"))
        name = f"{AT_HAND} of the folder DWISER_DATA (not the poster's scan)"
    else:
        name = f"{path.name} (given by --data)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)
        scan = load(path)
    sides = [min(c or n, n) for c, n in zip(run.setting["crop"], scan.shape, strict=False)]
    if tuple(sides) != scan.shape[:3]:
        first = [(n - side) // 2 for n, side in zip(scan.shape, sides, strict=False)]
        middle = tuple(slice(f, f + side) for f, side in zip(first, sides, strict=True))
        affine = scan.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ np.array(first)
        scan = Scan(scan.data[middle].copy(), affine, scan.gradients)
        name += f", its middle {'×'.join(map(str, sides))} voxels"
    return scan, name


def dealt(scan: Scan, count: int, seed: int) -> tuple[Scan, Scan]:
    """Some of the directions, drawn at random, and the others; each with every b0."""
    b0s, dwis = (np.flatnonzero(g) for g in (scan.gradients.is_b0, ~scan.gradients.is_b0))
    drawn = stream(seed, "subset").permutation(dwis)
    some, others = (np.sort(np.concatenate([b0s, part])) for part in (drawn[:count], drawn[count:]))
    return volumes_of(scan, some), volumes_of(scan, others)


def volumes_of(scan: Scan, volumes: np.ndarray) -> Scan:
    """Some volumes of a scan, in its order."""
    table = pick(scan.gradients, volumes)
    return Scan(scan.data[..., volumes].copy(), scan.affine, table, mask=scan.mask)


def nrmse(data: np.ndarray, truth: np.ndarray, where: np.ndarray, volumes: np.ndarray) -> float:
    """RMS error over RMS truth, of some volumes in a mask."""
    error, true = (data - truth)[where][:, volumes], truth[where][:, volumes]
    return float(np.sqrt(np.mean(error.astype(float) ** 2) / np.mean(true.astype(float) ** 2)))
