"""Two half-scans of one head denoised together against apart, where they are alike and where not.

``python -m benchmarks.series [--shape 48,56,20] [--seed 310] [--snr 20]``

B is a second scan of the head with the other half of the directions: as it is, with few
directions, moved (its truth is interpolated before noise is added), noisier, or brighter. Each is
scored against its own truth in the true mask; what dwiser would decide stands beside it.
"""

import argparse
import warnings
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.phantom_errors import phantom_errors
from benchmarks.phantom_options import published_seed, voxels
from benchmarks.record import save
from dwiser.errors import DwiserWarning
from dwiser.methods.registry import build
from dwiser.prepare.scan_compatibility import decide, joined, summarize
from dwiser.run import denoise
from dwiser.scan import Gradients, Scan
from dwiser.simulation import NoiseModel, Simulation, phantom
from dwiser.simulation.acquire import acquire

CASES: dict[str, dict[str, float]] = {  # name → directions of both, and how B differs
    "alike, 32 directions each": {"directions": 64},
    "alike, 12 directions each": {"directions": 24},
    "B moved by a quarter of a voxel": {"directions": 64, "shift": 0.25},
    "B moved by a voxel": {"directions": 64, "shift": 1.0},
    "B with twice the noise": {"directions": 64, "noise": 2.0},
    "B 1.3 times as bright": {"directions": 64, "gain": 1.3},
}


def halves(made: Simulation) -> list[np.ndarray]:
    """Volumes of A and B: every other b0, every other direction."""
    b0s = np.flatnonzero(made.scan.gradients.is_b0)
    dwis = np.flatnonzero(~made.scan.gradients.is_b0)
    return [np.sort(np.r_[b0s[i::2], dwis[i::2]]) for i in (0, 1)]


def scan_of(
    made: Simulation, volumes: np.ndarray, case: dict[str, float], seed: int, is_b: bool
) -> tuple[Scan, np.ndarray]:
    """A half-scan and its truth; B differs as the case says."""
    truth, sigma = made.truth[..., volumes], made.sigma
    if is_b:
        move = (case.get("shift", 0.0), 0, 0)
        if any(move):
            truth = np.stack(
                [ndimage.shift(truth[..., v], move, order=3) for v in range(len(volumes))], -1
            ).clip(min=0)
        sigma = sigma * np.float32(case.get("noise", 1.0))
    noisy, _ = acquire(truth.astype(np.float32), sigma, NoiseModel(), seed + is_b)
    gain = np.float32(case.get("gain", 1.0) if is_b else 1.0)
    table = made.scan.gradients
    own = Gradients(table.bvals[volumes], table.bvecs[volumes])
    return replace(made.scan, data=noisy * gain, gradients=own), truth * gain


def errors(data: np.ndarray, truth: np.ndarray, scan: Scan, mask: np.ndarray) -> dict[str, float]:
    """NRMSE of b0s and DWIs, RMSE of FA; in the mask."""
    measured = phantom_errors(data, truth, scan, mask)
    return {name: measured[name] for name in ("b0_nrmse", "nrmse", "fa_rmse")}


def measured(case: dict[str, float], made: Simulation, seed: int) -> dict[str, Any]:
    """What is decided, and the errors of the noisy scans, apart and together, mean of A and B."""
    pairs = [scan_of(made, v, case, seed, bool(i)) for i, v in enumerate(halves(made))]
    scans = [scan for scan, _ in pairs]
    as_one, why = decide([summarize(s, n) for s, n in zip(scans, "AB", strict=True)])
    method, begun = build(), process_time()
    apart = [denoise(scan, method, threads=1, device="cpu").data for scan in scans]
    middle = process_time()
    whole = denoise(joined(scans), method, threads=1, device="cpu").data
    took = {"apart": round(middle - begun, 1), "together": round(process_time() - middle, 1)}
    together = np.split(whole, [scans[0].shape[3]], axis=3)
    rows = {}
    for name, results in (
        ("noisy", [s.data for s in scans]),
        ("apart", apart),
        ("together", together),
    ):
        each = [errors(d, t, s, made.mask) for d, (s, t) in zip(results, pairs, strict=True)]
        rows[name] = {key: round(float(np.mean([e[key] for e in each])), 5) for key in each[0]}
    return {"decided": "together" if as_one else "apart", "why": why, "cpu_seconds": took, **rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=voxels, default="48,56,20")
    parser.add_argument("--seed", type=published_seed, default=310, help="300 to 399")
    parser.add_argument("--snr", type=float, default=20.0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    x, y, z = asked.shape
    cases: dict[str, Any] = {}
    for name, case in CASES.items():
        count = int(case["directions"])
        made = phantom(
            (x, y, z), shells=((1000.0, count),), n_b0=6 if count > 30 else 2, snr=asked.snr,
            seed=asked.seed,
        )  # fmt: skip
        cases[name] = measured(case, made, asked.seed)
        print(name, cases[name], flush=True)
        figures = {"b0_snr": asked.snr, "shape": [x, y, z], "method": "splitq", "cases": cases}
        path = save("series", asked.seed, figures)
    print(path)


if __name__ == "__main__":
    main()
