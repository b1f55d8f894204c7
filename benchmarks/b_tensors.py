"""Scans whose b-tensors are not linear, denoised and judged with ``b_delta`` and without.

``python -m benchmarks.b_tensors FOLDER [--shape 36,42,12] [--seed 330]``

On a phantom with linear, planar and spherical b-tensors of one b-value: error by shape against the
truth, FA against that of the noiseless linear volumes, and the verdict. On the real scans
``planar_btensor`` and ``spherical_btensor`` in FOLDER: the verdict, and of the planar one the
held-out prediction by a tensor that takes its b-tensors for what they are, or for linear ones.
"""

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import dwiser
from benchmarks.phantom_options import published_seed, voxels
from benchmarks.record import save
from dwiser.errors import DwiserWarning
from dwiser.evaluation.heldout import held_out_score, leave_out, predict_dti
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tensor import angles, fit_tensor
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.run.result import Result
from dwiser.scan import Gradients, Scan
from dwiser.simulation import NoiseModel, phantom
from dwiser.simulation.acquire import acquire
from dwiser.simulation.contrast import compartments
from dwiser.simulation.geometry import head_anatomy

B, EACH, SPHERICAL, B0S = 2000.0, 24, 8, 4  # s/mm², directions of linear and planar, repeats, b0s
PLANAR_B_DELTA = -0.5
FA_CLEAR = 0.3  # with b-delta, above which V1 is compared
HELD = 6  # of the planar scan's 21 DWIs


def mixed_phantom(
    shape: tuple[int, int, int], seed: int
) -> tuple[Scan, np.ndarray, np.ndarray, np.ndarray]:
    """A scan of three shapes at one b, its truth, mask and shapes; spherical ones have vectors."""
    one = phantom(shape, shells=((B, EACH),), n_b0=B0S, b0_place="first", snr=20, seed=seed)
    directions = one.scan.gradients.bvecs[B0S:]
    bvecs = np.concatenate([np.zeros((B0S, 3)), directions, directions, directions[:SPHERICAL]])
    bvals = np.r_[np.zeros(B0S), np.full(2 * EACH + SPHERICAL, B)]
    shapes = np.r_[np.ones(B0S + EACH), np.full(EACH, PLANAR_B_DELTA), np.zeros(SPHERICAL)]
    anatomy = head_anatomy(shape, seed)
    signal = np.zeros((int(anatomy.mask.sum()), len(bvals)))
    for pool in compartments(anatomy, seed):
        along = 0.0 if pool.axis is None else (pool.axis @ bvecs.T) ** 2
        extra = (pool.parallel - pool.perpendicular)[:, None]
        mean = pool.perpendicular[:, None] + extra * ((1 - shapes) / 3 + shapes * along)
        signal += pool.weight[:, None] * np.exp(-bvals * mean)
    truth = np.zeros((*shape, len(bvals)), np.float32)
    truth[anatomy.mask] = signal
    noisy, _ = acquire(truth, one.sigma, NoiseModel(), seed)
    return (
        replace(one.scan, data=noisy, gradients=Gradients(bvals, bvecs)),
        truth,
        anatomy.mask,
        shapes,
    )


def with_shapes(scan: Scan, shapes: np.ndarray | float) -> Scan:
    table = scan.gradients
    return replace(scan, gradients=Gradients(table.bvals, table.bvecs, b_delta=shapes))


def verdict_of(result: Result) -> dict[str, Any]:
    verdict = result.verdict
    if verdict is None:
        return {"level": None, "why": result.no_verdict}
    return {"level": verdict.level, "reasons": [reason.words for reason in verdict.reasons]}


def on_phantom(shape: tuple[int, int, int], seed: int) -> dict[str, Any]:
    scan, truth, mask, shapes = mixed_phantom(shape, seed)
    told = with_shapes(scan, shapes)
    true_fa = fit_tensor(truth, told.gradients, mask, b_max=np.inf).fa
    dwi = ~scan.gradients.is_b0
    groups = {"b0": ~dwi} | {
        name: dwi & (shapes == value)
        for name, value in (("linear", 1.0), ("planar", PLANAR_B_DELTA), ("spherical", 0.0))
    }
    rows: dict[str, Any] = {}
    for name, given in (("noisy", None), ("without", scan), ("with", told)):
        result = None if given is None else dwiser.denoise(given, threads=1, device="cpu")
        data = scan.data if result is None else result.data
        errors = {
            group: round(float(np.sqrt(
                np.mean((data - truth)[mask][:, which] ** 2) / np.mean(truth[mask][:, which] ** 2)
            )), 5)
            for group, which in groups.items()
        }  # fmt: skip
        table = (given or told).gradients
        fa = fit_tensor(data, table, mask, b_max=np.inf).fa
        off = (fa - true_fa)[mask]
        rows[name] = {
            "nrmse": errors,
            "fa_rmse": round(float(np.sqrt(np.mean(off**2))), 4),
            "fa_bias": round(float(off.mean()), 4),
            **({} if result is None else {"verdict": verdict_of(result)}),
        }
        print(name, rows[name], flush=True)
    return rows


