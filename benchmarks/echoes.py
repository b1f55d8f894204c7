"""Echoes of one diffusion scan: each alone, as one series of more volumes, and told apart.

``python -m benchmarks.echoes [--shape 48,56,20] [--seed 320] [--snr 20] [--texture 0.3]``

The phantom's compartments decay with a T2 of their own (in ms, at 3 T: grey matter 100, fluid
1500, inside axons 90, around them 60; each but fluid's varied smoothly by 5 %), so that a later
echo is not a multiple of the first. All echoes have the same σ and noise of their own; the SNR is
that of the b0s at a TE of 80 ms. Scored against the noiseless truth in the true mask.
"""

import argparse
import warnings
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np

from benchmarks.phantom_errors import phantom_errors
from benchmarks.phantom_options import published_seed, voxels
from benchmarks.record import save
from dwiser.errors import DwiserWarning
from dwiser.methods.registry import build
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.scan_compatibility import joined
from dwiser.run import denoise
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import NoiseModel, phantom
from dwiser.simulation.acquire import acquire
from dwiser.simulation.contrast import compartments
from dwiser.simulation.geometry import head_anatomy
from dwiser.simulation.shapes import smooth_field
from dwiser.simulation.signal import synthesise
from dwiser.simulation.texture import Texture, textured

T2 = {"grey": 100.0, "water": 1500.0, "stick": 90.0, "zeppelin": 60.0}  # ms
VARIED, WIDTH = 0.05, 2.0  # sd, and voxels
REFERENCE = 80.0  # ms: the TE of the phantom's b0 signal
CASES: dict[str, dict[str, Any]] = {
    "2 echoes, 64 directions": {"te": (65.0, 105.0), "shells": ((1000.0, 64),), "b0s": 6},
    "3 echoes, 30 directions": {"te": (65.0, 90.0, 115.0), "shells": ((1000.0, 30),), "b0s": 4},
    "2 echoes, 12 directions": {"te": (65.0, 105.0), "shells": ((1000.0, 12),), "b0s": 2},
    "2 echoes, b=700 and 2000": {
        "te": (65.0, 105.0), "shells": ((700.0, 20), (2000.0, 30)), "b0s": 4,
    },
}  # fmt: skip


def echoes_of(
    case: dict[str, Any], shape: tuple[int, int, int], snr: float, texture: float, seed: int
) -> tuple[list[Scan], list[np.ndarray], np.ndarray]:
    """A scan an echo, their truths, and the mask."""
    one = phantom(
        shape, shells=case["shells"], n_b0=case["b0s"], snr=snr, texture=texture, seed=seed
    )
    varied = Texture(texture, 1.0)
    anatomy = textured(head_anatomy(shape, seed), varied, seed)
    pools, count = compartments(anatomy, seed, varied), int(anatomy.mask.sum())
    names = ["grey", "water", *["stick", "zeppelin"] * ((len(pools) - 2) // 2)]
    factor = {
        name: 1 + VARIED * smooth_field(shape, WIDTH, stream(seed, "T2", i))[anatomy.mask]
        for i, name in enumerate(T2)
    } | {"water": np.ones(count)}
    scans, truths = [], []
    for number, te in enumerate(case["te"]):
        decayed = [
            replace(pool, weight=pool.weight * np.exp(-(te - REFERENCE) / (T2[n] * factor[n])))
            for pool, n in zip(pools, names, strict=True)
        ]
        truth = np.zeros(one.scan.shape, np.float32)
        truth[anatomy.mask] = synthesise(decayed, one.scan.gradients)
        noisy, _ = acquire(truth, one.sigma, NoiseModel(), seed + 1000 * (number + 1))
        scans.append(replace(one.scan, data=noisy))
        truths.append(truth)
    return scans, truths, anatomy.mask


def errors(data: np.ndarray, truth: np.ndarray, scan: Scan, mask: np.ndarray) -> dict[str, float]:
    """NRMSE of b0s and DWIs, RMSE and bias of FA; in the mask."""
    measured = phantom_errors(data, truth, scan, mask)
    return {name: round(value, 5) for name, value in measured.items()}


def shared_noise(scans: list[Scan]) -> np.ndarray:
    """The σ map measured on all volumes."""
    whole = joined(scans, as_echoes=True)
    return sigma_map(whole, object_mask(whole))


def arms(scans: list[Scan]) -> dict[str, Any]:
    """By arm the denoised echoes; with the CPU seconds that they took."""
    method, sizes = build(), np.cumsum([s.shape[3] for s in scans])[:-1]

    def run(scan: Scan) -> np.ndarray:
        return denoise(scan, method, threads=1, device="cpu").data

    def alone() -> list[np.ndarray]:
        return [run(scan) for scan in scans]

    def shared_sigma() -> list[np.ndarray]:
        sigma = shared_noise(scans)
        return [run(replace(scan, sigma=sigma)) for scan in scans]

    def naive() -> list[np.ndarray]:
        return np.split(run(joined(scans)), sizes, axis=3)

    def labelled() -> list[np.ndarray]:
        return np.split(run(joined(scans, as_echoes=True)), sizes, axis=3)

    results: dict[str, Any] = {"noisy": ([scan.data for scan in scans], 0.0)}
    for work in (alone, shared_sigma, naive, labelled):
        begun = process_time()
        data = work()
        results[work.__name__] = data, round(process_time() - begun, 1)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=voxels, default="48,56,20")
    parser.add_argument("--seed", type=published_seed, default=320, help="300 to 399")
    parser.add_argument("--snr", type=float, default=20.0)
    parser.add_argument("--texture", type=float, default=0.0)
    parser.add_argument("--cases", type=int, default=len(CASES), help="only the first so many")
    parser.add_argument("--record", default="echoes", help="name of the file of results")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    x, y, z = asked.shape
    table: dict[str, Any] = {}
    for name, case in list(CASES.items())[: asked.cases]:
        scans, truths, mask = echoes_of(case, (x, y, z), asked.snr, asked.texture, asked.seed)
        rows = {}
        for arm, (data, seconds) in arms(scans).items():
            each = [errors(d, t, s, mask) for d, t, s in zip(data, truths, scans, strict=True)]
            rows[arm] = {"cpu_seconds": seconds, "echoes": each}
            print(name, arm, seconds, *(list(e.values()) for e in each), flush=True)
        table[name] = {"te_ms": list(case["te"]), **rows}
        figures = {
            "b0_snr": asked.snr, "texture": asked.texture, "shape": [x, y, z],
            "method": "splitq", "t2_ms": T2, "cases": table,
        }  # fmt: skip
        path = save(asked.record, asked.seed, figures)
    print(path)


if __name__ == "__main__":
    main()
