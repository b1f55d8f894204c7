"""The page of the learning curve, from its records alone: ``python -m reproduce.curve_page``.

Writes ``docs/results/learning-curve.md`` and a picture for each size that was run; ``--check``
writes nothing and ends with 1 if the page is stale. No number on the page is typed by hand.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dwiser.nets.compact import Compact
from reproduce.claims import listed, spread, table
from reproduce.curve_data import BRAIN, DATA, OIL, PHANTOM, TEXTURED
from reproduce.learning_curve import (
    ARMS,
    EXACT,
    FOLDER,
    FUSED,
    LATE,
    ONE_FLIP,
    REFERENCES,
    SHORT,
    SINGLE,
    SIZES,
    Row,
)
from reproduce.protocol import DPI, PASSES, RESULTS
from reproduce.style import NARROW, canvas, legend_below, line, titled
from reproduce.warm_start import APPLIED, COLD, WARM
from scripts.pages import write_or_check

PAGE = RESULTS / "learning-curve.md"
NAMES = {
    "adjacent": "Di-Fusion, the paper's pair",
    "angular": "Di-Fusion, nearest direction",
    "predicted": "Di-Fusion, predicted pair",
    "directions": "Di-Fusion, the paper's pair, directions told",
    "noise2noise": "Noise2Noise on the paper's pair",
}
SOURCES = {
    PHANTOM: "code phantom", TEXTURED: "textured phantom", BRAIN: "brain (sherbrooke_1p8mm)",
    OIL: "oil phantom",
}  # fmt: skip
SHOWN = ("paper", "compact")  # sizes of the page
NOISY = "noisy scan"
WAYS = LATE, ONE_FLIP, SHORT, FUSED, EXACT  # beside the single pass
WALKS = SHORT, FUSED, EXACT  # sampled with one flip an evaluation
SCORES = {
    "nrmse": "NRMSE of the DWIs",
    "fa_rmse": "RMSE of FA",
    "held_out_rmse": "error of held-out directions",
    "r2_raw": "R², raw",
}
OF_DATA = {
    PHANTOM: ("nrmse", "fa_rmse", "r2_raw"), TEXTURED: ("nrmse", "fa_rmse", "r2_raw"),
    BRAIN: ("held_out_rmse", "r2_raw"), OIL: ("nrmse",),
}  # fmt: skip
DIGITS = {"nrmse": 4, "fa_rmse": 4, "held_out_rmse": 4, "r2_raw": 3}
PAPER_WEIGHTS = 24_472_161  # of `nets.unet.UNet`, which takes seconds to build
STILL = 0.02  # of the error: what falls by more from one milestone to the next is falling still
FIRST = ("adjacent", PHANTOM), ("adjacent", OIL), ("directions", PHANTOM), ("adjacent", BRAIN)


@dataclass(frozen=True)
class Curves:
    """All records of one size."""

    size: str
    records: tuple[Row, ...]
    warm: tuple[Row, ...] = ()

    @classmethod
    def read(cls, size: str, folder: Path) -> "Curves":
        records, warm = (
            tuple(json.loads(path.read_text()) for path in sorted(folder.glob(f"{first}*.json")))
            for first in (f"{size}_", f"warm_{size}_")
        )
        return cls(size, records, warm)

    def of(self, arm: str, data: str) -> list[Row]:
        """The records of an arm, one a seed."""
        return [r for r in self.records if (r["arm"], r["data"]) == (arm, data)]

    def values(self, arm: str, data: str, way: str, score: str) -> dict[float, list[float]]:
        """Passes → the values of all seeds that got so far."""
        by_passes: dict[float, list[float]] = {}
        for record in self.of(arm, data):
            for row in record["rows"]:
                if row["way"] == way and score in row:
                    by_passes.setdefault(row["passes"], []).append(row[score])
        return dict(sorted(by_passes.items()))

    def means(self, arm: str, data: str, way: str, score: str) -> dict[float, float]:
        return {p: float(np.mean(v)) for p, v in self.values(arm, data, way, score).items()}

    def reference(self, data: str, way: str, score: str) -> float | None:
        """A method that is not trained, or the noisy scan."""
        rows = [row for r in self.of(REFERENCES, data) for row in r["rows"] if row["way"] == way]
        return rows[0].get(score) if rows else None

    @property
    def data(self) -> list[str]:
        """The scans that an arm was trained on."""
        return [d for d in DATA if any(self.of(arm, d) for arm in ARMS)]

    def arms(self, data: str) -> list[str]:
        return [arm for arm in ARMS if self.of(arm, data) and self.of(arm, data)[0]["rows"]]


def draw(curves: Curves) -> Figure:
    """A panel for each score of each scan: single passes, with the noisy scan as a dashed line."""
    panels = [(data, score) for data in curves.data for score in OF_DATA[data]]
    columns = min(3, len(panels))
    figure, axes = canvas(columns, -(-len(panels) // columns), panel=NARROW)
    for ax, (data, score) in zip(axes, panels, strict=False):
        for number, arm in enumerate(ARMS):
            by_passes = curves.means(arm, data, SINGLE, score)
            if by_passes:
                ax.plot(list(by_passes), list(by_passes.values()), label=NAMES[arm], **line(number))
        level = curves.reference(data, NOISY, score)
        if level is not None:
            ax.axhline(level, color="0.4", linewidth=1.2, linestyle="--", label=NOISY)
        ax.set_xscale("log")
        titled(ax, SOURCES[data], "passes over the scan", SCORES[score])
        if score != "held_out_rmse":
            ax.set_ylim(bottom=0)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    most = max(range(len(panels)), key=lambda i: len(axes[i].lines))
    legend_below(figure, axes[most], 2)
    return figure


def page(folder: Path = FOLDER) -> str:
    """The whole page in Markdown."""
    every = [Curves.read(size, folder) for size in SHOWN]
    lines = [*HEAD, *_waiting(every[0])]
    for curves in every:
        lines += _section(curves)
    return "\n".join(lines).rstrip() + "\n"


HEAD = [
    "# The learning curve",
    "",
    "<!-- Written by `python -m reproduce.curve_page` from the records: do not edit. -->",
    "",
    "What Di-Fusion's results are worth after so many passes over the scan that it learns from and "
    f"denoises. The poster trains for {PASSES} passes; a statement about fewer is a statement "
    "about a budget. One training at a constant rate is scored on its way: with the same weights "
    "in a **single pass** (one evaluation, at the first step of the chain), after the **exact "
    "walk** (76 evaluations of Run-Walk, Eq. 10, as published) and after the **re-fused walk** "
    "(each state made of x_out and x' as in training; once more after the first 60 of its 76 "
    "evaluations). *single, t = 8* is one evaluation near the end of the chain, where x itself is "
    "a ninth of the input; the `laptop` preset evaluates at t = 50. Nothing stops a walk early.",
    "",
    "The arms differ in what F is given: the *paper's pair* (x' is the volume before), the nearest "
    "direction of the shell, the linear prediction from all other volumes, or the paper's pair "
    "with F told the directions of x and x'. *Noise2Noise* is the same network without a chain.",
    "",
    "Phantoms: NRMSE of the DWIs, RMSE of FA, and R² of raw volumes that the tensor of the other "
    "denoised volumes predicts (where x' or a method draws on all volumes, they hold some noise of "
    "the raw one too, which flatters them). Brain: some directions are held out raw before "
    "anything is learned and predicted from the denoised others by spherical harmonics: RMSE over "
    "the signal's RMS, "
    "most of which is the held-out volumes' own noise, and R² in white matter. Oil: every volume "
    "is a repeat; every other one is learned from, and the mean of the rest, less its own noise, "
    "is the truth.",
    "",
    "`python -m reproduce.learning_curve ARM DATA --size compact` measures one arm on a CPU, "
    "`make gpu-curve ARM=… DATA=…` with the paper's network on a GPU; both end within 8 minutes "
    "and, called again, go on from their checkpoint. Each writes a record to "
    "`docs/results/learning_curve/`.",
    "",
]


def _waiting(paper: Curves) -> list[str]:
    """How far each arm of the paper's network is: a dash for what no GPU has run."""
    rows = []
    for arm in ARMS:
        cells = []
        for data in DATA:
            done = [row["passes"] for r in paper.of(arm, data) for row in r["rows"]]
            cells.append(f"{max(done):g} passes" if done else None)
        rows.append([f"`{arm}`", *cells])
    first = listed([f"`{arm} {data}`" for arm, data in FIRST])
    none = [] if paper.records else ["**No cell of it was measured: there was no GPU.** "]
    return [
        "## The paper's network",
        "",
        "".join(none) + f"First in line: {first}.",
        "",
        *_table(["arm", *(SOURCES[d] for d in DATA)], rows),
    ]


