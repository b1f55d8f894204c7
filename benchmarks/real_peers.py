"""Real scans: held-out raw directions predicted from each method's result, ours against each peer.

``DWISER_DATA=… python -m benchmarks.real_peers [--scans …] [--methods …] [--held …] [--label …]``

A quarter of the directions (3 of 12 or 15, each left out once in turn) is left out before
denoising; DTI and spherical harmonics of the denoised rest predict them: order 4 and 6 where there
are 1.5 times as many directions as coefficients, order 2 where they allow no more. The score is
the excess of the squared error over the noise, in units of the mean σ², in the whole mask and by
bins of the FA of the raw directions that stay; its difference to splitq's has the 95 % limits of a
paired bootstrap over the volumes. A result whose noise floor was removed is held against the
magnitude that its signal shows. All methods get one mask and are scored with one σ map. Slabs of
the middle slices of the large scans.
"""

import argparse
import os
import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, TypeAlias

import numpy as np

from benchmarks.record import RESULTS, recorded, save
from dwiser.errors import DwiserWarning
from dwiser.evaluation.angle_cells import FA_EDGES
from dwiser.evaluation.heldout import (
    HeldOut,
    Predict,
    binned_scores,
    held_out_score,
    paired_bootstrap,
    predict_dti,
    predict_sh,
    training_fa,
)
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tensor import pick
from dwiser.io import load
from dwiser.methods.registry import build, settings_of
from dwiser.prepare.coils import effective_coils
from dwiser.prepare.mask import object_mask
from dwiser.prepare.moments import expected_magnitude
from dwiser.prepare.noise import sigma_map
from dwiser.run import denoise
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream

OURS = "splitq"
METHODS = f"{OURS},raw,mppca,dwidenoise,localpca,patch2self"
EDGES = (0.0, *FA_EDGES)
MASK = "all"
PREDICTORS: dict[str, Predict] = {
    "dti": predict_dti,
    **{f"sh{order}": partial(predict_sh, order=order) for order in (2, 4, 6)},
}

Scores: TypeAlias = dict[tuple[str, str], HeldOut]  # by predictor and bin of FA


@dataclass(frozen=True)
class Plan:
    """What is taken of a scan: middle slices, volumes held out at a time, and how many times."""

    slices: int
    held: int
    rounds: int = 1


PLANS = {
    "sherbrooke_1p8mm": Plan(24, 16),
    "sherbrooke_1p2mm": Plan(8, 10),
    "toshiba_galan_12dir": Plan(40, 3, 4),
    "philips_dstream_15dir": Plan(40, 3, 5),
}


def slab(folder: Path, slices: int) -> Scan:
    """The middle slices of a scan."""
    whole = load(folder / "dwi.nii.gz")
    first = (whole.shape[2] - slices) // 2
    return replace(whole, data=whole.data[:, :, first : first + slices].copy(order="F"))


def held_sets(gradients: Gradients, plan: Plan, seed: int) -> list[np.ndarray]:
    """The volumes that each round holds out; no volume is in two rounds."""
    dealt = stream(seed, "held out", 0).permutation(np.flatnonzero(~gradients.is_b0))
    starts = range(0, plan.rounds * plan.held, plan.held)
    return [np.sort(dealt[start : start + plan.held]) for start in starts]


def denoised(label: str, scan: Scan, seed: int) -> tuple[np.ndarray, float | None]:
    """A method's result, and the channels of the magnitude whose floor it removed, if it did."""
    if label == "raw":
        return scan.data, None
    name, *words = label.split(":")
    result = denoise(scan, build(name, settings=settings_of(words)), threads=1, seed=seed)
    removed = result.record.get("noise_floor") == "removed"
    return result.data, (result.record["coils"] or 1) if removed else None


