"""Is walking worth it? One training, then every kind of walk from the same weights.

``python -m benchmarks.walk DATA [--pairs …] [--seeds 0,1,2] [--passes 281]``

A walk's next state has two parts, and each is varied alone: its image (`state`: of the posterior,
Eq. 10, or x_out and x' fused again as in training) and its noise (`state_noise`: what η = 0 leaves,
with σz, or as much as F is told, held or drawn anew). Of the 76 evaluations of Run-Walk the results
of the first 1, 2, 4, 12, 26, 40, 60 and 76 are scored; beside them a single evaluation at other
steps than 300, where x itself is part of the input. No stop rule ends a walk.

DATA is ``phantom`` (a smooth head), ``textured`` (voxel-scale variation), ``real`` or ``noisy``
(sherbrooke_1p8mm and the noisier 1p2mm of the folder that DWISER_DATA names; a third of the
directions held out raw).
Trainings are counted in passes over the scan; the laptop network unless ``--network unet``. Rows
that the record holds already are kept, so that a study can be ended and gone on with.
"""

import argparse
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.record import recorded, rounded, save
from benchmarks.textured import by_bin
from dwiser.chain.transition import State, StateNoise
from dwiser.errors import DwiserWarning
from dwiser.evaluation.bins import drawn_fa
from dwiser.evaluation.edges import edge_blur
from dwiser.evaluation.heldout import (
    binned_scores,
    held_out_score,
    leave_out,
    predict_sh,
    training_fa,
)
from dwiser.evaluation.tensor import fit_tensor, pick
from dwiser.io import load
from dwiser.learn.checkpointing import Course
from dwiser.machine import Machine, find_machine, limited
from dwiser.methods.difusion.method import Difusion
from dwiser.methods.registry import build
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.scan import Scan
from dwiser.simulation import NoiseModel, Simulation, phantom
from dwiser.watch import silent
from reproduce.arms import walk_of_claims
from reproduce.x_out import along_walk

DATA = "phantom", "textured", "real", "noisy"
PAIRS = "predicted", "adjacent", "angular"
EVALUATIONS = 1, 2, 4, 12, 26, 40, 60, 76
KINDS: tuple[tuple[State, StateNoise], ...] = (
    ("posterior", "mean"),  # as released
    ("posterior", "posterior"),
    ("fused", "mean"),
    ("fused", "held"),
    ("fused", "drawn"),
)
STARTS = 200, 100, 50, 30, 20, 16, 12, 8, 5, 3, 1  # of single evaluations beside that at 300
FIRST_SEED = 340  # of the phantoms; 300 to 399 are for published figures
SHAPE, DIRECTIONS, B0S, SNR = (32, 40, 5), 24, 4, 20.0
REAL = {"real": ("sherbrooke_1p8mm", 21), "noisy": ("sherbrooke_1p2mm", 13)}  # and held-out volumes
REAL_BOX = 40, 44, 5
Scores = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A scan to denoise, and what is measured of a result."""

    scan: Scan
    score: Callable[[np.ndarray], Scores]


def simulation(data: str, seed: int) -> Simulation:
    return phantom(
        SHAPE, shells=((1000.0, DIRECTIONS),), n_b0=B0S, snr=SNR, seed=seed,
        texture=0.5 if data == "textured" else 0.0,
    )  # fmt: skip


def simulated(data: str, seed: int) -> Case:
    """Error, FA by bins of an independent draw's and of the true FA, edges."""
    made = simulation(data, seed)
    table, mask, dwis = made.scan.gradients, made.mask, ~made.scan.gradients.is_b0
    true = fit_tensor(made.truth, table, mask)
    drawn = drawn_fa(made.truth, table, mask, made.sigma, NoiseModel(), seed)
    signal = float(np.sqrt((made.truth[mask][:, dwis] ** 2).mean()))

    def score(data: np.ndarray) -> Scores:
        fitted = fit_tensor(data, table, mask)
        blur = edge_blur(data[..., dwis], made.truth[..., dwis], mask, made.scan.voxel_size)
        return {
            "nrmse": float(np.sqrt(((data - made.truth)[mask][:, dwis] ** 2).mean())) / signal,
            "fa_rmse": float(np.sqrt(((fitted.fa - true.fa)[mask] ** 2).mean())),
            "edge_mm": blur.fwhm,
            "by_drawn_fa": fa_of(by_bin(fitted, true, drawn, mask)),
            "by_true_fa": fa_of(by_bin(fitted, true, true.fa, mask)),
        }

    return Case(with_mask(made), score)


def with_mask(made: Simulation) -> Scan:
    return replace(made.scan, mask=made.mask)


def fa_of(bins: dict[str, dict[str, float]]) -> dict[str, list[float]]:
    """bin → RMSE and bias of FA."""
    return {name: [v["fa.rmse"], v["fa.bias"]] for name, v in bins.items()}


