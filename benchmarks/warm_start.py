"""How much of a training a warm start saves: the same method on a second phantom, cold and warm.

Weights learned on one small phantom, another head with the same protocol; the second scan is then
denoised after a share of the iterations, with fresh weights and with those of the first.
``python -m benchmarks.warm_start [--method difusion] [--iterations 400]``
"""

import argparse
import warnings
from dataclasses import replace
from time import perf_counter

import numpy as np

from benchmarks.record import save
from dwiser.errors import DwiserWarning
from dwiser.learn.checkpointing import Course
from dwiser.machine import Machine
from dwiser.methods.registry import build
from dwiser.simulation import Simulation, phantom

SHAPE, SHELLS, B0S = (32, 32, 10), ((1000.0, 16),), 2
FIRST, SECOND = 331, 332
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="difusion")
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--snr", type=float, default=15.0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    machine = Machine("cpu", 1)
    first, second = (
        phantom(SHAPE, shells=SHELLS, n_b0=B0S, snr=asked.snr, seed=s) for s in (FIRST, SECOND)
    )
    method = build(asked.method, "laptop", {"iterations": asked.iterations})
    weights = method.fit(first.scan, machine=machine, seed=0)
    applied = method.apply(weights, second.scan, machine=machine, seed=0)
    rows = [{"start": "applied as they are", "iterations": 0, "nrmse": nrmse(applied.data, second)}]
    print(rows[-1], flush=True)
    for share in SHARES:
        some = replace(method, iterations=max(1, round(share * asked.iterations)))
        for name, course in (("cold", Course()), ("warm", Course(start=weights.state))):
            begun = perf_counter()
            result = some.denoise(second.scan, machine=machine, seed=0, course=course)
            rows.append(
                {
                    "start": name,
                    "iterations": some.iterations,
                    "nrmse": nrmse(result.data, second),
                    "seconds": round(perf_counter() - begun, 1),
                }
            )
            print(rows[-1], flush=True)
    whole = next(r for r in rows if r["start"] == "cold" and r["iterations"] == asked.iterations)
    reached = [r for r in rows if r["start"] == "warm" and r["nrmse"] <= whole["nrmse"]]
    figures = {
        "method": asked.method,
        "b0_snr": asked.snr,
        "shape": SHAPE,
        "phantoms": [FIRST, SECOND],
        "nrmse_noisy": nrmse(second.scan.data, second),
        "rows": rows,
        "cold_iterations": asked.iterations,
        "warm_iterations_as_good": min((r["iterations"] for r in reached), default=None),
    }
    print(save(f"warm_start_{asked.method}", SECOND, figures))


def nrmse(data: np.ndarray, made: Simulation) -> float:
    """Of the DWIs in the mask."""
    dwis = ~made.scan.gradients.is_b0
    error, truth = ((d[made.mask][:, dwis]) for d in (data - made.truth, made.truth))
    return round(float(np.sqrt(np.mean(error**2) / np.mean(truth**2))), 4)


if __name__ == "__main__":
    main()
