"""Complex against magnitude: error and bias of one method, with the phase and without it.

A phantom's true magnitudes get a smooth phase of their own a volume (a ramp of up to three turns
across the field of view, as motion under a diffusion gradient leaves it, and a few bumps) and a
common one, then complex Gaussian noise. The method sees the magnitude alone, or magnitude and
phase. ``python -m benchmarks.phase [--seed 321]``; seeds 100-199 are for tuning.
"""

import argparse
import warnings
from dataclasses import replace

import numpy as np

import dwiser
from benchmarks.record import save
from dwiser.errors import DwiserWarning
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import phantom
from dwiser.simulation.noise import complex_noise

SLAB = slice(26, 40)
TURNS = 3.0  # across the field of view, the most of a ramp
BUMPS, BUMP_RADIANS = 3, 1.5
WEAK = 2.0  # true signal below this many σ


def smooth_phase(shape: tuple[int, ...], seed: int, volume: int) -> np.ndarray:
    """Radians (X, Y, Z): a ramp and a few Gaussian bumps, its own in each slice."""
    x, y = (np.linspace(-1, 1, n) for n in shape[:2])
    planes = []
    for z in range(shape[2]):
        rng = stream(seed, "phase", volume, z)
        along, across = rng.uniform(-1, 1, 2) * np.pi * TURNS
        plane = rng.uniform(-np.pi, np.pi) + along * x[:, None] + across * y[None]
        for _ in range(BUMPS):
            cx, cy, width = rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7), rng.uniform(0.2, 0.6)
            bump = np.exp(-((x[:, None] - cx) ** 2 + (y[None] - cy) ** 2) / (2 * width**2))
            plane += rng.uniform(-1, 1) * BUMP_RADIANS * bump
        planes.append(plane)
    return np.stack(planes, -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=321, help="of the phantom")
    parser.add_argument("--snr", type=float, nargs="+", default=[20.0, 10.0, 5.0])
    parser.add_argument("--method", default="splitq")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    shells = ((1000.0, 32), (3000.0, 32))
    rows = [row for snr in asked.snr for row in rows_of(asked.method, asked.seed, snr, shells)]
    figures = {"method": asked.method, "shells": shells, "weak_below_sigma": WEAK, "rows": rows}
    print(save(f"phase_{asked.method}", asked.seed, figures))


def rows_of(method: str, seed: int, snr: float, shells: tuple) -> list[dict[str, object]]:
    whole = phantom(snr=snr, seed=seed, shells=shells, noise="gaussian")
    truth, sigma = whole.truth[:, :, SLAB], whole.sigma[:, :, SLAB]
    mask = whole.mask[:, :, SLAB]
    noisy = np.empty(truth.shape, np.complex64)
    for v in range(truth.shape[3]):
        turn = np.exp(1j * smooth_phase(truth.shape[:3], seed, v))
        noise = complex_noise(truth.shape[:3], stream(seed, "complex", v))
        noisy[..., v] = truth[..., v] * turn + sigma * noise
    scan = Scan(np.abs(noisy), whole.scan.affine, whole.scan.gradients, mask=mask)
    runs = {
        "noisy": scan.data,
        "magnitude, floor kept": dwiser.denoise(scan, method, floor="kept", threads=1).data,
        "magnitude": dwiser.denoise(scan, method, threads=1).data,
    }
    result = dwiser.denoise(replace(scan, phase=np.angle(noisy)), method, threads=1)
    runs["magnitude and phase"] = result.data
    over = result.record["imaginary_over_sigma"]
    rows = [{"b0_snr": snr, "given": k, **scored(d, truth, mask, sigma)} for k, d in runs.items()]
    rows[-1]["imaginary_over_sigma"] = over
    for row in rows:
        print(row, flush=True)
    return rows


def scored(data: np.ndarray, truth: np.ndarray, mask: np.ndarray, sigma: np.ndarray) -> dict:
    """NRMSE over all volumes; RMSE and bias, in σ, where the true signal is weak."""
    error, signal = (data - truth)[mask], truth[mask]
    over = error / sigma[mask][:, None]
    weak = signal < WEAK * sigma[mask][:, None]
    found = {
        "nrmse": round(float(np.sqrt(np.mean(error**2) / np.mean(signal**2))), 4),
        "bias_over_sigma": round(float(over.mean()), 4),
        "weak_share": round(float(weak.mean()), 4),
    }
    if weak.mean() > 1e-3:
        found["weak_rmse_over_sigma"] = round(float(np.sqrt(np.mean(over[weak] ** 2))), 4)
        found["weak_bias_over_sigma"] = round(float(over[weak].mean()), 4)
    return found


if __name__ == "__main__":
    main()
