"""Error against work: methods that train, given more and more CPU seconds, and splitq's one point.

``python benchmarks/budgets.py [--methods difusion,splitnet] [--budgets 30,60,120,240,480]``: 22
slices of a phantom at b0 SNR 20, one thread. A budget is turned into iterations by the pace of the
training before, the first by that of two short ones; the CPU seconds that were then used are
recorded, so that other work on the machine changes nothing.
"""

import argparse
import warnings
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np
from record import save

from dwiser.errors import DwiserWarning
from dwiser.evaluate.tensor import fit_tensor
from dwiser.methods.registry import build
from dwiser.run import denoise
from dwiser.simulate import Simulation, phantom

SLAB = slice(22, 44)
TRIAL = 40  # iterations whose pace is taken


def slab(snr: float, seed: int) -> Simulation:
    whole = phantom(snr=snr, seed=seed)
    scan = replace(whole.scan, data=whole.scan.data[:, :, SLAB].copy(order="F"))
    return replace(whole, scan=scan, truth=whole.truth[:, :, SLAB], mask=whole.mask[:, :, SLAB])


def worked(made: Simulation, method: str, **settings: Any) -> tuple[np.ndarray, float]:
    """A method's result and the CPU seconds it took."""
    begun = process_time()
    chosen = build(method, settings={k: str(v) for k, v in settings.items()})
    data = denoise(made.scan, chosen, device="cpu", threads=1, seed=0).data
    return data, process_time() - begun


def errors(made: Simulation, data: np.ndarray) -> dict[str, float]:
    dwi, mask = ~made.scan.gradients.is_b0, made.mask
    off, signal = (data - made.truth)[mask][:, dwi], made.truth[mask][:, dwi]
    ours, true = (fit_tensor(d, made.scan.gradients, mask) for d in (data, made.truth))
    return {
        "nrmse": round(float(np.sqrt((off**2).mean() / (signal**2).mean())), 5),
        "fa_rmse": round(float(np.sqrt(((ours.fa - true.fa)[mask] ** 2).mean())), 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default="difusion,splitnet")
    parser.add_argument("--budgets", default="30,60,120,240,480", help="CPU seconds")
    parser.add_argument("--snr", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=303, help="of the phantom")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    made, rows = slab(asked.snr, asked.seed), []
    about = {"b0_snr": asked.snr, "shape": list(made.scan.shape)}

    def told(method: str, budget: float | None, iterations: int | None) -> float:
        settings = {} if iterations is None else {"iterations": iterations}
        data, seconds = worked(made, method, **settings)
        row = {"method": method, "budget_s": budget, "iterations": iterations}
        rows.append(row | {"cpu_s": round(seconds, 1), **errors(made, data)})
        print(rows[-1], flush=True)
        print(save("budgets", asked.seed, about | {"rows": rows}), flush=True)
        return seconds

    told("splitq", None, None)
    for method in asked.methods.split(","):
        once, twice = (worked(made, method, iterations=n)[1] for n in (TRIAL, 2 * TRIAL))
        pace, rest = max(1e-4, (twice - once) / TRIAL), max(0.0, 2 * once - twice)
        for budget in map(float, asked.budgets.split(",")):
            iterations = max(1, int((budget - rest) / pace))
            pace = max(1e-4, (told(method, budget, iterations) - rest) / iterations)


if __name__ == "__main__":
    main()
