"""Does the sd of a walk's samples cover its errors? Shares within two sd, and rms error over sd.

``python -m benchmarks.samples_coverage``: difusion at the laptop preset, 281 passes over the smooth
phantom of `benchmarks.walk`, 16 samples of each kind of walk from the same weights. 95 % within
two sd would be a Gaussian error's share, and 1 the ratio of an sd that is right.
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.record import rounded, save
from benchmarks.walk import FIRST_SEED, PAIRS, simulation, with_mask
from dwiser.errors import DwiserWarning
from dwiser.machine import find_machine, limited
from dwiser.methods.difusion.method import Difusion
from dwiser.methods.registry import build
from reproduce.arms import walk_of_claims

SAMPLES, PASSES = 16, 281
WAYS: dict[str, dict[str, Any]] = {
    "one evaluation, t = 300": {"evaluations": 1},
    "one evaluation, t = 16": {"evaluations": 1, "start": 16},
    "26, fused again, ξ drawn anew": {
        "evaluations": 26, "state": "fused", "state_noise": "drawn",
    },
    "26, posterior with σz": {"evaluations": 26, "state_noise": "posterior"},
    "76, posterior with σz": {"state_noise": "posterior"},
}  # fmt: skip


def main() -> None:
    warnings.simplefilter("ignore", DwiserWarning)
    machine, rows = find_machine("cpu", 1), []
    made = simulation("phantom", FIRST_SEED)
    scan, inside = with_mask(made), made.mask
    dwis = ~scan.gradients.is_b0
    for pair in PAIRS[:2]:
        method = build(
            "difusion", "laptop", {"pairing": pair, "stop": "never"} | walk_of_claims("laptop")
        )
        assert isinstance(method, Difusion)
        count = len(method._prepare(scan).stack.items)
        method = replace(method, iterations=round(PASSES * count / method.batch))
        with limited(machine):
            weights = method.fit(scan, machine=machine, seed=0)
            for way, settings in WAYS.items():
                chosen = replace(method, samples=SAMPLES, uncertainty=True, **settings)
                result = chosen.apply(weights, scan, machine=machine, seed=0)
                assert result.uncertainty is not None
                sd = result.uncertainty[inside][:, None]
                error = np.abs(result.data - made.truth)[inside][:, dwis]
                row = {
                    "pair": pair, "walk": way,
                    "within_two_sd": float((error <= 2 * sd).mean()),
                    "rms_over_sd": float(np.sqrt((error**2).mean() / (sd**2).mean())),
                    "rms_over_sigma": float(
                        np.sqrt((error**2).mean() / (made.sigma[inside] ** 2).mean())
                    ),
                }  # fmt: skip
                rows.append(rounded(row))
                print(rows[-1], flush=True)
                about = {"samples": SAMPLES, "passes": PASSES, "shape": list(scan.shape)}
                save("samples_coverage", FIRST_SEED, about | {"rows": rows})


if __name__ == "__main__":
    main()
