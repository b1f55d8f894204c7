"""Methods on scans of a simulator that is not ours: coils, GRAPPA and partial Fourier in k-space.

``pip install trxscan; python -m benchmarks.independent_simulator [--methods splitq,mppca]``

TRXScan (PyPI, MIT or Apache-2.0; Python 3.11 or later) takes tissue fractions and fibres as
arrays and goes through 8 coils, GRAPPA 2 and partial Fourier 0.75. Its own run of the same
protocol without noise is the truth: every score is against that, by the functions of
`textured.py`. Fractions and fibres come from a head made by code, or from a real scan's refit
(``--scan``), with texture if it is asked for. It is needed by this script alone.
"""

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.phantom_options import published_seed, voxels
from benchmarks.record import recorded, save, stamp
from benchmarks.textured import nrmse, scored
from dwiser.errors import DwiserWarning
from dwiser.evaluation.tensor import fit_tensor
from dwiser.io import load
from dwiser.methods.registry import build
from dwiser.run import denoise
from dwiser.scan import Gradients, Scan
from dwiser.simulation.geometry import HeadAnatomy, head_anatomy
from dwiser.simulation.refit import anatomy_of, refit, roughened
from dwiser.simulation.scheme import scheme
from dwiser.simulation.simulator import WHITE
from dwiser.simulation.texture import Texture, textured

NAME = "independent_simulator"
FINER = 2  # samples a voxel along x and y on the simulator's grid
COILS, ACCELERATION, PARTIAL_FOURIER = 8, 2, 0.75
TRIAL_NOISE = 1.0  # variance in its k-space of the run that tells what SNR a variance gives
AGAIN = 1000  # added to the seed of the independent draw
INSIDE = 0.5  # share of tissue from which a voxel counts


def anatomy(asked: argparse.Namespace) -> HeadAnatomy:
    """The fractions and fibres to scan."""
    texture = Texture(asked.texture, asked.correlation)
    if asked.scan is None:
        x, y, z = asked.shape
        return textured(head_anatomy((x, y, z), asked.seed), texture, asked.seed)
    scan = load(asked.scan)
    low, high = (int(part) for part in asked.slices.split(":"))
    slab = replace(scan, data=scan.data[:, :, low:high], mask=None)
    return anatomy_of(roughened(refit(slab), texture, asked.seed))


def scene(trxscan: Any, head: HeadAnatomy, voxel: float) -> Any:
    """The anatomy as the simulator takes it; its axes are those of the voxels."""
    fine = {
        name: np.repeat(np.repeat(part, FINER, 0), FINER, 1) for name, part in head.tissues.items()
    }
    weights = np.repeat(np.repeat(head.shares, FINER, 0), FINER, 1) * fine["wm"][..., None]
    axes = np.repeat(np.repeat(head.axes, FINER, 0), FINER, 1)
    flat = np.arange(fine["wm"].size).reshape(fine["wm"].shape, order="F")
    held = weights > 0
    fibers = trxscan.Fibers(
        voxel=np.broadcast_to(flat[..., None], held.shape)[held].astype(np.uint32),
        dirs=axes[held].astype(np.float32),
        weight=weights[held].astype(np.float32),
    )
    affine = np.diag([voxel, voxel, voxel, 1.0])
    return trxscan.objects.from_arrays(
        fine["wm"], fine["gm"], fine["csf"], oversample=FINER, voxel_mm=voxel, fibers=fibers,
        affine=affine,
    )  # fmt: skip


def scanned(
    trxscan: Any, made: Any, table: Gradients, noise: float, seed: int, voxel: float
) -> tuple[np.ndarray, Gradients, np.ndarray]:
    """Magnitudes (X, Y, Z, V), the table along voxel axes and the affine of one run."""
    protocol = trxscan.Protocol.DEFAULT.replace(
        voxel_mm=voxel, oversample=FINER, coils=COILS, accel=ACCELERATION,
        partial_fourier=PARTIAL_FOURIER,
    )  # fmt: skip
    artifacts = trxscan.Artifacts(noise=noise, seed=seed)
    run = made.simulate((table.bvals, table.bvecs), protocol, artifacts, slices="all")
    x, y, z = run.dims
    data = np.asarray(run.mag, np.float32).reshape(z, y, x, len(table)).transpose(2, 1, 0, 3)
    return np.ascontiguousarray(data), Gradients(run.bvals, run.bvecs), run.affine