def on_real(scan: Scan, b_delta: float, seed: int) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    results: list[Result] = []
    for name, given in (("without", scan), ("with", with_shapes(scan, b_delta))):
        results.append(dwiser.denoise(given, threads=1, device="cpu"))
        row: dict[str, Any] = {"verdict": verdict_of(results[-1])}
        try:
            row["held_out"] = held_out(given, seed)
        except CannotMeasure as why:
            row["held_out"] = str(why)
        rows[name] = row
        print(name, row, flush=True)
    return rows | {"between": between(scan, results, b_delta)}


def between(scan: Scan, results: list[Result], b_delta: float) -> dict[str, Any]:
    """How far the two results are apart, and the two tensors that the raw scan gives."""
    mask = object_mask(scan)
    sigma = sigma_map(scan, mask)[mask]
    apart = (results[1].data - results[0].data)[mask] / sigma[:, None]
    row: dict[str, Any] = {"rms_over_sigma": round(float(np.sqrt(np.mean(apart**2))), 4)}
    try:
        first, second = (
            fit_tensor(scan.data, s.gradients, mask) for s in (scan, with_shapes(scan, b_delta))
        )
    except CannotMeasure as why:
        return row | {"tensor": str(why)}
    clear = mask & (second.fa > FA_CLEAR)
    turned = angles(first.v1[clear], second.v1[clear])
    return row | {
        "voxels": int(clear.sum()),
        "fa_without": round(float(np.median(first.fa[clear])), 3),
        "fa_with": round(float(np.median(second.fa[clear])), 3),
        "v1_turned": round(float(np.median(turned)), 1),
    }


def held_out(scan: Scan, seed: int) -> dict[str, Any]:
    """Excess over the noise of raw volumes that denoised ones predict; σ from the whole scan."""
    mask = object_mask(scan)
    sigma = sigma_map(scan, mask)[mask]
    dwis = np.flatnonzero(~scan.gradients.is_b0 & ~scan.gradients.without_direction)
    if len(dwis) < HELD + 6:
        raise CannotMeasure(f"{len(dwis)} DWIs with a direction are too few to hold {HELD} out")
    try:
        held = leave_out(scan.gradients, HELD, seed)
    except CannotMeasure:  # shells of a few volumes: every third DWI
        held = dwis[1::3][:HELD]
    rest = np.setdiff1d(np.arange(scan.shape[3]), held)
    part = replace(scan, data=scan.data[..., rest], gradients=scan.gradients.take(rest))
    table = scan.gradients.take(held)
    raw = scan.data[..., held][mask]
    scores = {}
    for name, data in (
        ("raw", part.data),
        ("splitq", dwiser.denoise(part, threads=1, device="cpu", verdict=False).data),
    ):
        score = held_out_score(predict_dti(data[mask], part.gradients, table), raw, sigma)
        scores[name] = {"rmse": round(score.rmse, 3), "excess": round(score.excess, 2)}
    return {"held": held.tolist(), "sigma": round(float(np.median(sigma)), 3), **scores}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds planar_btensor and spherical_btensor")
    parser.add_argument("--shape", type=voxels, default="36,42,12")
    parser.add_argument("--seed", type=published_seed, default=330, help="300 to 399")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    x, y, z = asked.shape
    figures: dict[str, Any] = {"shape": [x, y, z], "b": B, "method": "splitq"}
    for name, b_delta in (("planar_btensor", PLANAR_B_DELTA), ("spherical_btensor", 0.0)):
        print(name)
        scan = dwiser.load(asked.folder / name / "dwi.nii.gz")
        figures[name] = on_real(scan, b_delta, asked.seed)
    print("phantom")
    figures["phantom"] = on_phantom((x, y, z), asked.seed)
    print(save("b_tensors", asked.seed, figures))


if __name__ == "__main__":
    main()
