"""The control: is a walk of many evaluations better than one? Same weights, more and more steps.

``python benchmarks/steps.py phantom|real [--arms …]``: Di-Fusion with each pairing, trained with
Fusion or the neighbour alone and with Di- or Gaussian noise (the laptop preset otherwise), then
sampled with 1, 2, 4 and 12 evaluations from the same weights, and all 76 of Run-Walk where
``--all-of`` names the arm; "as stopped" is the preset's own rule. Error and sharpness both. Arms
that the record holds already, of the same scan and the same training, are kept.

``phantom``: 22 slices of a head of known truth. ``real``: 22 slices of sherbrooke_1p8mm in the
folder that DWISER_DATA names, 5 directions held out raw.
"""

import argparse
import json
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from operator import itemgetter
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from real_peers import slab
from record import RESULTS, save

from dwiser.errors import DwiserWarning
from dwiser.evaluate.edges import edge_blur
from dwiser.evaluate.heldout import held_out_score, leave_out, predict_dti, predict_sh
from dwiser.evaluate.tensor import angular_error, fit_tensor, pick
from dwiser.machine import find_machine, limited
from dwiser.methods.difusion import Difusion
from dwiser.methods.registry import build
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.scan import Scan
from dwiser.simulate import phantom

PAIRINGS, FUSIONS, NOISES = (
    ("predicted", "angular", "adjacent"),
    ("target", "neighbour"),
    ("shuffled", "gaussian"),
)
EVALUATIONS = (1, 2, 4, 12)
SLAB, REAL, SLICES, HELD_OUT = slice(22, 44), "sherbrooke_1p8mm", 22, 5
Score = Callable[[np.ndarray], dict[str, float]]


@dataclass(frozen=True)
class Case:
    """A scan to denoise, and what is measured of a result."""

    scan: Scan
    score: Score
    noisy: dict[str, float]
    about: dict[str, Any]


def made_phantom(seed: int, snr: float) -> Case:
    """The slab of a phantom: NRMSE, FA, V1 and the width of the edges against the truth."""
    whole = phantom(snr=snr, seed=seed)
    scan = replace(whole.scan, data=whole.scan.data[:, :, SLAB].copy())
    truth, mask = whole.truth[:, :, SLAB], whole.mask[:, :, SLAB]
    dwis = ~scan.gradients.is_b0
    true = fit_tensor(truth, scan.gradients, mask)

    def score(data: np.ndarray) -> dict[str, float]:
        error, signal = (data - truth)[mask][:, dwis], truth[mask][:, dwis]
        ours = fit_tensor(data, scan.gradients, mask)
        return {
            "nrmse": float(np.sqrt(np.mean(error**2) / np.mean(signal**2))),
            "fa_rmse": float(np.sqrt(np.mean((ours.fa - true.fa)[mask] ** 2))),
            "v1_degrees": angular_error(ours.v1, true.v1, true.fa, mask).median,
            "edge_mm": edge_blur(data[..., dwis], truth[..., dwis], mask, scan.voxel_size).fwhm,
        }

    about = {"name": "phantom", "shape": list(scan.shape), "b0_snr": snr, "seed": seed}
    return Case(scan, score, score(scan.data), about)


def made_real(seed: int) -> Case:
    """The middle of a real scan: excess of held-out raw directions, sharpness of the mean DWI."""
    source = os.environ.get("DWISER_DATA")
    if source is None:
        raise SystemExit("Set DWISER_DATA to the folder that holds the real scans.")
    part = slab(Path(source) / REAL, SLICES)
    mask = object_mask(part)
    sigma = sigma_map(part, mask)
    held = leave_out(part.gradients, HELD_OUT, seed)
    rest = np.setdiff1d(np.arange(part.shape[3]), held)
    table, wanted = pick(part.gradients, rest), pick(part.gradients, held)
    scan = replace(part, data=part.data[..., rest].copy(), gradients=table, mask=mask)
    raw, noise, dwis = part.data[mask][:, held], sigma[mask], ~table.is_b0
    mean = scan.data[..., dwis].mean(-1, keepdims=True)

    def score(data: np.ndarray) -> dict[str, float]:
        ours = data[..., dwis].mean(-1, keepdims=True)
        scores = {
            f"held_out_{name}": held_out_score(
                predict(data[mask], table, wanted), raw, noise
            ).excess
            for name, predict in (("dti", predict_dti), ("sh", predict_sh))
        }
        return scores | {"edge_mm_of_mean": edge_blur(ours, mean, mask, scan.voxel_size).fwhm}

    about = {"name": REAL, "shape": list(scan.shape), "held_out": HELD_OUT, "seed": seed}
    return Case(scan, score, score(scan.data), about)


def walked(
    method: Difusion, case: Case, seed: int, counts: tuple[int | None, ...]
) -> Iterator[dict[str, Any]]:
    """One training, then the same weights down walks of ``counts`` evaluations (None: 76)."""
    machine = find_machine("cpu", 1)
    with limited(machine):
        begun = process_time()
        weights = method.fit(case.scan, machine=machine, seed=seed)
        trained = process_time() - begun
        ends = [(str(n or "all"), replace(method, stop="never", evaluations=n)) for n in counts]
        for name, end in [*ends, ("as stopped", method)]:
            begun = process_time()
            result = end.apply(weights, case.scan, machine=machine, seed=seed)
            yield {
                "pairing": method.pairing, "fusion": method.fusion, "noise": method.noise,
                "evaluations": name,
                "mean_evaluations": result.record["sampling"]["mean_evaluations"],
                **{k: round(float(v), 5) for k, v in case.score(result.data).items()},
                "training_cpu_seconds": round(trained, 1),
                "sampling_cpu_seconds": round(process_time() - begun, 1),
            }  # fmt: skip


def kept(name: str, figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the record ``name`` whole arms of which are there, if its ``figures`` agree."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return []
    old: dict[str, Any] = json.loads(path.read_text())
    if {**old, **figures} != old:
        return []
    arm = itemgetter("pairing", "fusion", "noise")
    whole = {arm(row) for row in old["rows"] if row.get("evaluations") == "as stopped"}
    return [row for row in old["rows"] if row["pairing"] == "noisy" or arm(row) in whole]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan", choices=["phantom", "real"])
    parser.add_argument("--snr", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=302, help="of the phantom, or of the split")
    parser.add_argument("--pairings", default=",".join(PAIRINGS))
    parser.add_argument("--all-of", default="target/shuffled", help="arms walked to the end")
    parser.add_argument("--iterations", type=int, default=3000)
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    case = made_phantom(asked.seed, asked.snr) if asked.scan == "phantom" else made_real(asked.seed)
    figures: dict[str, Any] = {"scan": case.about, "iterations": asked.iterations}
    rows = kept(f"steps_{asked.scan}", figures) or [{"pairing": "noisy", **case.noisy}]
    figures["rows"] = rows
    for fusion, noise, pairing in product(FUSIONS, NOISES, asked.pairings.split(",")):
        settings = {"pairing": pairing, "fusion": fusion, "noise": noise}
        method = build("difusion", "laptop", settings | {"iterations": str(asked.iterations)})
        assert isinstance(method, Difusion)
        if any({**row, **settings} == row for row in rows):
            continue
        last: tuple[None, ...] = (None,) if f"{fusion}/{noise}" in asked.all_of.split(",") else ()
        for row in walked(method, case, 0, (*EVALUATIONS, *last)):
            rows.append(row)
            print(row, flush=True)
            save(f"steps_{asked.scan}", asked.seed, figures)


if __name__ == "__main__":
    main()
