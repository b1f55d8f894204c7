"""False alarms of the verdict: 60 simulated scans of all kinds, denoised by the default method.

``python -m benchmarks.false_alarms [--only N-M] [--draw 2] [--again]``

Each scan is drawn by its seed: SNR, directions, shells, law of the noise, g-factor, correlation,
texture, lesions, a mask or none. The default method denoises it with its own σ and mask; the
verdict's reasons stand beside what the truth says of each (`confirmation`). A scan that is on
record is not run again, so a run that was stopped goes on. The verdict was mended on the scans of
the first draw of settings; those of the second were judged when it was done, and those of the third
once, after splitq had changed.
"""

import argparse
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.confirmation import TrueResidual
from benchmarks.record import RESULTS, recorded, rounded, save, stamp
from dwiser.errors import DwiserWarning
from dwiser.methods.base import Denoised
from dwiser.methods.registry import DEFAULT_METHOD, build
from dwiser.run import denoise
from dwiser.run.judging import judgement
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import Simulation, phantom

NAME = "false_alarms"
SEEDS = range(700, 760)  # nothing was tuned on them
SHAPE = (40, 44, 12)
DIRECTIONS = (6, 12, 15, 20, 30, 32, 45, 60, 64, 90)
TWO_SHELLS = 24  # directions in all, from which there may be two shells
DIGITS = 4


@dataclass(frozen=True)
class Case:
    """One scan's settings, all drawn by its seed."""

    seed: int
    draw: int
    settings: dict[str, Any]
    mask_given: bool

    @property
    def label(self) -> str:
        return f"{self.draw}-{self.seed}"

    def made(self) -> Simulation:
        return phantom(SHAPE, seed=self.seed, **self.settings)


def case_of(seed: int, draw: int = 1) -> Case:
    """Half of the scans each: Rician, g-factor, texture, lesions, a mask; two fifths white."""
    rng = stream(seed, "false alarms" if draw == 1 else f"false alarms {draw}")
    directions = int(rng.choice(DIRECTIONS))
    bvals = [float(rng.choice([1000, 1500, 2000, 3000]))]
    if directions >= TWO_SHELLS and rng.random() < 0.4:
        bvals = [1000.0, float(rng.choice([2000, 3000]))]
    share = directions // len(bvals)
    channels = int(rng.choice([1, 1, 4, 8]))
    sampling = [(1.0, 1.0), (1.0, 1.0), (1.4, 1.0), (1.0, 0.75), (1.4, 0.75)]
    zero_fill, partial = sampling[rng.integers(len(sampling))]
    settings = {
        "shells": [(b, share) for b in bvals],
        "n_b0": int(rng.choice([1, 2, 4, 6])),
        "snr": round(float(np.exp(rng.uniform(np.log(5), np.log(60)))), 1),
        "noise": "rician" if channels == 1 else "nc-chi",
        "coils": channels,
        "sigma_map": str(rng.choice(["uniform", "gfactor"])),
        "zero_fill": zero_fill,
        "partial_fourier": partial,
        "texture": float(rng.choice([0.0, 0.3])),
        "lesions": bool(rng.random() < 0.5),
    }
    return Case(seed, draw, settings, bool(rng.random() < 0.5))


def denoised(case: Case, scan: Scan, folder: Path | None) -> tuple[Denoised, float | None]:
    """The default method's result and its CPU seconds; kept in ``folder``, and read from there."""
    file = None if folder is None else folder / f"{case.label}.npz"
    if file is not None and file.exists():
        with np.load(file) as arrays:
            coils = float(arrays["coils"])
            data, sigma, mask = arrays["data"], arrays["sigma"], arrays["mask"]
        return Denoised(data, sigma, mask=mask, coils=coils or None), None
    begun = process_time()
    result = denoise(scan, build(DEFAULT_METHOD), threads=1, device="cpu", seed=case.seed)
    took = process_time() - begun
    if file is not None and result.sigma is not None and result.mask is not None:
        coils = result.coils or 0.0
        np.savez(file, data=result.data, sigma=result.sigma, mask=result.mask, coils=coils)
    return result, round(took, 1)