def _table(heads: list[str], rows: list[list[str | None]]) -> list[str]:
    return table(heads, [["–" if c is None else c for c in row] for row in rows])


def _section(curves: Curves) -> list[str]:
    if not curves.data:
        return []
    extent = SIZES[curves.size].extent
    first = next(r for r in curves.records if r["arm"] != REFERENCES)
    told = first["parameters"]
    lines = []
    if curves.size == "compact":
        across, high = extent.shape[:2]
        lines += [
            "## The compact network, on 8 slices",
            "",
            f"**This is not the paper's network.** It is the `laptop` preset's ({_share():.1%} of "
            "its weights), which two cores can train for as many passes; whole slices, batch "
            f"{told['batch']}, Adam at {told['learning_rate']:g} throughout (the preset's rate, "
            "without its cosine, which needs to know the end). Phantoms of "
            f"{across}×{high}×{extent.shape[2]} voxels, {extent.directions} directions, b0 SNR "
            f"{extent.snr:g}; the brain's middle {'×'.join(map(str, extent.box))} voxels, "
            f"{extent.real_directions} of its 64 directions; the oil's middle {extent.box[2]} "
            "slices. b0s pass through unchanged. The single passes are means over four flips; "
            "walks, and the single pass with one flip beside them, draw one flip an evaluation.",
            "",
        ]
    lines += [f"![Error, FA and R² against passes](learning-curve-{curves.size}.png)", ""]
    said = [sentence for data in curves.data for sentence in sentences(curves, data)]
    lines += ["**What it says**", "", *(f"- {s}" for s in said), ""]
    for data in curves.data:
        lines += _of_data(curves, data)
    lines += _warm(curves)
    machine, versions = first["machine"], first["versions"]
    where = machine["gpu"] if first["device"] == "cuda" else machine["cpu"]
    return [*lines, f"*{where}, {first['threads']} thread, dwiser {versions['dwiser']}.*", ""]


