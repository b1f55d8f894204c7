"""Error against work: methods that train, given more and more CPU seconds, and others' one point.

``python -m benchmarks.budgets [--methods …] [--budgets 30,60,120,240,480] [--peers …]``: 22 slices
of a phantom at b0 SNR 20, one thread. A budget is turned into iterations by the pace of the
training before, the first by that of two short ones; the CPU seconds that were then used are
recorded, so that other work on the machine changes nothing. ``--peers`` need no training to speak
of and have one row each. Methods that this run leaves out keep the rows they had.
"""

import argparse
import os
import warnings
from typing import Any

import numpy as np

from benchmarks.record import recorded, save
from benchmarks.slabs import Slab, phantom_slab
from dwiser.errors import DwiserWarning
from dwiser.methods.registry import build
from dwiser.run import denoise

TRIAL = 40  # iterations whose pace is taken
NOISY = "noisy"


def used() -> float:
    """CPU seconds of this process and of programs that it called."""
    return sum(os.times()[:4])


def worked(made: Slab, method: str, **settings: Any) -> tuple[np.ndarray, float]:
    """A method's result and the CPU seconds it took."""
    if method == NOISY:
        return made.scan.data, 0.0
    begun = used()
    chosen = build(method, settings={k: str(v) for k, v in settings.items()})
    data = denoise(made.scan, chosen, device="cpu", threads=1, seed=0).data
    return data, used() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default="difusion,splitnet")
    parser.add_argument("--budgets", default="30,60,120,240,480", help="CPU seconds")
    parser.add_argument("--peers", default=f"{NOISY},splitq,dwidenoise,patch2self")
    parser.add_argument("--snr", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=303, help="of the phantom")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    peers, methods = (
        [m for m in names.split(",") if m] for names in (asked.peers, asked.methods)
    )  # fmt: skip
    made = phantom_slab(asked.snr, asked.seed)
    about = {"seed": asked.seed, "b0_snr": asked.snr, "shape": list(made.scan.shape)}
    rows = [
        row for row in recorded("budgets", about).get("rows", [])
        if row["method"] not in peers + methods
    ]  # fmt: skip

    def told(method: str, budget: float | None, iterations: int | None) -> float:
        settings = {} if iterations is None else {"iterations": iterations}
        data, seconds = worked(made, method, **settings)
        row = {"method": method, "budget_s": budget, "iterations": iterations}
        errors = {key: round(value, 5) for key, value in made.scores(data).items()}
        rows.append(row | {"cpu_s": round(seconds, 1), **errors})
        print(rows[-1], flush=True)
        save("budgets", asked.seed, about | {"rows": rows})
        return seconds

    for method in peers:
        told(method, None, None)
    for method in methods:
        once, twice = (worked(made, method, iterations=n)[1] for n in (TRIAL, 2 * TRIAL))
        pace, rest = max(1e-4, (twice - once) / TRIAL), max(0.0, 2 * once - twice)
        for budget in map(float, asked.budgets.split(",")):
            iterations = max(1, int((budget - rest) / pace))
            pace = max(1e-4, (told(method, budget, iterations) - rest) / iterations)


if __name__ == "__main__":
    main()
