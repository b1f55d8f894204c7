"""In which order: denoising, unringing, and the interpolation of motion correction.

``pip install trxscan; python -m benchmarks.order_of_steps [--seed 331] [--snr 20]``

A head that moves from volume to volume and rings (`moving_head.py`), with white Rician noise.
Each order of steps ends with the volumes put back by their **true** motion, one interpolation by
cubic splines, so that an order's error is not that of a registration. Errors are against the head
at rest without ringing or noise (``nrmse``; FA), and against the same steps on the same moved and
ringing scan without noise (``noise_part``): the rest, of interpolation and ringing, no denoiser
can remove. Registration is measured apart: the rigid motion that DIPY finds between a DWI and the
first b0 of a partly processed scan, against the true one, in mm over the head.

What dwiser says of earlier steps is asked of each scan that some order hands to the denoiser.
Unringing is MRtrix3's ``mrdegibbs``, a peer's denoising MRtrix3's ``dwidenoise``.
Phantoms' seeds are 300 to 399.
"""

import argparse
import logging
import subprocess
import tempfile
import warnings
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from dipy.align import affine_registration
from jaxtyping import Float

from benchmarks.moving_head import Scene, resampled, scene
from benchmarks.phantom_options import published_seed, voxels
from benchmarks.record import recorded, rounded, save, stamp
from benchmarks.textured import nrmse
from dwiser.errors import DwiserWarning
from dwiser.evaluation.tensor import fit_tensor
from dwiser.methods.peers.programs import need_program
from dwiser.methods.registry import build
from dwiser.prepare.earlier_steps import earlier_steps, noise_traces
from dwiser.run import denoise
from dwiser.scan import Scan

NAME = "order_of_steps"
UNRING, ALIGN = "mrdegibbs", "align"
DENOISERS = ("splitq", "dwidenoise")
Steps = tuple[str, ...]
ORDERS: tuple[Steps, ...] = (
    (ALIGN,),
    (UNRING, ALIGN),
    *(
        order
        for name in DENOISERS
        for order in (
            (name, ALIGN), (name, UNRING, ALIGN), (UNRING, name, ALIGN), (ALIGN, name),
            (UNRING, ALIGN, name),
        )
    ),
)  # fmt: skip
REGISTERED: tuple[Steps, ...] = (
    (), (UNRING,), ("splitq",), ("dwidenoise",), ("splitq", UNRING), (UNRING, "splitq"),
)  # fmt: skip
HANDED_OVER: tuple[Steps, ...] = (
    (), (UNRING,), (ALIGN,), (UNRING, ALIGN), ("splitq",), ("dwidenoise",),
)  # fmt: skip
EVERY = 6  # DWI is registered
PIPELINE = ["translation", "rigid"]  # of DIPY's affine_registration, with its default settings


@dataclass
class Study:
    """One scene and its scan, and what the steps have made of it so far."""

    scene: Scene
    scan: Float[np.ndarray, "x y z v"]
    done: dict[Steps, np.ndarray] = field(default_factory=dict)

    def after(self, steps: Steps) -> np.ndarray:
        """The scan after these steps; each is taken once."""
        if not steps:
            return self.scan
        if steps not in self.done:
            self.done[steps] = self._taken(steps[-1], steps[:-1])
        return self.done[steps]

    def scan_after(self, steps: Steps) -> Scan:
        table = self.scene.turned if ALIGN in steps else self.scene.gradients
        return Scan(self.after(steps), self.scene.affine, table)

    def _taken(self, step: str, before: Steps) -> np.ndarray:
        data = self.after(before)
        if step == UNRING:
            return mrdegibbs(data, self.scene.affine)
        if step == ALIGN:
            pairs = zip(np.moveaxis(data, -1, 0), self.scene.poses, strict=True)
            back = [resampled(volume, pose, self.scene.affine) for volume, pose in pairs]
            return np.stack(back, axis=-1).clip(0)
        return denoise(self.scan_after(before), build(step), threads=1, device="cpu").data