def real(data: str, seed: int) -> Case:
    """Excess of held-out raw directions over their noise, by SH of the rest; edges of the mean."""
    source = os.environ.get("DWISER_DATA")
    if source is None:
        raise SystemExit("Set DWISER_DATA to the folder that holds the real scans.")
    name, count = REAL[data]
    whole = load(next((Path(source) / name).glob("*.nii*")))
    middle = [n // 2 for n in whole.shape[:3]]
    box = tuple(slice(m - s // 2, m - s // 2 + s) for m, s in zip(middle, REAL_BOX, strict=True))
    mask, sigma = object_mask(whole), sigma_map(whole, object_mask(whole))[box]
    inside, images, table = mask[box], whole.data[box], whole.gradients
    held = leave_out(table, count, seed)
    rest = np.setdiff1d(np.arange(len(table)), held)
    here, there = pick(table, rest), pick(table, held)
    scan = Scan(images[..., rest].copy(), whole.affine, here, mask=inside)
    raw, noise, dwis = images[inside][:, held], sigma[inside], ~here.is_b0
    fa = training_fa(scan.data, here, inside, np.arange(len(here)))
    mean = scan.data[..., dwis].mean(-1, keepdims=True)

    def score(data: np.ndarray) -> Scores:
        predicted = predict_sh(data[inside], here, there)
        blur = edge_blur(data[..., dwis].mean(-1, keepdims=True), mean, inside, scan.voxel_size)
        bins, _ = binned_scores(predicted, raw, noise, fa)
        return {
            "held_out": held_out_score(predicted, raw, noise).excess,
            "r2": float(np.corrcoef(predicted.ravel(), raw.ravel())[0, 1] ** 2),
            "edge_mm": blur.fwhm,
            "by_training_fa": {name: one.excess for name, one in bins.items()},
        }

    return Case(scan, score)


@dataclass(frozen=True)
class Walked:
    """One training, ready to be walked in many ways."""

    case: Case
    method: Difusion
    machine: Machine
    seed: int
    passes: float

    def rows(self) -> Iterator[Row]:
        """A row for each walk and each of its lengths, and for single evaluations elsewhere."""
        ready = self.method._prepare(self.case.scan)
        stack, count = ready.stack, len(ready.stack.items)
        iterations = max(1, round(self.passes * count / self.method.batch))
        method = replace(self.method, iterations=iterations)
        begun = process_time()
        weights = method._learn(ready, self.machine, self.seed, silent, Course())
        about = {"iterations": iterations, "passes": round(iterations * method.batch / count, 1)}
        about["training_cpu_seconds"] = round(process_time() - begun, 1)

        def walked(**settings: Any) -> Iterator[tuple[int, Scores]]:
            chosen = replace(method, stop="never", **settings)
            units = along_walk(chosen, weights, stack, self.machine, self.seed, EVALUATIONS)
            for evaluation, unit in units.items():
                data = stack.restore(self.case.scan.data, unit)
                yield evaluation, self.case.score(np.maximum(data, 0))

        for state, noise in KINDS:
            for evaluation, scores in walked(state=state, state_noise=noise):
                yield about | {
                    "start": method.latter, "state": state, "state_noise": noise,
                    "evaluations": evaluation, **scores,
                }  # fmt: skip
        for start in STARTS:
            for _, scores in walked(start=start, evaluations=1):
                yield about | {"start": start, "evaluations": 1, **scores}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=DATA)
    parser.add_argument("--pairs", default=",".join(PAIRS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--passes", type=float, default=281)
    parser.add_argument("--network", choices=["compact", "unet"], default="compact")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    machine = find_machine(asked.device, 1)
    preset = "laptop" if asked.network == "compact" else "paper"
    about = {"data": asked.data, "network": asked.network, "asked_passes": asked.passes}
    name = f"walk_{asked.data}_{asked.network}"
    rows: list[Row] = recorded(name, about).get("rows", [])
    for seed, pair in product(map(int, asked.seeds.split(",")), asked.pairs.split(",")):
        if any(row["seed"] == seed and row["pair"] == pair for row in rows):
            continue
        case = (
            real(asked.data, seed)
            if asked.data in REAL
            else simulated(asked.data, FIRST_SEED + seed)
        )
        key = {"pair": pair, "seed": seed}
        if not any(row["seed"] == seed and row["pair"] == "noisy" for row in rows):
            rows.append({"pair": "noisy", "seed": seed, **rounded(case.score(case.scan.data))})
        method = build(
            "difusion", preset, {"pairing": pair, "flips": "drawn"} | walk_of_claims(preset)
        )
        assert isinstance(method, Difusion)
        with limited(machine):
            rows += [
                key | rounded(row)
                for row in Walked(case, method, machine, seed, asked.passes).rows()
            ]
        print(asked.data, key, rows[-1]["training_cpu_seconds"], flush=True)
        save(name, FIRST_SEED, about | {"rows": rows})


if __name__ == "__main__":
    main()
