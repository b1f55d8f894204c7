"""How many splits splitq learns from, and from how many voxels: errors and CPU seconds.

``python -m benchmarks.splits [--seeds …]``: slabs of phantoms that are kept for tuning (seeds 112
to 117), the floor kept and nothing given back, so that only the estimate counts. Phantoms that
this run leaves out keep the rows they had.
"""

import argparse
import json
import warnings
from time import process_time
from typing import Any

import numpy as np

from benchmarks.record import RESULTS, save
from dwiser.errors import DwiserWarning
from dwiser.machine import find_machine, limited
from dwiser.methods.registry import build
from dwiser.prepare.moments import expected_magnitude
from dwiser.simulation import phantom

SHAPE = (65, 78, 22)
CASES: dict[int, dict[str, Any]] = {
    115: {"snr": 20.0, "shells": ((1000.0, 64),)},
    116: {"snr": 10.0, "shells": ((1000.0, 32),)},
    117: {"snr": 20.0, "shells": ((2000.0, 60),)},
    112: {"snr": 20.0, "shells": ((1000.0, 30), (2000.0, 50))},
    114: {"snr": 30.0, "shells": ((3000.0, 60),)},
}
CHOICES = ((3, 60_000), (4, 45_000), (6, 30_000), (8, 25_000), (12, 30_000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default=",".join(map(str, CASES)), help="of the phantoms")
    seeds = [int(seed) for seed in parser.parse_args().seeds.split(",")]
    warnings.simplefilter("ignore", DwiserWarning)
    machine, path = find_machine("cpu", 1), RESULTS / "splits.json"
    old = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = [row for row in old if row["seed"] not in seeds]
    for seed in seeds:
        case = CASES[seed]
        made = phantom(SHAPE, seed=seed, sigma_map="gfactor", lesions=True, **case)
        dwi, sd = ~made.scan.gradients.is_b0, made.sigma[..., None]
        shown = expected_magnitude(made.truth, np.broadcast_to(sd, made.truth.shape))
        for folds, voxels in CHOICES:
            settings = {"folds": folds, "learned_on": voxels, "floor": "kept", "give_back": "no"}
            method = build("splitq", settings={k: str(v) for k, v in settings.items()})
            begun = process_time()
            with limited(machine):
                result = method.denoise(made.scan, machine=machine, seed=0)
            error = (result.data - shown) / sd
            row = {"seed": seed, **case, "folds": folds, "learned_on": voxels}
            row |= {"rank": result.record["rank"], "cpu_s": round(process_time() - begun, 1)}
            for name in ("wm", "gm"):
                here = made.mask & (np.asarray(made.tissues[name]) > 0.5)
                row[f"{name}_rms_over_sigma"] = round(
                    float(np.sqrt((error[here][:, dwi] ** 2).mean())), 4
                )
            rows.append(row)
            print(row, flush=True)
            save("splits", min(CASES), {"shape": SHAPE, "rows": rows})
    print(path)


if __name__ == "__main__":
    main()
