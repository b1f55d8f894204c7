"""Figure 4: streamlines of a bundle for each method, their density and their coherency.

``python -m reproduce.figure4 here [--data HARDI.nii.gz]``. Probabilistic CSD tracking (30°, step
0.5 mm), kernel D33 = 1, D44 = 0.02, t = 1, RFBC > 0.125: the poster's. Their bundle is the optic
radiation. Here it is a phantom's arcuate bundle, as bent and as crossed by others, whose true
course is known: so streamlines are also valid or invalid; and a real scan's callosum, tracked from
its middle to both sides. "Noisy_filtering" is the noisy scan's coherent ones.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import binary_dilation

from dwiser.prepare.box import Box
from dwiser.prepare.mask import object_mask
from reproduce.arms import ALL, DIFUSION, DIP, NOISY, PREDICTED, denoised
from reproduce.claims import (
    AgainstNoisy,
    Claim,
    Told,
    at_budget,
    listed,
    row_name,
    table,
    verdict,
)
from reproduce.data import cut, made, nrmse
from reproduce.density import Course, drawn, tracked
from reproduce.poster import poster
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main, on_gpu
from reproduce.regions import Callosum, Tract
from reproduce.scores import PHANTOM, REAL, SOURCES

BUNDLE, CALLOSUM = "arcuate L", "callosum"
TRUTH, FILTERED = "truth", "Noisy_filtering"
METHODS = {name: words for name, words in (ALL | DIP).items() if name != "MPPCA"}
OF_INTEREST = DIFUSION, PREDICTED
AROUND, BROAD = 4, 3  # voxels around the bundle that are denoised, and that are tracked in
SIDE_MM = 14.0  # from the callosum's middle: where its streamlines are expected on both sides
WHITE_FA = 0.2  # of the raw scan: where the real scan is tracked
SMOKE = Setting((26, 30, 26), 15, 2, preset="smoke", iterations=2,
                more={"methods": (NOISY,), "crop": None})  # fmt: skip
HERE = Setting(
    (40, 48, 40),
    28,
    4,
    iterations=200,
    seeds=1,
    more={"methods": tuple(METHODS), "crop": (44, 8, 22)},
)
SETTINGS = {
    "smoke": SMOKE,
    "here": HERE,
    "gpu": on_gpu(HERE),
    "full": replace(FULL, seeds=1, more={"methods": tuple(METHODS), "crop": (0, 0, 0)}),
}  # fmt: skip


def measure(run: Run) -> Record:
    course, truth, mask = in_phantom(run)
    rows = [{"source": PHANTOM, **tracked(TRUTH, truth, course, run.seed)}]
    rows += compared(run, PHANTOM, course, truth, mask)
    maps = {PHANTOM: course.told()}
    callosum, name = Callosum.of(run)
    if callosum is not None:
        there = in_callosum(callosum)
        rows += compared(run, REAL, there)
        maps[REAL] = there.told()
    return {"bundle": BUNDLE, "bundle_voxels": int(course.inside.sum()), "real_scan": name,
            "places": maps, "rows": rows}  # fmt: skip


def compared(
    run: Run,
    source: str,
    course: Course,
    truth: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    rows = []
    for label in run.setting["methods"]:
        data = denoised(METHODS[label], course.scan, run, run.seed).data
        row: dict[str, Any] = {"source": source, **tracked(label, data, course, run.seed)}
        if truth is not None and mask is not None:
            row["nrmse"] = nrmse(data, truth, mask, ~course.scan.gradients.is_b0)
        rows.append(row)
        run.say(f"{source}: {label}")
    return rows


def in_phantom(run: Run) -> tuple[Course, np.ndarray, np.ndarray]:
    """The phantom around its bundle, seen from the side; its noiseless signal and mask there."""
    phantom = made(run, run.seed)
    tract = Tract.of(run.setting.shape, run.seed, BUNDLE)
    box = Box.around(binary_dilation(tract.inside, iterations=AROUND)).index
    near = binary_dilation(tract.inside, iterations=BROAD)[box] & phantom.mask[box]
    course = Course(
        cut(phantom.scan, box), near, tract.start[box], (tract.end[box],), tract.inside[box],
        phantom.tissues["wm"][box], axis=0,
    )  # fmt: skip
    return course, phantom.truth[box], phantom.mask[box]


def in_callosum(callosum: Callosum) -> Course:
    """A real scan's callosum, seeded in its middle, tracked to both sides, seen from the front."""
    x = np.indices(callosum.inside.shape)[0] * callosum.scan.voxel_size[0]
    middle = x[callosum.inside].mean()
    sides = x < middle - SIDE_MM, x > middle + SIDE_MM
    white = object_mask(callosum.scan) & (callosum.maps.fa > WHITE_FA)
    return Course(
        callosum.scan, white, callosum.inside, sides, callosum.inside, callosum.maps.fa, axis=1
    )


