"""Do results change where batches are drawn on the device? Both draws, on a CPU, three seeds.

``python -m benchmarks.device_draws [--iterations 100]``: every learned method of the package on
two small phantoms, trained with NumPy's batches, which are the reference, and with those that a
GPU's draw gives, here computed on the CPU. A result is its NRMSE over the mask. The means are
compared with the spread over seeds: within two standard errors of their difference they are
called equal.
"""

import argparse
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.record import save
from benchmarks.spread import compared
from dwiser.errors import DwiserWarning
from dwiser.learn import where_drawn
from dwiser.machine import find_machine, limited
from dwiser.methods.registry import build
from dwiser.simulation import Simulation, phantom

SEED, SEEDS = 311, (0, 1, 2)
DRAWS = "NumPy", "device"
SMALL = {"width": 16, "patch": 24}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {  # row → method, settings
    "difusion": ("difusion", SMALL),
    "ddm2": ("ddm2", SMALL),
    "noise2noise": ("noise2noise", SMALL),
    "noisier2noise": ("noisier2noise", SMALL),
    "splitnet": ("splitnet", SMALL),
    "splitnet, chain": ("splitnet", SMALL | {"chain": True, "evaluations": 1}),
    "deep_image_prior, jitter 1/30": (
        "deep_image_prior", {"width": 16, "jitter": 1 / 30, "pixels": None, "stop": "never"},
    ),
}  # fmt: skip
SLICE_ITERATIONS = 60  # of each slice's fit, at most


@contextmanager
def drawn(where: str) -> Iterator[None]:
    """Batches inside are NumPy's, or those of the device's draw."""
    before = where_drawn.on_gpu
    where_drawn.on_gpu = (lambda _: True) if where == "device" else before
    try:
        yield
    finally:
        where_drawn.on_gpu = before


def phantoms() -> dict[str, Simulation]:
    """A smooth one and a textured one."""
    shape, shells = (30, 34, 8), ((1000.0, 24),)
    return {
        "smooth": phantom(shape=shape, shells=shells, n_b0=4, snr=20.0, seed=SEED),
        "textured": phantom(
            shape=shape, shells=shells, n_b0=4, snr=20.0, seed=SEED + 1, texture=0.3
        ),
    }


def nrmse(made: Simulation, name: str, settings: dict[str, Any], seed: int, where: str) -> float:
    """Of one training and what it gives."""
    machine = find_machine("cpu", 1)
    with drawn(where), limited(machine):
        result = build(name, "laptop", settings).denoise(made.scan, machine=machine, seed=seed)
    batches = result.record["training"]
    batches = batches.get("stage_3", batches).get("batches")
    assert batches == (where_drawn.ON_DEVICE if where == "device" else None)
    return nrmse_of(made, result.data)


def nrmse_of(made: Simulation, data: np.ndarray) -> float:
    """Of all volumes in the mask."""
    off, truth = (data - made.truth)[made.mask], made.truth[made.mask]
    return float(np.sqrt((off**2).mean() / (truth**2).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--iterations", type=int, default=100)
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    rows: dict[str, Any] = {}
    for label, made in phantoms().items():
        rows[label] = {"noisy scan": nrmse_of(made, made.scan.data)}
        for row, (name, settings) in ROWS.items():
            most = SLICE_ITERATIONS if name == "deep_image_prior" else asked.iterations
            count = min(asked.iterations, most)
            chosen = settings | {"iterations": count}
            errors = {
                where: [nrmse(made, name, chosen, s, where) for s in SEEDS] for where in DRAWS
            }
            rows[label][row] = {"nrmse": errors} | compared(errors, "device", "NumPy")
            print(label, row, rows[label][row], flush=True)
            save("device_draws_cpu", SEED, {"iterations": asked.iterations, "phantoms": rows})


if __name__ == "__main__":
    main()
