"""What the pair decides: adjacent, angular and predicted x' beside the noisy input.

A 22-slice slab of a phantom with known truth; every arm has the laptop preset's network and
iterations. ``python benchmarks/pairs.py [--snr 20] [--seed 301] [--iterations N]``
"""

import argparse
import warnings
from dataclasses import replace
from time import perf_counter

import numpy as np
from record import save

import dwiser
from dwiser.errors import DwiserWarning
from dwiser.evaluate.tensor import angular_error, fit_tensor
from dwiser.prepare.pairs import fit_prediction
from dwiser.scan import Scan
from dwiser.simulate import phantom

SLAB = slice(22, 44)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snr", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=301, help="of the phantom")
    parser.add_argument("--iterations", type=int, default=None)
    parser.add_argument("--threads", type=int, default=None)
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    whole = phantom(snr=asked.snr, seed=asked.seed)
    scan = replace(whole.scan, data=whole.scan.data[:, :, SLAB].copy())
    truth, mask = whole.truth[:, :, SLAB], whole.mask[:, :, SLAB]
    rows = [scored("noisy", scan.data, scan, truth, mask, 0.0)]
    begun = perf_counter()
    linear = scan.data.copy()
    prediction = fit_prediction(scan.data[mask])
    for v in range(scan.shape[3]):
        linear[mask, v] = prediction.of(scan.data[mask], v)
    rows.append(
        scored("linear prediction alone", linear, scan, truth, mask, perf_counter() - begun)
    )
    settings = {} if asked.iterations is None else {"iterations": asked.iterations}
    for pairing in ("adjacent", "angular", "predicted"):
        result = dwiser.denoise(scan, seed=0, pairing=pairing, threads=asked.threads, **settings)
        row = scored(pairing, result.data, scan, truth, mask, result.record["WallTimeSeconds"])
        rows.append(row | {"mean_evaluations": result.record["sampling"]["mean_evaluations"]})
        print(rows[-1], flush=True)
    figures = {"b0_snr": asked.snr, "shape": scan.shape, "rows": rows, "settings": settings}
    print(save(f"pairs_snr{asked.snr:g}", asked.seed, figures))


def scored(
    name: str, data: np.ndarray, scan: Scan, truth: np.ndarray, mask: np.ndarray, seconds: float
) -> dict[str, object]:
    """NRMSE of the DWIs, RMSE of FA, median angle of V1 in degrees."""
    dwis = ~scan.gradients.is_b0
    error, signal = (data - truth)[mask][:, dwis], truth[mask][:, dwis]
    ours, true = (fit_tensor(d, scan.gradients, mask) for d in (data, truth))
    row = {
        "pair": name,
        "nrmse": round(float(np.sqrt(np.mean(error**2) / np.mean(signal**2))), 4),
        "fa_rmse": round(float(np.sqrt(np.mean((ours.fa - true.fa)[mask] ** 2))), 4),
        "v1_degrees": round(angular_error(ours.v1, true.v1, true.fa, mask).median, 2),
        "seconds": round(seconds, 1),
    }
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
