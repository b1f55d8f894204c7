"""What is told of earlier steps before the work: false alarms on raw scans, and power.

``python -m benchmarks.earlier_steps [--only N-M] [--data FOLDER] [--moving N-M] [--name …]``

Fresh simulated scans of all kinds (`false_alarms.case_of`, a draw and seeds of their own, with 96
to 192 volumes in every third; every second one rings, a quarter of those behind a scanner's Hann
filter: `ringing.py`), as they are and after a step: corrected for Gibbs ringing by MRtrix3's
mrdegibbs and, up to 24 volumes, by DIPY; and, of a quarter of those of up to 50 volumes, resampled
by a small rotation and shift of each volume, and denoised by splitq, Patch2Self and dwidenoise. A
scan whose k-space the simulator zero-filled or filtered may be named as zero-filled.

``--data``: the middle slices of the real scans in FOLDER, raw and corrected. ``--moving``: heads
that move and ring by TRXScan (`moving_head.py`; ``pip install trxscan``), seeds of 300 to 399. A
scan that is on record is not run again. MRtrix3 must be on the PATH.
"""

import argparse
import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from dipy.denoise.gibbs import gibbs_removal
from scipy.ndimage import affine_transform

from benchmarks.false_alarms import Case, case_of
from benchmarks.moving_head import scene
from benchmarks.order_of_steps import mrdegibbs, mrtrix_version
from benchmarks.record import recorded, save
from benchmarks.ringing import ringing_scan
from dwiser.errors import DwiserWarning
from dwiser.io import load
from dwiser.methods.registry import build
from dwiser.prepare.earlier_steps import SLICES, noise_traces
from dwiser.run import denoise
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import phantom

NAME = "earlier_steps"
SEEDS = range(8700, 8764)  # no limit was set on them
DRAW = 5
SHAPE = (36, 40, 10)
MANY = (96, 128, 192)  # directions of every third scan
HANN = 4  # every so many of the scans that ring
OTHERS = 4  # one pair of seeds of so many is resampled and denoised too, for time
MOST_DENOISED = 50  # volumes
MOST_BY_DIPY = 24  # volumes, for time
DENOISERS = ("splitq", "patch2self", "dwidenoise")
TURN, MOVE = 0.02, 0.5  # radians (sd), voxels (at most), of each volume
MOVING = ((32, 36, 9), 28, 3, 3.5)  # voxels, directions, b0s, mm
MOVING_SNR = (20.0, 10.0, 40.0)  # in turns