def mrdegibbs(data: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """MRtrix3's, with its default settings: along x and y of each slice."""
    program = need_program("mrdegibbs", "install MRtrix3")
    with tempfile.TemporaryDirectory() as name:
        before, after = Path(name, "in.nii"), Path(name, "out.nii")
        nib.save(nib.Nifti1Image(data, affine), before)
        words = [program, before, after, "-quiet", "-nthreads", "0"]
        subprocess.run([str(word) for word in words], check=True)
        return np.asarray(nib.load(after).dataobj, np.float32)


def errors(study: Study, clean: Study, steps: Steps) -> dict[str, float]:
    """Against the head at rest, and against the same steps without noise."""
    made, head = study.after(steps), study.scene
    without = clean.after(tuple(step for step in steps if step not in DENOISERS))
    scores = nrmse(made, head.truth, head.turned, head.mask)
    scores["noise_part"] = nrmse(made, without, head.turned, head.mask)["nrmse"]
    true, fitted = (fit_tensor(x, head.turned, head.mask) for x in (head.truth, made))
    error = (fitted.fa - true.fa)[head.mask]
    return scores | {
        "fa_rmse": rounded(float(np.sqrt(np.square(error).mean()))),
        "fa_bias": rounded(float(error.mean())),
        "fa_bias_above_.45": rounded(float(error[true.fa[head.mask] > 0.45].mean())),
    }


def registration(study: Study, steps: Steps) -> dict[str, Any]:
    """Distance of the estimated from the true motion, the mean over the head, by volume."""
    data, head = study.after(steps), study.scene
    inside = np.argwhere(head.mask) @ head.affine[:3, :3].T + head.affine[:3, 3]
    first, still = int(np.flatnonzero(head.gradients.is_b0)[0]), []
    chosen = np.flatnonzero(~head.gradients.is_b0)[::EVERY]
    distances = []
    for v in chosen:
        _, estimate = affine_registration(
            data[..., v], data[..., first], moving_affine=head.affine, static_affine=head.affine,
            pipeline=PIPELINE,
        )  # fmt: skip
        true = head.poses[v] @ np.linalg.inv(head.poses[first])
        distances.append(distance(estimate, true, inside))
        still.append(distance(np.eye(4), true, inside))
    return {
        "mm": [rounded(d) for d in distances],
        "median_mm": rounded(float(np.median(distances))),
        "worst_mm": rounded(max(distances)),
        "median_mm_without": rounded(float(np.median(still))),
    }


def distance(one: np.ndarray, other: np.ndarray, points: np.ndarray) -> float:
    """Mean distance of the points' images under two affines."""
    apart = one - other
    return float(np.linalg.norm(points @ apart[:3, :3].T + apart[:3, 3], axis=1).mean())


def remarks(study: Study, steps: Steps) -> dict[str, Any]:
    """What is said of earlier steps, and the measures that it is said from."""
    scan = study.scan_after(steps)
    traces = noise_traces(scan)
    return {"sentences": earlier_steps(scan), "traces": traces and asdict(traces)}


def label(steps: Steps) -> str:
    return " → ".join(steps) or "as scanned"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=voxels, default="44,52,12", help="of the scanned grid")
    parser.add_argument("--voxel", type=float, default=2.5, help="mm")
    parser.add_argument("--directions", type=int, default=30)
    parser.add_argument("--b0", type=int, default=4)
    parser.add_argument("--snr", type=float, default=20.0, help="of b0s in white matter")
    parser.add_argument("--seed", type=published_seed, default=331, help="300 to 399")
    asked = parser.parse_args()
    try:
        import trxscan
    except ImportError:
        parser.error("this benchmark needs trxscan: pip install trxscan")
    warnings.simplefilter("ignore", DwiserWarning)
    logging.disable(logging.INFO)
    x, y, z = asked.shape
    head = scene(trxscan, (x, y, z), asked.directions, asked.b0, asked.voxel, asked.seed)
    sigma = head.sigma_for(asked.snr)
    study, clean = Study(head, head.scanned(sigma, asked.seed)), Study(head, head.scanned(0.0, 0))
    about = {"trxscan": version("trxscan"), "dipy": version("dipy"), "mrtrix3": mrtrix_version()}
    case = {**stamp(asked.seed), "others": about, "snr": asked.snr, "shape": [x, y, z]}
    case |= {"voxel": asked.voxel, "directions": asked.directions, "b0": asked.b0}
    parts: dict[str, dict[str, Any]] = {"orders": {}, "without_noise": {}, "remarks": {}}
    parts["registration"] = {}
    cases = recorded(NAME, {}).get("cases", {})

    def note(part: str, name: str, row: dict[str, Any]) -> Path:
        parts[part][name] = row
        print(part, name, {k: v for k, v in row.items() if k != "mm"}, flush=True)
        cases[f"seed {asked.seed}, SNR {asked.snr:g}"] = case | parts
        return save(NAME, asked.seed, {"cases": cases})

    for steps in ORDERS:
        path = note("orders", label(steps), errors(study, clean, steps))
    for steps in ((ALIGN,), (UNRING, ALIGN)):
        path = note("without_noise", label(steps), errors(clean, clean, steps))
    for steps in HANDED_OVER:
        path = note("remarks", label(steps), remarks(study, steps))
    for steps in ((), (UNRING,)):
        path = note("remarks", f"{label(steps)}, without noise", remarks(clean, steps))
    for steps in REGISTERED:
        path = note("registration", label(steps), registration(study, steps))
    for steps in ((), (UNRING,)):
        path = note("registration", f"{label(steps)}, without noise", registration(clean, steps))
    print(path)


def mrtrix_version() -> str:
    program = need_program("mrdegibbs", "install MRtrix3")
    text = subprocess.run([program, "-version"], capture_output=True, text=True, check=True).stdout
    return text.split("==")[1].split()[-1]  # "== mrdegibbs 3.0.3 =="


if __name__ == "__main__":
    main()
