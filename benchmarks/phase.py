"""Complex against magnitude: error and bias of one method, with the phase and without it.

The phantom's phase is that of ``dwiser simulate --phase``: of the field, of eddy currents in each
volume, of motion in each shot. The method sees the magnitude alone, or magnitude and phase with
each way to remove the phase; "phase known" has the true phase removed before, which nobody can.
MRtrix3's dwidenoise beside it, where it is installed: on magnitudes, and on the complex image.
``python -m benchmarks.phase [--seed 321]``; seeds 100-199 are for tuning.
"""

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel as nib
import numpy as np
from matplotlib.figure import Figure

import dwiser
from benchmarks.record import save
from dwiser.errors import DwiserWarning
from dwiser.methods.peers.dwidenoise import PROGRAM, REMEDY
from dwiser.methods.peers.programs import find_program, need_program, run_program
from dwiser.prepare.phase import Rephasing
from dwiser.scan import Scan
from dwiser.simulation import Simulation, phantom
from dwiser.simulation.phase import ShotPhase

SHAPE, SLAB = (48, 56, 24), slice(8, 16)
SHELLS = ((1000.0, 32), (3000.0, 32))
WAYS = ("window", "slice")
WEAK = 2.0  # true signal below this many σ


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=321, help="of the phantom")
    parser.add_argument("--snr", type=float, nargs="+", default=[20.0, 10.0, 5.0, 3.0])
    parser.add_argument("--method", default="splitq")
    parser.add_argument("--picture", type=Path, help="draw one slice at b0 SNR 10 here, no more")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    if asked.picture is not None:
        draw(asked.picture, asked.method, asked.seed)
        return
    rows = [row for snr in asked.snr for row in rows_of(asked.method, asked.seed, snr)]
    figures = {
        "method": asked.method,
        "shape": SHAPE,
        "shells": SHELLS,
        "weak_below_sigma": WEAK,
        "rows": rows,
    }
    print(save(f"phase_{asked.method}", asked.seed, figures))


def rows_of(method: str, seed: int, snr: float) -> list[dict[str, object]]:
    whole = phantom(SHAPE, snr=snr, seed=seed, shells=SHELLS, phase=True)
    truth, sigma = whole.truth[:, :, SLAB], whole.sigma[:, :, SLAB]
    mask, angle = whole.mask[:, :, SLAB], whole.scan.phase[:, :, SLAB]
    given = whole.scan
    scan = Scan(given.data[:, :, SLAB], given.affine, given.gradients, mask=mask)
    runs: dict[str, np.ndarray] = {"noisy": scan.data}
    over: dict[str, list[float]] = {}

    def run(name: str, scan: Scan, **settings: Any) -> None:
        result = dwiser.denoise(scan, method, threads=1, verdict=False, **settings)
        runs[name] = result.data
        if result.real is not None:
            runs[f"{name}, real part"] = result.real
        if "imaginary_over_sigma" in result.record:
            over[name] = result.record["imaginary_over_sigma"]

    run("magnitude, floor kept", scan, floor="kept")
    run("magnitude", scan)
    for way in WAYS:
        parts = {"real_part": True} if way == "window" else {}
        run(f"complex, {way}", replace(scan, phase=angle), rephase=way, **parts)
    rest = np.angle(np.exp(1j * (angle - true_phase(whole)[:, :, SLAB])))
    run("complex, phase known", replace(scan, phase=rest), rephase="none")
    if find_program(PROGRAM) is not None:
        runs["dwidenoise, magnitude"] = dwiser.denoise(
            scan, "dwidenoise", threads=1, verdict=False
        ).data
        z = dwidenoised(scan.data * np.exp(1j * angle), mask)
        runs["dwidenoise, complex"] = np.abs(z)
        turns = [Rephasing().removed(z[..., v]) for v in range(z.shape[3])]
        runs["dwidenoise, complex, window"] = (z * np.stack(turns, 3).conj()).real
    rows = [{"b0_snr": snr, "given": k, **scored(d, truth, mask, sigma)} for k, d in runs.items()]
    for row in rows:
        if row["given"] in over:
            row["imaginary_over_sigma"] = over[str(row["given"])]
        print(row, flush=True)
    return rows


