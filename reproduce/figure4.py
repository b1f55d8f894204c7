"""Figure 4: streamlines of a bundle for each method, and their fibre-to-bundle coherency.

``python -m reproduce.figure4 here``. Probabilistic CSD tracking (30°, step 0.5 mm), kernel D33 = 1,
D44 = 0.02, t = 1, RFBC > 0.125: the poster's. Their bundle is the optic radiation; here it is a
phantom's arcuate bundle, as bent and as crossed by others, and its true course is known: so
streamlines are also valid or invalid. "Noisy_filtering" is the noisy scan's coherent ones.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import binary_dilation

from dwiser.evaluate.records import CannotMeasure
from dwiser.evaluate.tracts import bundle, coherency, validity
from dwiser.prepare.box import Box
from dwiser.scan import Scan
from reproduce.arms import ALL, DIFUSION, DIP, NOISY, PREDICTED, SPLITQ, denoised
from reproduce.claims import Claim, Told, listed, table, verdict
from reproduce.data import made
from reproduce.poster import poster
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main
from reproduce.regions import Tract
from reproduce.style import canvas, dot, titled

BUNDLE = "arcuate L"
TRUTH, FILTERED = "truth", "Noisy_filtering"
METHODS = {name: words for name, words in (ALL | DIP).items() if name != "MPPCA"}
OF_INTEREST = DIFUSION, PREDICTED, SPLITQ
AROUND, BROAD = 4, 3  # voxels around the bundle that are denoised, and that are tracked in
SMOKE = Setting((26, 30, 26), 15, 2, preset="smoke", iterations=2,
                more={"methods": (NOISY,)})  # fmt: skip
SETTINGS = {
    "smoke": SMOKE,
    "here": Setting((40, 48, 40), 28, 4, iterations=200, seeds=1,
                    more={"methods": tuple(METHODS)}),
    "full": replace(FULL, seeds=1, more={"methods": tuple(METHODS)}),
}  # fmt: skip


def measure(run: Run) -> Record:
    phantom = made(run, run.seed)
    tract = Tract.of(run.setting.shape, run.seed, BUNDLE)
    box = Box.around(binary_dilation(tract.inside, iterations=AROUND)).index
    affine = phantom.scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([part.start for part in box])
    near = binary_dilation(tract.inside, iterations=BROAD)[box] & phantom.mask[box]
    cut = Tract(tract.inside[box], tract.start[box], tract.end[box])
    scan = Scan(phantom.scan.data[box].copy(), affine, phantom.scan.gradients)
    rows = [tracked(TRUTH, phantom.truth[box], scan, near, cut, run.seed)]
    for label in run.setting["methods"]:
        data = denoised(METHODS[label], scan, run, run.seed).data
        rows.append(tracked(label, data, scan, near, cut, run.seed))
        run.say(label)
    return {"bundle": BUNDLE, "bundle_voxels": int(tract.inside.sum()), "rows": rows}


def tracked(
    label: str, data: np.ndarray, scan: Scan, near: np.ndarray, tract: Tract, seed: int
) -> dict[str, Any]:
    """Streamlines from one end, the valid ones, and those that reach the other end: coherency."""
    row: dict[str, Any] = {"method": label}
    try:
        from_start = bundle(data, scan.gradients, near, scan.affine, tract.start, seed=seed)
        row |= vars(validity(from_start, scan.affine, tract.inside, (tract.start, tract.end)))
        through = bundle(data, scan.gradients, near, scan.affine, tract.start, tract.end, seed=seed)
        return row | vars(coherency(through, scan.affine, seed=seed))
    except CannotMeasure as why:
        return row | {"why": str(why)}


def draw(record: Record) -> Figure:
    rows = [r for r in record["rows"] if "median" in r]
    figure, axes = canvas(3, panel=3.2)
    places = np.arange(len(rows))[::-1]
    for i, (row, place) in enumerate(zip(rows, places, strict=True)):
        style = dot(i)
        axes[0].plot(row["found"], place, **style)
        axes[1].plot([row["q1"], row["q3"]], [place, place], color=style["color"], linewidth=2)
        axes[1].plot(row["median"], place, **style)
        axes[2].plot(row["valid"] / (row["valid"] + row["invalid"]), place, **style)
    titled(axes[0], f"streamlines of the {record['bundle']} bundle", "count", "")
    titled(axes[1], "their coherency: median and quartiles", "RFBC", "")
    titled(axes[2], "valid of those that start in it", "share", "")
    axes[0].set_yticks(places, [r["method"] for r in rows], fontsize=8)
    for ax in axes:
        ax.grid(axis="y", color="0.9", linewidth=0.6)
        ax.set_xlim(left=0)
    for ax in axes[1:]:
        ax.set_yticks(places, [])
    return figure


def tell(record: Record) -> Told:
    printed = poster()["figure4"]["streamlines"]
    found = {r["method"]: r for r in record["rows"] if "median" in r}
    cells = []
    for name, row in found.items():
        told = str(printed.get(name, "–"))
        cells.append([name, f"{row['found']}", told, f"{row['coherent']}", f"{row['median']:.3f}",
                      f"{row['valid']}", f"{row['invalid']}"])  # fmt: skip
    if NOISY in found:
        kept = str(found[NOISY]["coherent"])
        cells.append([FILTERED, kept, str(printed[FILTERED]), kept, "–", "–", "–"])
    heads = ["", "streamlines", "poster's", "coherent", "median RFBC", "valid", "invalid"]
    lost = [f"{r['method']}: {r['why']}." for r in record["rows"] if "why" in r]
    lines = [
        *table(heads, cells),
        f"The phantom's {record['bundle']} bundle, {record['bundle_voxels']} voxels; the poster's "
        "is the optic radiation, so its counts are of another bundle. Streamlines: from one end "
        "to the other. Coherent: of up to 1000 of them, RFBC above 0.125.",
        *lost,
        "",
    ]
    none = [r["method"] for r in record["rows"] if "why" in r and r["method"] in OF_INTEREST]
    lost_all = [
        Claim(
            f"Figure 4: fewer streamlines at a high coherency ({name})",
            verdict(False),
            "No streamline runs through the bundle: there is nothing to be coherent.",
        )
        for name in none
    ]
    return Told(lost_all + _claims(found), lines)


def _claims(found: dict[str, dict[str, Any]]) -> list[Claim]:
    if NOISY not in found:
        return []
    noisy, claims = found[NOISY], []
    share = {m: r["valid"] / (r["valid"] + r["invalid"]) for m, r in found.items()}
    best = sorted((m for m in share if m != TRUTH), key=lambda m: -share[m])
    for name in (n for n in OF_INTEREST if n in found):
        row = found[name]
        fewer, denser = row["found"] < noisy["found"], row["median"] >= noisy["median"]
        claims.append(
            Claim(
                f"Figure 4: fewer streamlines at a high coherency ({name})",
                verdict(fewer and denser),
                f"{row['found']} streamlines, median RFBC {row['median']:.3f}; the noisy scan "
                f"{noisy['found']} and {noisy['median']:.3f}, of which {noisy['coherent']} are "
                f"coherent. Valid of those that start in the bundle: {share[name]:.0%}, the noisy "
                f"scan's {share[NOISY]:.0%}, the truth's {share[TRUTH]:.0%}; best are "
                f"{listed(best[:3])}.",
            )
        )
    return claims


EXPERIMENT = Experiment(
    "figure4", "Figure 4: a bundle's streamlines and their coherency", SETTINGS, measure, tell, draw
)

if __name__ == "__main__":
    main(EXPERIMENT)
