"""Power of the verdict: what harms a scan is caught, for its right reason; and real scans.

``python -m benchmarks.verdict_power [--data DIR] [--old SRC]``

On a textured phantom: the default method's result as it is, then blurred, with the mean DWI for
every volume, with a lesion erased, with one invented; and Patch2Self on a scan of strong
anisotropy. With ``--data``, the folder of the real scans, the default method on each that is
there. With ``--old`` too, the ``src`` folder of commit cfb6393 (``git archive cfb6393 src``): that
version's default method on ``sherbrooke_1p8mm``, which took the signal's shape away. The record is
that of `false_alarms`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.false_alarms import DIGITS, NAME, SEEDS
from benchmarks.record import recorded, rounded, save, stamp
from dwiser.errors import DwiserWarning, InputError
from dwiser.io import load
from dwiser.methods.base import Denoised
from dwiser.methods.registry import DEFAULT_METHOD, build
from dwiser.run import denoise
from dwiser.run.judging import judgement
from dwiser.scan import Scan
from dwiser.simulation import Simulation, phantom

SEED = SEEDS[-1]
HEAD = {"shells": ((1000.0, 64),), "n_b0": 6, "snr": 20.0, "sigma_map": "gfactor",
        "lesions": True, "texture": 0.3}  # fmt: skip
STRONG = {"shells": ((2000.0, 32),), "n_b0": 4, "snr": 40.0, "texture": 0.3}  # shape above noise
SHAPE = (48, 56, 16)
BRIGHTER = 1.4  # an invented lesion, 2 voxels in radius
SLICES = {  # of the scans that are cut: whole ones are not
    "sherbrooke_1p8mm": slice(28, 52), "sherbrooke_1p2mm": slice(40, 64),
    "toshiba_galan_12dir": slice(None), "philips_dstream_15dir": slice(None),
    "spherical_btensor": slice(None),
}  # fmt: skip
OLD_SCAN = "sherbrooke_1p8mm"
OLD = (
    "import sys, numpy as np; from dwiser.io import load; from dwiser.run import denoise; "
    "from dataclasses import replace; s = load(sys.argv[1]); "
    "s = replace(s, data=s.data[:, :, {0}:{1}].copy(order='F')); "
    "r = denoise(s, threads=1, device='cpu'); "
    "np.savez(sys.argv[2], data=r.data, sigma=r.sigma, mask=r.mask, "
    "coils=r.record.get('coils') or 0)"
)


def verdict_row(scan: Scan, result: Denoised, expected: str | None) -> dict[str, Any]:
    """Level and reasons; ``expected`` is the code that is right, "" for no FAIL."""
    tests = judgement(scan, result, seed=0)
    if tests.judged is None:
        return {"level": None, "why": tests.why}
    verdict = tests.judged.verdict
    reasons = [{"code": r.code, "level": r.level, "words": r.words} for r in verdict.reasons]
    row: dict[str, Any] = {"level": verdict.level, "reasons": reasons, "notes": [*verdict.notes]}
    if expected is not None:
        caught = expected in {r.code for r in verdict.reasons}
        row |= {"expected": expected or "no FAIL"}
        row["right"] = caught if expected else verdict.level != "FAIL"
    plain: dict[str, Any] = rounded(row, DIGITS)
    return plain


def harmed(made: Simulation, result: Denoised) -> Iterator[tuple[str, str, np.ndarray]]:
    """Name, the code that is right, and the image."""
    data, mask = result.data, made.mask
    yield "as it is", "", data
    yield "blur of 1.6 voxels FWHM", "anatomy", gaussian_filter(made.scan.data, (0.7, 0.7, 0.7, 0))
    dwis = ~made.scan.gradients.is_b0
    mean = data.copy()
    mean[..., dwis] = made.scan.data[..., dwis].mean(-1, keepdims=True)
    yield "mean of all DWIs", "direction", mean
    lesion = next(x for x in made.record["lesions"] if x["kind"] == "diffusivity")
    where = made.lesions == lesion["label"]
    around = gaussian_filter(where.astype(float), 2) * ~(made.lesions > 0) * mask
    erased, volumes = data.copy(), list(lesion["volumes"])
    healthy = np.tensordot(around, data[..., volumes], 3) / around.sum()
    for v, value in zip(volumes, healthy, strict=True):
        erased[..., v][where] = value
    yield "lesion erased", "local", erased
    calm = mask & (made.tissues["wm"] > 0.9) & (made.lesions == 0)
    centre = np.argwhere(calm)[calm.sum() // 2]
    grid = np.stack(np.meshgrid(*map(np.arange, mask.shape), indexing="ij"), -1)
    invented = data.copy()
    invented[np.linalg.norm(grid - centre, axis=-1) <= 2] *= BRIGHTER
    yield "lesion invented", "local", invented


def power() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and row of each harm on phantoms."""
    made = phantom(SHAPE, seed=SEED, **HEAD)
    scan = replace(made.scan, mask=made.mask)
    result = denoise(scan, threads=1, device="cpu")
    for name, code, image in harmed(made, result):
        yield name, verdict_row(scan, replace(result, data=image.astype(np.float32)), code)
    made = phantom(SHAPE, seed=SEED, **STRONG)
    scan = replace(made.scan, mask=made.mask)
    own = denoise(scan, threads=1, device="cpu")
    yield f"{DEFAULT_METHOD}, strong anisotropy", verdict_row(scan, own, "")
    peer = denoise(scan, build("patch2self"), threads=1, device="cpu")
    peer = replace(peer, sigma=own.sigma, mask=own.mask, record=own.record)
    yield "patch2self, strong anisotropy", verdict_row(scan, peer, "angle")


