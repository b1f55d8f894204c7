"""The control: is a walk of many evaluations better than one? Same weights, more and more steps.

``python -m benchmarks.steps phantom|real [--method …]``: walks of 1, 2, 4 and 12 evaluations from
the same weights, and all 76 of Run-Walk. ``difusion`` with each pairing, trained with Fusion or the
neighbour alone and with Di- or Gaussian noise (the laptop preset otherwise; all 76 only where
``--all-of`` names the arm; "as stopped" is the preset's own rule); ``splitnet`` along its chain,
beside the single pass it is by default. Error and sharpness both. Arms that the record holds
already, of the same scan and the same training, are kept.

``phantom``: 22 slices of a head of known truth. ``real``: 22 slices of sherbrooke_1p8mm in the
folder that DWISER_DATA names, 5 directions held out raw.
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

from benchmarks.real_peers import slab
from benchmarks.record import recorded, save
from benchmarks.slabs import phantom_slab
from dwiser.errors import DwiserWarning
from dwiser.evaluation.edges import edge_blur
from dwiser.evaluation.heldout import held_out_score, leave_out, predict_dti, predict_sh
from dwiser.evaluation.tensor import pick
from dwiser.machine import find_machine, limited
from dwiser.methods.difusion.method import Difusion
from dwiser.methods.registry import build
from dwiser.methods.splitnet.method import Splitnet
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.scan import Scan
from reproduce.arms import walk_of_claims

PAIRINGS, FUSIONS, NOISES = (
    ("predicted", "angular", "adjacent"),
    ("target", "neighbour"),
    ("shuffled", "gaussian"),
)
EVALUATIONS = (1, 2, 4, 12)
REAL, SLICES, HELD_OUT = "sherbrooke_1p8mm", 22, 5
Row = dict[str, Any]
Score = Callable[[np.ndarray], dict[str, float]]


@dataclass(frozen=True)
class Case:
    """A scan to denoise, and what is measured of a result."""

    scan: Scan
    score: Score
    noisy: dict[str, float]
    about: dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """What is trained, what it is called in the table, and the ways that its weights are used."""

    about: dict[str, str]
    method: Any
    ends: dict[str, Any]


def made_phantom(seed: int, snr: float) -> Case:
    """The slab of a phantom: NRMSE, FA, V1 and the width of the edges against the truth."""
    made = phantom_slab(snr, seed)
    scan, dwis = made.scan, ~made.scan.gradients.is_b0

    def score(data: np.ndarray) -> dict[str, float]:
        blur = edge_blur(data[..., dwis], made.truth[..., dwis], made.mask, scan.voxel_size)
        return {**made.scores(data), "edge_mm": blur.fwhm}

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


def difusion_arms(asked: argparse.Namespace) -> Iterator[Arm]:
    """Each pairing, Fusion or not, Di- or not; walks without a stop rule, then the preset's own."""
    for fusion, noise, pairing in product(FUSIONS, NOISES, asked.pairings.split(",")):
        about = {"pairing": pairing, "fusion": fusion, "noise": noise}
        method = build(
            "difusion",
            "laptop",
            about | walk_of_claims("laptop") | {"iterations": asked.iterations or 3000},
        )
        assert isinstance(method, Difusion)
        last: tuple[None, ...] = (None,) if f"{fusion}/{noise}" in asked.all_of.split(",") else ()
        ends = {
            str(n or "all"): replace(method, stop="never", evaluations=n)
            for n in (*EVALUATIONS, *last)
        }
        yield Arm(about, method, ends | {"as stopped": method})


def splitnet_arms(asked: argparse.Namespace) -> Iterator[Arm]:
    """The chain of three disjoint sets, and the single pass trained as one."""
    settings = {"iterations": asked.iterations} if asked.iterations else {}
    plain = build("splitnet", "laptop", settings)
    assert isinstance(plain, Splitnet)
    method = replace(plain, chain=True)
    about = {"pairing": "disjoint", "fusion": "target", "noise": "shuffled"}
    counts = (*EVALUATIONS, None)
    yield Arm(about, method, {str(n or "all"): replace(method, evaluations=n) for n in counts})
    yield Arm({"pairing": "disjoint", "fusion": "none", "noise": "none"}, plain, {"1": plain})


def walked(arm: Arm, case: Case, seed: int) -> Iterator[Row]:
    """One training, then the same weights to each of the arm's ends."""
    machine = find_machine("cpu", 1)
    with limited(machine):
        begun = process_time()
        weights = arm.method.fit(case.scan, machine=machine, seed=seed)
        trained = process_time() - begun
        for name, end in arm.ends.items():
            begun = process_time()
            result = end.apply(weights, case.scan, machine=machine, seed=seed)
            sampling = result.record.get("sampling", {})
            mean = sampling.get("mean_evaluations", result.record.get("evaluations"))
            seconds = round(process_time() - begun, 1)
            yield {
                **arm.about, "evaluations": name, "mean_evaluations": mean,
                **{k: round(float(v), 5) for k, v in case.score(result.data).items()},
                "training_cpu_seconds": round(trained, 1), "sampling_cpu_seconds": seconds,
            }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan", choices=["phantom", "real"])
    parser.add_argument("--method", choices=ARMS, default="difusion")
    parser.add_argument("--snr", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=302, help="of the phantom, or of the split")
    parser.add_argument("--pairings", default=",".join(PAIRINGS))
    parser.add_argument("--all-of", default="target/shuffled", help="arms walked to the end")
    parser.add_argument("--iterations", type=int, help="of the training; the preset's if not given")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    case = made_phantom(asked.seed, asked.snr) if asked.scan == "phantom" else made_real(asked.seed)
    arms = list(ARMS[asked.method](asked))
    figures: dict[str, Any] = {"scan": case.about, "iterations": arms[0].method.iterations}
    name = f"steps_{asked.scan}" + ("" if asked.method == "difusion" else f"_{asked.method}")
    rows = recorded(name, figures).get("rows") or [{"pairing": "noisy", **case.noisy}]
    for arm in arms:
        done = [row for row in rows if {**row, **arm.about} == row]
        if {row["evaluations"] for row in done} >= set(arm.ends):
            continue
        rows = [row for row in rows if row not in done]
        for row in walked(arm, case, 0):
            rows.append(row)
            print(row, flush=True)
            save(name, asked.seed, figures | {"rows": rows})


ARMS = {"difusion": difusion_arms, "splitnet": splitnet_arms}

if __name__ == "__main__":
    main()