def draw(record: Record) -> Figure:
    rows = [r | {"method": row_name(r["method"], record["size"])} for r in record["rows"]]
    return drawn(record | {"rows": rows}, {PHANTOM: f"phantom, {record['bundle']} bundle",
                                             REAL: f"real scan, {CALLOSUM}"})  # fmt: skip


def tell(record: Record) -> Told:
    printed = poster()["figure4"]["streamlines"]
    claims, lines = [], []
    for source in record["places"]:
        rows = [r for r in record["rows"] if r["source"] == source]
        scored = {r["method"]: r for r in rows if "median" in r}
        told = record["real_scan"] if source == REAL else "The phantom"
        lines += [f"**{told}**", "", *_table(record, rows, scored, printed, source)]
        claims += _claims(record, rows, scored, source)
    shares = {r["method"]: r["valid"] / max(1, r["started"]) for r in record["rows"]
              if r["source"] == PHANTOM}  # fmt: skip
    over = [m for m, share in shares.items() if share > shares[TRUTH]]
    lines += [
        f"The phantom's bundle is its {record['bundle']}, {record['bundle_voxels']} voxels; the "
        "real scan's is its callosum. The poster's is the optic radiation, so its counts are of "
        "another bundle. Started: from one end (the callosum: its middle). Arrived: at the other "
        "end (the callosum: at both sides). Coherent: of up to 1000 that arrived, RFBC above "
        "0.125. Valid: arrived and at least 90 % inside the true bundle; invalid: all others. "
        f"Even without noise most streamlines leave the bundle where others cross it: "
        f"{shares[TRUTH]:.0%} are valid in the truth. That is the aim: more than that "
        f"({listed([row_name(m, record['size']) for m in over])}) is no merit of its own.",
        "",
        "Pictures: streamlines in each voxel, the most along the view, on one logarithmic scale "
        "for each scan; above what is valid (arrives), below all others; outlined in orange the "
        "true bundle (the seeds). P, A, L, R: towards the back, the front, the left, the right.",
        "",
    ]
    return Told(claims, lines)


def _table(
    record: Record,
    rows: list[dict[str, Any]],
    scored: dict[str, Any],
    printed: dict[str, Any],
    source: str,
) -> list[str]:
    heads = ["", "poster's count", "started", "arrived", "coherent", "median RFBC"]
    known = source == PHANTOM
    cells = []
    for row in rows:
        name, well = row["method"], row["method"] in scored
        shown = row_name(name, record["size"])
        cell = [shown, str(printed.get(name, "–")), f"{row['started']}", f"{row['found']}"]
        cell += [f"{row['coherent']}", f"{row['median']:.3f}"] if well else ["–", "–"]
        cells.append(cell + ([f"{row['valid']}", f"{row['invalid']}"] if known else []))
    if NOISY in scored:
        coherent = str(scored[NOISY]["coherent"])
        cell = [FILTERED, str(printed[FILTERED]), "–", coherent, coherent, "–"]
        cells.append(cell + (["–", "–"] if known else []))
    return table([*heads, *(["valid", "invalid"] if known else [])], cells)


def alone(record: Record, method: str) -> AgainstNoisy:
    """The error of a method's result on the phantom, and of the noisy scan."""
    rows = [r for r in record["rows"] if r["source"] == PHANTOM]
    error = {r["method"]: r.get("nrmse") for r in rows}
    return AgainstNoisy("its result", "NRMSE on the phantom", error.get(method), error.get(NOISY))


def _claims(
    record: Record, rows: list[dict[str, Any]], scored: dict[str, dict[str, Any]], source: str
) -> list[Claim]:
    if NOISY not in scored:
        return []
    noisy, claims = scored[NOISY], []
    for row in (r for r in rows if r["method"] in OF_INTEREST):
        shown, footing = row_name(row["method"], record["size"]), alone(record, row["method"])
        name = f"Figure 4: fewer streamlines at a high coherency ({shown}, {SOURCES[source]})"
        if row["method"] not in scored:
            told = f"{row['found']} streamlines arrive: there is nothing to be coherent."
            claims.append(at_budget(Claim(name, verdict(False), told), record["size"], footing))
            continue
        fewer, denser = row["found"] < noisy["found"], row["median"] >= noisy["median"]
        told = (
            f"{row['found']} streamlines arrive, median RFBC {row['median']:.3f}; the noisy scan "
            f"{noisy['found']} and {noisy['median']:.3f}, {noisy['coherent']} of them coherent."
        )
        if source == PHANTOM:
            told += (
                f" Valid of those that start in the bundle: {_share(row):.0%}, the noisy scan's "
                f"{_share(noisy):.0%}, the truth's {_share(scored[TRUTH]):.0%}."
            )
        claim = Claim(name, verdict(fewer and denser), told)
        claims.append(at_budget(claim, record["size"], footing))
    return claims


def _share(row: dict[str, Any]) -> float:
    return float(row["valid"] / max(1, row["started"]))


EXPERIMENT = Experiment(
    "figure4",
    "Figure 4: a bundle's streamlines, their density and coherency",
    SETTINGS,
    measure,
    tell,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