def round_scores(label: str, scan: Scan, held: np.ndarray, seed: int) -> Scores:
    """One round's scores by predictor and bin of FA."""
    assert scan.mask is not None
    assert scan.sigma is not None
    rest = np.setdiff1d(np.arange(scan.shape[3]), held)
    table, wanted = pick(scan.gradients, rest), pick(scan.gradients, held)
    training = replace(scan, data=scan.data[..., rest].copy(order="F"), gradients=table, sigma=None)
    data, floor = denoised(label, training, seed)
    raw, noise = scan.data[scan.mask][:, held], scan.sigma[scan.mask]
    fa = training_fa(scan.data, scan.gradients, scan.mask, rest)
    scores: Scores = {}
    for name, predict in PREDICTORS.items():
        try:
            predicted = predict(data[scan.mask], table, wanted)
        except CannotMeasure:
            continue
        if floor is not None:
            columns = np.broadcast_to(noise[:, None], predicted.shape)
            predicted = expected_magnitude(predicted, columns, floor)
        scores[name, MASK] = held_out_score(predicted, raw, noise)
        by_bin, _ = binned_scores(predicted, raw, noise, fa, EDGES)
        scores |= {(name, group): score for group, score in by_bin.items()}
    if ("sh4", MASK) in scores:  # a lower order only where no higher one can be had
        scores = {key: score for key, score in scores.items() if key[0] != "sh2"}
    return scores


def joined(rounds: list[Scores]) -> Scores:
    """All rounds' volumes in one score; voxels are those of a round, on average."""
    keys = [key for key in rounds[0] if all(key in scores for scores in rounds)]

    def one(some: list[HeldOut]) -> HeldOut:
        excess = np.concatenate([score.volume_excess for score in some])
        rmse = float(np.mean([score.rmse**2 for score in some])) ** 0.5
        voxels = round(float(np.mean([score.voxels for score in some])))
        return HeldOut(excess, rmse, float(excess.mean()), voxels)

    return {key: one([scores[key] for scores in rounds]) for key in keys}


def row(scores: Scores, ours: Scores, power: float) -> dict[str, Any]:
    """Excess, and ours less it with its limits, over ``power``: below 0, ours predicts better."""
    cells: dict[str, Any] = {}
    for (name, group), score in scores.items():
        cell: dict[str, Any] = {"voxels": score.voxels, "excess": round(score.excess / power, 4)}
        if score is not ours[name, group]:
            paired = paired_bootstrap(ours[name, group], score)
            limits = (paired.difference, paired.low, paired.high)
            cell["ours_less_it"] = [round(x / power, 4) for x in limits]
        cells.setdefault(name, {})[group] = cell
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", default=",".join(PLANS))
    parser.add_argument("--methods", default=METHODS, help=f"{OURS} first")
    parser.add_argument("--held", type=int, help="volumes to hold out, in one round")
    parser.add_argument("--label", default="", help="added to the scans' names in the record")
    parser.add_argument("--seed", type=int, default=0, help="of the held-out volumes")
    parser.add_argument("--name", default="real_peers", help=f"of the file in {RESULTS.name}/")
    asked = parser.parse_args()
    source = os.environ.get("DWISER_DATA")
    if source is None:
        raise SystemExit("Set DWISER_DATA to the folder that holds the real scans.")
    warnings.simplefilter("ignore", DwiserWarning)
    tables: dict[str, Any] = recorded(asked.name, {"fa_edges": EDGES}).get("scans", {})
    for name in asked.scans.split(","):
        plan = (
            PLANS[name] if asked.held is None else replace(PLANS[name], held=asked.held, rounds=1)
        )
        part = slab(Path(source) / name, plan.slices)
        mask = object_mask(part)
        coils = effective_coils(part, mask)
        sigma = sigma_map(part, mask, coils=coils)
        scan, power = replace(part, mask=mask, sigma=sigma), float(np.square(sigma[mask]).mean())
        sets, ours = held_sets(scan.gradients, plan, asked.seed), None
        table = {"shape": list(scan.shape), "voxels": int(mask.sum()), "held": plan.held}
        table |= {"rounds": plan.rounds, "mean_sigma_squared": power, "coils": coils, "rows": {}}
        tables[name + asked.label] = table
        for label in asked.methods.split(","):
            begun, worked = perf_counter(), process_time()
            scores = joined([round_scores(label, scan, held, asked.seed) for held in sets])
            took = {"wall_s": perf_counter() - begun, "cpu_s": process_time() - worked}
            ours = ours or scores
            table["rows"][label] = {k: round(v, 1) for k, v in took.items()} | row(
                scores, ours, power
            )
            print(name, label, table["rows"][label], flush=True)
            path = save(asked.name, asked.seed, {"fa_edges": EDGES, "scans": tables})
    print(path)


if __name__ == "__main__":
    main()