def row(case: Case, folder: Path | None = None) -> dict[str, Any]:
    """The verdict over one scan, and what the truth says about each of its reasons."""
    made = case.made()
    scan = replace(made.scan, mask=made.mask) if case.mask_given else made.scan
    result, took = denoised(case, scan, folder)
    tests = judgement(scan, result, seed=case.seed)
    out: dict[str, Any] = {**case.settings, "mask_given": case.mask_given, "level": None}
    out |= {"cpu_seconds": took, "why": tests.why, "reasons": []}
    if tests.judged is None or tests.residual is None or result.sigma is None:
        return out
    true = TrueResidual(made, result.data, result.sigma, tests.residual, case.settings["coils"])
    verdict = tests.judged.verdict
    out |= {"level": verdict.level, "notes": list(verdict.notes), "reading": true.residual.reading}
    out |= {"coils_estimated": tests.residual.coils, "sigma_ratio": true.sigma_ratio}
    out["reasons"] = []
    for reason in verdict.reasons:
        confirmed, own = true.confirms(reason, tests.judged.findings)
        about = {"code": reason.code, "level": reason.level, "confirmed": confirmed}
        out["reasons"].append(about | own | {"words": reason.words})
    plain: dict[str, Any] = rounded(out, DIGITS)
    return plain


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How often each level, and how often a WARN that the truth does not confirm."""
    levels = Counter(str(r["level"]) for r in rows.values())
    unconfirmed = {
        label: [x["code"] for x in r["reasons"] if not x["confirmed"]] for label, r in rows.items()
    }
    false = [label for label, r in rows.items() if r["reasons"] and not any(
        x["confirmed"] for x in r["reasons"])]  # fmt: skip
    return {
        "scans": len(rows), "levels": dict(levels), "false_alarms": sorted(false),
        "unconfirmed_reasons": {k: v for k, v in sorted(unconfirmed.items()) if v},
    }  # fmt: skip


def by_draw(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A summary for each draw of settings."""
    draws = sorted({label.split("-")[0] for label in rows})
    of = {d: {k: r for k, r in rows.items() if k.startswith(f"{d}-")} for d in draws}
    return {f"draw {d}": summary(part) for d, part in of.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=f"{SEEDS[0]}-{SEEDS[-1]}", help="seeds, first-last")
    parser.add_argument("--draw", type=int, default=1, help="of the settings: 1, 2, 3 …")
    parser.add_argument("--again", action="store_true", help="those on record too")
    parser.add_argument("--keep", type=Path, help="folder of denoised scans, to be judged again")
    asked = parser.parse_args()
    first, _, last = asked.only.partition("-")
    chosen = range(int(first), int(last or first) + 1)
    if chosen[0] not in SEEDS or chosen[-1] not in SEEDS:
        parser.error(f"--only must lie within {SEEDS[0]}-{SEEDS[-1]}")
    warnings.simplefilter("ignore", DwiserWarning)
    for seed in chosen:
        case = case_of(seed, asked.draw)
        if case.label in recorded(NAME, {}).get("scans", {}) and not asked.again:
            continue
        measured = {**row(case, asked.keep), "measured": stamp(seed)}
        record = recorded(NAME, {})
        rows = dict(sorted({**record.get("scans", {}), case.label: measured}.items()))
        save(
            NAME, SEEDS[0], {"shape": SHAPE, "summary": by_draw(rows), "scans": rows}
            | {k: record[k] for k in ("power", "real") if k in record},
        )  # fmt: skip
        told = {k: v for k, v in rows[case.label].items() if k not in ("measured", "notes")}
        print(seed, told, flush=True)
    print(RESULTS / f"{NAME}.json")


if __name__ == "__main__":
    main()