def _share() -> float:
    """Weights of the compact network over those of the paper's."""
    return sum(p.numel() for p in Compact().parameters()) / PAPER_WEIGHTS


def sentences(curves: Curves, data: str) -> Iterator[str]:
    """What follows from a scan's curves by rule."""
    score = OF_DATA[data][0]
    level, of = curves.reference(data, NOISY, score), SOURCES[data].capitalize()
    digits = DIGITS[score]
    ends = {}
    for arm in curves.arms(data):
        by_passes = curves.means(arm, data, SINGLE, score)
        passes, values = list(by_passes), list(by_passes.values())
        ends[arm] = passes[-1], values[-1]
        below = [p for p, v in by_passes.items() if level is not None and v < level]
        crossed = f"is first below the noisy scan's after {counted(below[0])}" if below else (
            "stays above the noisy scan's"
        )  # fmt: skip
        falls = len(values) > 1 and values[-1] < values[-2] * (1 - STILL)
        end = f"ends at {values[-1]:.{digits}f} after {passes[-1]:g}"
        noisy = "" if level is None else f" (noisy {level:.{digits}f})"
        yield (
            f"{of}, {NAMES[arm]}: the single pass's error {crossed}, {end}{noisy}, and "
            f"{'was still falling' if falls else 'fell no further at the last milestone'}."
        )
        yield from _walked(curves, data, arm, score)
    for other in ("directions", "noise2noise", "angular", "predicted"):
        if other in ends and "adjacent" in ends and ends[other][0] == ends["adjacent"][0]:
            ratio = ends[other][1] / ends["adjacent"][1]
            yield (
                f"{of}, {NAMES[other]}: {ratio:.2f} times the single-pass error of the paper's "
                f"pair, after {ends[other][0]:g} passes each."
            )


def counted(passes: float) -> str:
    """Passes in words."""
    return f"{passes:g} pass{'' if passes == 1 else 'es'}"


def _walked(curves: Curves, data: str, arm: str, score: str) -> Iterator[str]:
    """Whether walking is worth it at the last milestone where both were scored."""
    every = {way: curves.means(arm, data, way, score) for way in (ONE_FLIP, *WALKS)}
    at = max(every[EXACT].keys() & every[ONE_FLIP].keys(), default=None)
    if at is None:
        return
    alone = every.pop(ONE_FLIP)[at]
    walks = {way: by_passes[at] for way, by_passes in every.items() if at in by_passes}
    told = ", ".join(f"{way} {error:.{DIGITS[score]}f}" for way, error in walks.items())
    better = [way for way, error in walks.items() if error < alone]
    yield (
        f"{SOURCES[data].capitalize()}, {NAMES[arm]}, walking after {at:g} passes: {told} against "
        f"{alone:.{DIGITS[score]}f} for the single pass with one flip, as the walks have; less "
        f"error by {listed(better) if better else 'none of them'}."
    )


def _of_data(curves: Curves, data: str) -> list[str]:
    """The tables of a scan: each score by passes, single pass and walks; FA by bins at the end."""
    lines = [f"### {SOURCES[data].capitalize()}", ""]
    for score in OF_DATA[data]:
        lines += _by_passes(curves, data, score)
    return lines + _by_fa(curves, data)


