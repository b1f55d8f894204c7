"""Real scans: held-out raw directions predicted from each method's result, ours against each peer.

``DWISER_DATA=… python benchmarks/real_peers.py [--scans …] [--methods …]``

Ten directions (a quarter of a smaller scan's) are left out before denoising; DTI and spherical
harmonics of the denoised rest predict them; the score is the excess of the squared error over the
noise, and its difference to splitq's has the 95 % limits of a paired bootstrap over the volumes.
A result whose noise floor was removed is held against the magnitude that its signal shows. All
methods get one mask and are scored with one σ map. Slabs of the middle slices by default.
"""

import argparse
import os
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from benchmarks.record import save
from dwiser.errors import DwiserWarning
from dwiser.evaluation.heldout import (
    HeldOut,
    held_out_score,
    leave_out,
    paired_bootstrap,
    predict_dti,
    predict_sh,
)
from dwiser.evaluation.tensor import pick
from dwiser.io import load
from dwiser.methods.registry import build, settings_of
from dwiser.prepare.coils import effective_coils
from dwiser.prepare.mask import object_mask
from dwiser.prepare.moments import expected_magnitude
from dwiser.prepare.noise import sigma_map
from dwiser.run import denoise
from dwiser.scan import Scan

SLICES = {"sherbrooke_1p8mm": 24, "sherbrooke_1p2mm": 16}
MOST_HELD, SHARE_HELD = 10, 4
OURS = "splitq"
METHODS = f"{OURS},raw,dwidenoise,patch2self,mppca"
PREDICTORS = {"dti": predict_dti, "sh": predict_sh}


def slab(folder: Path, slices: int) -> Scan:
    """The middle slices of a scan."""
    whole = load(folder / "dwi.nii.gz")
    first = (whole.shape[2] - slices) // 2
    return replace(whole, data=whole.data[:, :, first : first + slices].copy(order="F"))


def scores(label: str, scan: Scan, seed: int) -> tuple[dict[str, HeldOut], dict[str, float]]:
    """Held-out scores of one method by each predictor; its seconds."""
    assert scan.mask is not None
    assert scan.sigma is not None
    most = min(MOST_HELD, int((~scan.gradients.is_b0).sum()) // SHARE_HELD)
    held = leave_out(scan.gradients, most, seed)
    rest = np.setdiff1d(np.arange(scan.shape[3]), held)
    table, wanted = pick(scan.gradients, rest), pick(scan.gradients, held)
    kept = replace(scan, data=scan.data[..., rest].copy(order="F"), gradients=table, sigma=None)
    begun, worked, data, floor = perf_counter(), process_time(), kept.data, None
    if label != "raw":
        name, *words = label.split(":")
        result = denoise(kept, build(name, settings=settings_of(words)), threads=1, seed=seed)
        data = result.data
        removed = result.record.get("noise_floor") == "removed"
        floor = result.record["coils"] if removed else None
    took = {"wall_s": perf_counter() - begun, "cpu_s": process_time() - worked}
    raw, noise = scan.data[scan.mask][:, held], scan.sigma[scan.mask]
    found = {}
    for predictor, predict in PREDICTORS.items():
        predicted = predict(data[scan.mask], table, wanted)
        if floor is not None:
            columns = np.broadcast_to(noise[:, None], predicted.shape)
            predicted = expected_magnitude(predicted, columns, floor)
        found[predictor] = held_out_score(predicted, raw, noise)
    return found, {k: round(v, 1) for k, v in took.items()}


def row(found: dict[str, HeldOut], ours: dict[str, HeldOut]) -> dict[str, Any]:
    """Excess, and ours less it with its limits: below 0, ours predicts better."""
    cells: dict[str, Any] = {}
    for name, score in found.items():
        cells[name] = {"excess": round(score.excess, 1)}
        if score is not ours[name]:
            paired = paired_bootstrap(ours[name], score)
            limits = (paired.difference, paired.low, paired.high)
            cells[name]["ours_less_it"] = [round(x, 1) for x in limits]
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", default=",".join(SLICES))
    parser.add_argument("--methods", default=METHODS, help=f"{OURS} first")
    parser.add_argument("--seed", type=int, default=0, help="of the held-out volumes")
    asked = parser.parse_args()
    source = os.environ.get("DWISER_DATA")
    if source is None:
        raise SystemExit("Set DWISER_DATA to the folder that holds the real scans.")
    warnings.simplefilter("ignore", DwiserWarning)
    tables: dict[str, Any] = {}
    for name in asked.scans.split(","):
        part = slab(Path(source) / name, SLICES[name])
        mask = object_mask(part)
        coils = effective_coils(part, mask)
        scan = replace(part, mask=mask, sigma=sigma_map(part, mask, coils=coils))
        score, ours = partial(scores, scan=scan, seed=asked.seed), None
        tables[name] = {"shape": list(scan.shape), "voxels": int(mask.sum()), "rows": {}}
        for label in asked.methods.split(","):
            found, took = score(label)
            ours = ours or found
            tables[name]["rows"][label] = took | row(found, ours)
            print(name, label, tables[name]["rows"][label], flush=True)
            path = save("real_peers", asked.seed, {"scans": tables})
    print(path)


if __name__ == "__main__":
    main()
