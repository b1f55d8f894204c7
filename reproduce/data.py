"""What is scanned: phantoms of known truth, the real thing by path, or the scans at hand."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from dwiser.errors import DwiserWarning
from dwiser.evaluation.tensor import pick
from dwiser.io import load
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import Simulation, phantom
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
    scan, name = whole(run)
    if scan is None:
        return None, name
    part = crop(scan, run.setting["crop"], np.array(scan.shape[:3]) // 2)
    if cut_shape(part) == scan.shape[:3]:
        return scan, name
    sides = "×".join(map(str, cut_shape(part)))
    return cut(scan, part), f"{name}, its middle {sides} voxels"


def whole(run: Run) -> tuple[Scan | None, str]:
    """All of the poster's scan or of the one at hand, and which it is; or None, and why."""
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
        return load(path), name


def crop(scan: Scan, sides: tuple[int, ...], centre: np.ndarray) -> tuple[slice, ...]:
    """A box of so many voxels around a voxel, pushed into the scan; 0 takes all of an axis."""
    part = []
    for side, n, middle in zip(sides, scan.shape, centre, strict=False):
        length = min(side or n, n)
        first = min(max(0, int(middle) - length // 2), n - length)
        part.append(slice(first, first + length))
    return tuple(part)


def cut_shape(part: tuple[slice, ...]) -> tuple[int, ...]:
    return tuple(p.stop - p.start for p in part)


def cut(scan: Scan, part: tuple[slice, ...]) -> Scan:
    """A box of a scan, where it was in space."""
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([p.start for p in part])
    return Scan(scan.data[part].copy(), affine, scan.gradients)


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