def _by_passes(curves: Curves, data: str, score: str) -> list[str]:
    by_row = {
        (arm, way): curves.values(arm, data, way, score)
        for arm in curves.arms(data)
        for way in (SINGLE, *WAYS)
    }
    every = sorted({p for by_passes in by_row.values() for p in by_passes})
    rows: list[list[str | None]] = []
    for (arm, way), by_passes in by_row.items():
        if by_passes:
            cells = [spread(by_passes[p], DIGITS[score]) if p in by_passes else None for p in every]
            rows.append([NAMES[arm], way, *cells])
    for way in dict.fromkeys(row["way"] for r in curves.of(REFERENCES, data) for row in r["rows"]):
        value = curves.reference(data, way, score)
        rows.append([f"*{way}*", None, *[None] * (len(every) - 1), f"{value:.{DIGITS[score]}f}"])
    heads = ["", SCORES[score], *(f"{p:g}" for p in every)]
    return _table(heads, rows)


def _by_fa(curves: Curves, data: str) -> list[str]:
    """RMSE (bias) of FA by bins of the true FA, at each arm's last milestone."""
    every = [row for r in curves.records if r["data"] == data for row in r["rows"]]
    bins = sorted({name for row in every for name in row.get("by_true_fa", {})})
    rows: list[list[str | None]] = []

    def cells(row: Row) -> list[str | None]:
        found: dict[str, Any] = row["by_true_fa"]
        return [f"{v[0]:.3f} ({v[1]:+.3f})" if (v := found.get(n)) else None for n in bins]

    for arm in curves.arms(data):
        record = curves.of(arm, data)[0]
        last = max(row["passes"] for row in record["rows"])
        for row in record["rows"]:
            if row["passes"] == last and "by_true_fa" in row:
                rows.append([NAMES[arm], row["way"], f"{last:g}", *cells(row)])
    for record in curves.of(REFERENCES, data):
        for row in record["rows"]:
            if "by_true_fa" in row:
                rows.append([f"*{row['way']}*", None, None, *cells(row)])
    if not rows:
        return []
    heads = ["FA: RMSE (bias) by bins of the true FA", "", "passes", *bins]
    return _table(heads, rows)


def _warm(curves: Curves) -> list[str]:
    """A second scan, from fresh weights and from the first scan's: single passes."""
    if not curves.warm:
        return []
    rows: list[list[str | None]] = []
    every = sorted({r["passes"] for w in curves.warm for r in w["rows"] if "passes" in r})
    said = []
    for record in curves.warm:
        by_start = {start: _single(record, start) for start in (APPLIED, COLD, WARM)}
        whole, name = {**by_start[APPLIED], **by_start[WARM]}, NAMES[record["arm"]]
        for start, errors in ((COLD, by_start[COLD]), (WARM, whole)):
            cells = [f"{errors[p]:.4f}" if p in errors else None for p in every]
            rows.append([name, start, *cells])
        goal, last = min(by_start[COLD].values()), max(by_start[COLD])
        enough = [p for p, error in sorted(whole.items()) if error <= goal]
        reached = f"after {enough[0]:g}" if enough else f"in none of {last:g}"
        noisy = next(r["nrmse"] for r in record["rows"] if r["start"] == NOISY)
        said.append(
            f"- {name}: what fresh weights reach in {last:g} passes ({goal:.4f}) the first scan's "
            f"reach {reached} passes; applied as they are they give {by_start[APPLIED][0]:.4f} "
            f"(noisy {noisy:.4f})."
        )
    return [
        "### A second scan of the same protocol",
        "",
        "Another phantom, trained from fresh weights (cold) or from those that the first scan left "
        "at the end of its curve (warm; 0 passes: applied as they are), `python -m "
        "reproduce.warm_start`. NRMSE of the DWIs, single pass.",
        "",
        *said,
        "",
        *_table(["", "start", *map(counted, every)], rows),
    ]


def _single(record: Row, start: str) -> dict[float, float]:
    """Passes → error of the single pass."""
    rows = [r for r in record["rows"] if r["start"] == start and r["way"] == SINGLE]
    return {r["passes"]: r["nrmse"] for r in rows}


def drawn(folder: Path = FOLDER, out: Path = RESULTS) -> list[Path]:
    """The pictures of the sizes that were run."""
    paths = []
    for size in SHOWN:
        curves = Curves.read(size, folder)
        if curves.data:
            paths.append(out / f"learning-curve-{size}.png")
            draw(curves).savefig(paths[-1], dpi=DPI)
    return paths


def main() -> int:
    stale = write_or_check(__doc__, {PAGE: page})
    if "--check" not in sys.argv:
        for path in drawn():
            print(path)
    return stale


if __name__ == "__main__":
    sys.exit(main())
