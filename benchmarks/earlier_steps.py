"""What is told of earlier steps before the work: false alarms on raw scans, and power.

``python -m benchmarks.earlier_steps [--only N-M] [--name earlier_steps]``

Fresh simulated scans of all kinds (`false_alarms.case_of`, a draw and seeds of their own, with 96
to 288 volumes in every third), as they are and after a step: resampled by a small rotation and
shift of each volume, and denoised by splitq, Patch2Self and, where MRtrix3 is on the PATH,
dwidenoise. A scan whose k-space was zero-filled by the simulator may be named as such. A scan that
is on record is not run again.
"""

import argparse
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.ndimage import affine_transform

from benchmarks.false_alarms import Case, case_of
from benchmarks.record import recorded, save
from dwiser.errors import DwiserWarning
from dwiser.methods.registry import build
from dwiser.prepare.earlier_steps import noise_traces
from dwiser.run import denoise
from dwiser.scan import Scan
from dwiser.seeds import stream

NAME = "earlier_steps"
SEEDS = range(8600, 8630)  # no limit was set on them
DRAW = 4
MANY = (96, 128, 192, 288)  # directions of every third scan
MOST_DENOISED = 100  # volumes: more are only looked at raw and resampled, for time
TURN, MOVE = 0.02, 0.5  # radians (sd), voxels (at most), of each volume


def fresh(seed: int) -> Case:
    """The scan of a seed; every third has many volumes."""
    case = case_of(seed, DRAW)
    if seed % 3:
        return case
    shells = case.settings["shells"]
    count = MANY[seed // 3 % len(MANY)] // len(shells)
    return replace(case, settings={**case.settings, "shells": [(b, count) for b, _ in shells]})


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


def versions(case: Case) -> Iterator[tuple[str, Scan]]:
    """The raw scan, and what steps make of it."""
    made = case.made()
    scan = replace(made.scan, mask=made.mask) if case.mask_given else made.scan
    yield "raw", scan
    yield "resampled", resampled(scan, case.seed)
    if scan.shape[3] > MOST_DENOISED:
        return
    for name in ("splitq", "patch2self", *(["dwidenoise"] if shutil.which("dwidenoise") else [])):
        result = denoise(scan, build(name), threads=1, device="cpu", seed=case.seed)
        yield name, replace(scan, data=result.data)


def row(case: Case) -> dict[str, Any]:
    """Traces and words of each version."""
    out: dict[str, Any] = {**case.settings, "mask_given": case.mask_given}
    for name, scan in versions(case):
        traces = noise_traces(scan)
        if traces is None:
            out[name] = None
            continue
        share = traces.components / traces.of_noise
        out[name] = {
            "volumes": traces.volumes, "components_over_noise": round(share, 3),
            "neighbours": [round(r, 3) for r in traces.neighbours],
            "edges": [round(e, 3) for e in traces.edges],
            "words": [" ".join(s.split()[:5]) for s in traces.sentences],
        }  # fmt: skip
    return out


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """By version, how many scans show what; of raw ones, those zero-filled apart."""
    counts: dict[str, Counter[str]] = {}
    for r in rows.values():
        for name, seen in r.items():
            if isinstance(seen, dict) and "words" in seen:
                zero_filled = name == "raw" and r["zero_fill"] > 1
                of = counts.setdefault(f"{name}, zero-filled" if zero_filled else name, Counter())
                of[seen["words"][0] if seen["words"] else "nothing"] += 1
    return {name: dict(of) for name, of in sorted(counts.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=f"{SEEDS[0]}-{SEEDS[-1]}", help="seeds, first-last")
    parser.add_argument("--name", default=NAME, help="of the file of results")
    asked = parser.parse_args()
    first, last = map(int, asked.only.split("-"))
    warnings.simplefilter("ignore", DwiserWarning)
    rows: dict[str, Any] = recorded(asked.name, {"benchmark": asked.name}).get("rows", {})
    for seed in range(first, last + 1):
        if str(seed) in rows:
            continue
        rows[str(seed)] = row(fresh(seed))
        print(seed, rows[str(seed)], flush=True)
        save(asked.name, first, {"summary": summary(rows), "rows": rows})
    print(summary(rows))


if __name__ == "__main__":
    main()