def rows(asked: argparse.Namespace, trxscan: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    head = anatomy(asked)
    table = scheme(((1000.0, asked.directions),), n_b0=asked.b0, seed=asked.seed)
    made = scene(trxscan, head, asked.voxel)

    def run(noise: float, seed: int) -> tuple[np.ndarray, Gradients, np.ndarray]:
        return scanned(trxscan, made, table, noise, seed, asked.voxel)

    truth, gradients, affine = run(0.0, asked.seed)
    white, mask = head.tissues["wm"] > WHITE, sum(head.tissues.values()) > INSIDE
    b0s = np.flatnonzero(gradients.is_b0)
    few = Gradients(table.bvals[b0s], table.bvecs[b0s])
    trial = scanned(trxscan, made, few, TRIAL_NOISE, asked.seed, asked.voxel)[0]
    level = float((trial - truth[..., b0s])[white].std())
    noise = TRIAL_NOISE * (float(truth[white][:, b0s].mean()) / asked.snr / level) ** 2
    noisy, again = run(noise, asked.seed)[0], run(noise, asked.seed + AGAIN)[0]
    error = (noisy - truth)[white]
    sd = {"b0": float(error[:, b0s].std()), "dwi": float(error[:, ~gradients.is_b0].std())}
    true = fit_tensor(truth, gradients, mask)
    along = np.abs((true.v1 * head.axes[..., 0, :]).sum(-1))[white & (head.shares[..., 0] > 0.9)]
    about = {
        "trxscan": version("trxscan"),
        "b0_snr": round(float(truth[white][:, b0s].mean()) / sd["b0"], 2),
        "sd_of_b0s_over_dwis": round(sd["b0"] / sd["dwi"], 3),
        "v1_to_fibre_degrees_median": round(float(np.degrees(np.arccos(np.median(along)))), 2),
    }
    yield "about", about
    drawn = fit_tensor(again, gradients, mask).fa
    scan = Scan(noisy, affine, gradients)

    def of(image: np.ndarray) -> dict[str, Any]:
        tensor = scored(fit_tensor(image, gradients, mask), true, drawn, mask)
        return nrmse(image, truth, gradients, mask) | tensor

    yield "noisy", of(noisy)
    for name in [m for m in asked.methods.split(",") if m]:
        begun = process_time()
        image = denoise(scan, build(name), threads=1, device="cpu").data
        yield name, {"cpu_seconds": round(process_time() - begun, 1)} | of(image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", type=Path, help="a real scan to refit; else a head made by code")
    parser.add_argument("--slices", default="0:12", help="of the real scan, as low:high")
    parser.add_argument("--shape", type=voxels, default="48,56,12")
    parser.add_argument("--voxel", type=float, default=2.5, help="mm")
    parser.add_argument("--directions", type=int, default=64)
    parser.add_argument("--b0", type=int, default=6)
    parser.add_argument("--snr", type=float, default=15.0, help="of b0s in white matter")
    parser.add_argument("--texture", type=float, default=0.3)
    parser.add_argument("--correlation", type=float, default=1.0)
    parser.add_argument("--seed", type=published_seed, default=321, help="300 to 399")
    parser.add_argument("--methods", default="splitq,mppca,dwidenoise")
    asked = parser.parse_args()
    try:
        import trxscan
    except ImportError:
        parser.error("this benchmark needs trxscan: pip install trxscan")
    warnings.simplefilter("ignore", DwiserWarning)
    place = f"head by code of {'x'.join(map(str, asked.shape))}"
    if asked.scan is not None:
        place = f"refit of {asked.scan.name}, slices {asked.slices}"
    label = f"{place}, SNR {asked.snr:g}, texture {asked.texture:g}, seed {asked.seed}"
    cases = recorded(NAME, {}).get("cases", {})
    methods: dict[str, Any] = {}
    for name, row in rows(asked, trxscan):
        methods[name] = row
        print(name, {k: v for k, v in row.items() if not isinstance(v, dict)}, flush=True)
        cases[label] = {**stamp(asked.seed), "methods": methods}
        path = save(NAME, asked.seed, {"cases": cases})
    print(path)


if __name__ == "__main__":
    main()