def slab(folder: Path, name: str) -> Scan:
    whole = load(folder / name / "dwi.nii.gz")
    return replace(whole, data=whole.data[:, :, SLICES[name]].copy(order="F"))


def by_old(source: Path, folder: Path) -> dict[str, Any]:
    """Another version's default method, run by its own code, judged by this one's."""
    cut = SLICES[OLD_SCAN]
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "old.npz"
        words = [sys.executable, "-c", OLD.format(cut.start, cut.stop)]
        image = folder / OLD_SCAN / "dwi.nii.gz"
        environment = {**os.environ, "PYTHONPATH": str(source)}
        subprocess.run([*words, str(image), str(out)], env=environment, check=True)
        with np.load(out) as arrays:
            coils = float(arrays["coils"])
            result = Denoised(
                arrays["data"], arrays["sigma"], mask=arrays["mask"], coils=coils or None
            )
    return verdict_row(slab(folder, OLD_SCAN), result, "angle")


def real(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each real scan, cut, by the default method of this version."""
    for name in SLICES:
        if not (folder / name).is_dir():
            continue
        scan = slab(folder, name)
        about = {"shape": list(scan.shape)}
        try:
            result = denoise(scan, threads=1, device="cpu")
        except InputError as why:
            yield name, about | {"level": None, "why": str(why)}
            continue
        yield name, about | verdict_row(scan, result, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the real scans")
    parser.add_argument("--old", type=Path, help="src folder of commit cfb6393")
    parser.add_argument("--only-real", action="store_true", help="nothing on phantoms")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)

    def measure_part(part: str, rows: Callable[[], Iterator[tuple[str, dict[str, Any]]]]) -> None:
        for name, row in rows():
            figures = {k: v for k, v in recorded(NAME, {}).items() if k in PARTS}
            table = figures.setdefault(part, {})
            table[name] = {**row, "measured": stamp(SEED)}
            print(part, name, row, flush=True)
            save(NAME, SEEDS[0], figures)

    if not asked.only_real:
        measure_part("power", power)
    if asked.data is not None:
        measure_part("real", lambda: real(asked.data))
        if asked.old is not None:
            name = f"{DEFAULT_METHOD} of cfb6393, {OLD_SCAN}"
            measure_part("power", lambda: iter([(name, by_old(asked.old, asked.data))]))


PARTS = ("shape", "summary", "scans", "power", "real")

if __name__ == "__main__":
    main()
