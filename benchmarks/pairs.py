"""What the pair decides: adjacent, angular and predicted x' beside the noisy input.

A 22-slice slab of a phantom with known truth; every arm has the laptop preset's network and
iterations. ``python -m benchmarks.pairs [--snr 20] [--seed 301] [--iterations N]``
"""

import argparse
import warnings
from time import perf_counter

import numpy as np

import dwiser
from benchmarks.record import save
from benchmarks.slabs import Slab, phantom_slab
from dwiser.errors import DwiserWarning
from dwiser.prepare.pairs import fit_prediction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snr", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=301, help="of the phantom")
    parser.add_argument("--iterations", type=int, default=None)
    parser.add_argument("--threads", type=int, default=None)
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    made = phantom_slab(asked.snr, asked.seed)
    scan, mask = made.scan, made.mask
    rows = [scored("noisy", scan.data, made, 0.0)]
    begun = perf_counter()
    linear = scan.data.copy()
    prediction = fit_prediction(scan.data[mask])
    for v in range(scan.shape[3]):
        linear[mask, v] = prediction.of(scan.data[mask], v)
    rows.append(scored("linear prediction alone", linear, made, perf_counter() - begun))
    settings = {} if asked.iterations is None else {"iterations": asked.iterations}
    for pairing in ("adjacent", "angular", "predicted"):
        result = dwiser.denoise(
            scan, "difusion", seed=0, pairing=pairing, threads=asked.threads, **settings
        )
        row = scored(pairing, result.data, made, result.record["WallTimeSeconds"])
        rows.append(row | {"mean_evaluations": result.record["sampling"]["mean_evaluations"]})
        print(rows[-1], flush=True)
    figures = {"b0_snr": asked.snr, "shape": scan.shape, "rows": rows, "settings": settings}
    print(save(f"pairs_snr{asked.snr:g}", asked.seed, figures))


def scored(name: str, data: np.ndarray, made: Slab, seconds: float) -> dict[str, object]:
    """A row of the table, printed."""
    scores = {key: round(value, 4) for key, value in made.scores(data).items()}
    row = {"pair": name, **scores, "seconds": round(seconds, 1)}
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