def fresh(seed: int) -> Case:
    """The scan of a seed; every third has many volumes."""
    case = case_of(seed, DRAW)
    if seed % 3:
        return case
    shells = case.settings["shells"]
    count = MANY[seed // 3 % len(MANY)] // len(shells)
    return replace(case, settings={**case.settings, "shells": [(b, count) for b, _ in shells]})


def ringing_of(seed: int) -> str:
    """Whether the scan of a seed rings: "no", "rings", or "hann" behind a scanner's filter."""
    if seed % 2 == 0:
        return "no"
    return "hann" if seed // 2 % HANN == 0 else "rings"


def scanned(case: Case) -> Scan:
    """The raw scan, with its mask if that is given."""
    kind = ringing_of(case.seed)
    if kind == "no":
        made = phantom(SHAPE, seed=case.seed, **case.settings)
        scan, mask = made.scan, made.mask
    else:
        settings = {k: v for k, v in case.settings.items() if k != "lesions"}
        scan, mask = ringing_scan(SHAPE, settings, case.seed, hann=kind == "hann")
    return replace(scan, mask=mask) if case.mask_given else scan


def resampled(scan: Scan, seed: int) -> Scan:
    """Each volume turned and moved a little, by cubic splines."""
    rng, data = stream(seed, "resampling"), np.empty_like(scan.data)
    centre = (np.array(scan.shape[:3]) - 1) / 2
    for v in range(scan.shape[3]):
        x, y, z = rng.normal(0, TURN, 3)
        turn = np.array([[1, -z, y], [z, 1, -x], [-y, x, 1]])
        offset = centre - turn @ centre + rng.uniform(-MOVE, MOVE, 3)
        data[..., v] = affine_transform(scan.data[..., v], turn, offset, mode="nearest").clip(0)
    return replace(scan, data=data)


def corrected(scan: Scan) -> Iterator[tuple[str, Scan]]:
    """The scan after corrections of Gibbs ringing; they leave values below 0, set to 0 here."""
    yield "mrdegibbs", replace(scan, data=mrdegibbs(scan.data, scan.affine).clip(0))
    if scan.shape[3] <= MOST_BY_DIPY:
        data = gibbs_removal(scan.data.astype(float), inplace=False, num_processes=1)
        yield "dipy", replace(scan, data=data.astype(np.float32).clip(0))


def versions(case: Case) -> Iterator[tuple[str, Scan]]:
    """The raw scan, and what steps make of it."""
    scan = scanned(case)
    yield "raw", scan
    yield from corrected(scan)
    if case.seed // 2 % OTHERS != 1 or scan.shape[3] > MOST_DENOISED:
        return
    yield "resampled", resampled(scan, case.seed)
    for name in DENOISERS:
        result = denoise(scan, build(name), threads=1, device="cpu", seed=case.seed)
        yield name, replace(scan, data=result.data)


def looked_at(scan: Scan) -> dict[str, Any] | None:
    """Traces and words of a scan."""
    traces = noise_traces(scan)
    if traces is None:
        return None
    return {
        "volumes": traces.volumes,
        "components_over_noise": round(traces.components / traces.of_noise, 3),
        "neighbours": [round(r, 3) for r in traces.neighbours],
        "edges": [round(e, 3) for e in traces.edges],
        "words": [" ".join(s.split()[:5]) for s in traces.sentences],
    }


def row(case: Case) -> dict[str, Any]:
    """One simulated scan and its versions."""
    about = {**case.settings, "mask_given": case.mask_given, "ringing": ringing_of(case.seed)}
    return about | {name: looked_at(scan) for name, scan in versions(case)}


def real_row(folder: Path) -> dict[str, Any]:
    """The middle slices of a real scan, raw and corrected."""
    scan = load(folder / "dwi.nii.gz")
    first = max(0, (scan.shape[2] - SLICES) // 2)
    scan = replace(scan, data=np.ascontiguousarray(scan.data[:, :, first : first + SLICES]))
    parts = [("raw", scan), *corrected(scan)]
    return {"shape": list(scan.shape)} | {name: looked_at(part) for name, part in parts}


def moving_row(trxscan: Any, seed: int) -> dict[str, Any]:
    """A head that moves and rings, raw and corrected."""
    logging.disable(logging.INFO)
    snr = MOVING_SNR[seed % len(MOVING_SNR)]
    head = scene(trxscan, *MOVING, seed)
    scan = Scan(head.scanned(head.sigma_for(snr), seed), head.affine, head.gradients)
    parts = [("raw", scan), *corrected(scan), ("resampled", resampled(scan, seed))]
    return {"snr": snr} | {name: looked_at(part) for name, part in parts}


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """By version, how many scans show what; those with k-space's edges emptied apart."""
    counts: dict[str, Counter[str]] = {}
    for r in rows.values():
        for name, seen in r.items():
            if isinstance(seen, dict) and "words" in seen:
                emptied = r.get("zero_fill", 1) > 1 or r.get("ringing") == "hann"
                of = counts.setdefault(f"{name}, edges emptied" if emptied else name, Counter())
                of[seen["words"][0] if seen["words"] else "nothing"] += 1
    return {name: dict(of) for name, of in sorted(counts.items())}


def span(text: str) -> range:
    first, last = map(int, text.split("-"))
    return range(first, last + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=f"{SEEDS[0]}-{SEEDS[-1]}", help="seeds, first-last")
    parser.add_argument("--data", type=Path, help="folder of the real scans, in place of those")
    parser.add_argument("--moving", help="seeds, first-last, of heads that move, in place of those")
    parser.add_argument("--name", default=NAME, help="of the file of results")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    if asked.data:
        part, cases = "real", {f.parent.name: f for f in sorted(asked.data.glob("*/dwi.nii.gz"))}
    elif asked.moving:
        part, cases = "moving", {str(seed): seed for seed in span(asked.moving)}
    else:
        part, cases = "rows", {str(seed): seed for seed in span(asked.only)}
    record = recorded(asked.name, {"benchmark": asked.name})
    parts = {name: record.get(name, {}) for name in ("rows", "real", "moving")}
    others = {**record.get("others", {}), "dipy": version("dipy"), "mrtrix3": mrtrix_version()}
    trxscan = None
    if asked.moving:
        try:
            trxscan = import_module("trxscan")
        except ImportError:
            parser.error("heads that move need trxscan: pip install trxscan")
        others["trxscan"] = version("trxscan")
    for name, case in cases.items():
        if name in parts[part]:
            continue
        if asked.data:
            parts[part][name] = real_row(case.parent)
        else:
            parts[part][name] = moving_row(trxscan, case) if asked.moving else row(fresh(case))
        print(name, parts[part][name], flush=True)
        sums = {f"summary_{p}": summary(parts[p]) for p in parts}
        save(asked.name, SEEDS[0], {"others": others, **sums, **parts})
    print(summary(parts[part]))


if __name__ == "__main__":
    main()