def draw(path: Path, method: str, seed: int) -> None:
    """Truth, magnitude, phase and what is made of them: a slice of each shell, a row each."""
    whole = phantom(SHAPE, snr=10.0, seed=seed, shells=SHELLS, phase=True)
    scan = replace(whole.scan, mask=whole.mask)
    runs = {
        "magnitude, denoised": dwiser.denoise(replace(scan, phase=None), method, threads=1).data
    }
    for way in WAYS:
        result = dwiser.denoise(scan, method, threads=1, rephase=way, real_part=True)
        runs[f"real part, rephase={way}"] = result.real
    columns = {"truth": whole.truth, "magnitude": scan.data, "phase": scan.phase, **runs}
    shown = [int(np.flatnonzero(np.isclose(scan.gradients.bvals, b))[1]) for b, _ in SHELLS]
    figure = Figure(figsize=(2.4 * len(columns), 5.6))
    axes = figure.subplots(len(shown), len(columns))
    for row, v in zip(axes, shown, strict=True):
        high = float(np.percentile(whole.truth[..., v][whole.mask], 99.5))
        for place, (name, data) in zip(row, columns.items(), strict=True):
            image = data[:, :, SHAPE[2] // 2, v].T
            look = {"cmap": "twilight", "vmin": -np.pi, "vmax": np.pi} if name == "phase" else {
                "cmap": "gray", "vmin": 0, "vmax": high}  # fmt: skip
            place.imshow(image, origin="lower", **look)
            place.set_title(f"{name}\nb = {scan.gradients.bvals[v]:.0f}", fontsize=8)
            place.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def true_phase(whole: Simulation) -> np.ndarray:
    """The phase (X, Y, Z, V) that the simulation has without its noise, radians."""
    shape, seed = whole.mask.shape, int(whole.record["seed"])
    shots = ShotPhase(whole.scan.gradients, shape, whole.scan.voxel_size, seed)
    return np.stack([shots.volume(v) for v in range(len(whole.scan.gradients))], -1)


def dwidenoised(z: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What dwidenoise makes of a complex series."""
    with TemporaryDirectory() as name:
        place = Path(name)
        nib.save(nib.Nifti1Image(z.astype(np.complex64), np.eye(4)), place / "z.nii")
        nib.save(nib.Nifti1Image(mask.astype(np.uint8), np.eye(4)), place / "mask.nii")
        words = [need_program(PROGRAM, REMEDY), place / "z.nii", place / "out.nii"]
        words += ["-mask", place / "mask.nii", "-nthreads", "1", "-quiet"]
        run_program([str(word) for word in words])
        image = nib.as_closest_canonical(nib.load(place / "out.nii"))
        return np.asarray(image.dataobj, dtype=np.complex64)


def scored(data: np.ndarray, truth: np.ndarray, mask: np.ndarray, sigma: np.ndarray) -> dict:
    """NRMSE over all volumes; RMSE and bias, in σ, where the true signal is weak."""
    error, signal = (data - truth)[mask], truth[mask]
    over = error / sigma[mask][:, None]
    weak = signal < WEAK * sigma[mask][:, None]
    scores = {
        "nrmse": round(float(np.sqrt(np.mean(error**2) / np.mean(signal**2))), 4),
        "bias_over_sigma": round(float(over.mean()), 4),
        "weak_share": round(float(weak.mean()), 4),
    }
    if weak.mean() > 1e-3:
        scores["weak_rmse_over_sigma"] = round(float(np.sqrt(np.mean(over[weak] ** 2))), 4)
        scores["weak_bias_over_sigma"] = round(float(over[weak].mean()), 4)
    return scores


if __name__ == "__main__":
    main()
