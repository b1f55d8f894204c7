"""Draw docs/walk.png, the error along a walk, from benchmarks/results/walk_*.json.

``python -m scripts.walk_figure [--check]``: ``--check`` draws nothing and ends with 1 if the
picture is of other rows than the recorded ones; it carries their digest.
"""

import argparse
import json
import sys
from statistics import mean
from typing import Any

from matplotlib.figure import Figure

from dwiser.chain.walk import run_walk
from reproduce.style import canvas, legend_below, line, titled
from scripts.budgets_figure import MARK, digest, drawn_from
from scripts.pages import DOCS, RESULTS
from scripts.walk_tables import chosen, pairs_of, score_of

PICTURE = DOCS / "walk.png"
DATA = {
    "phantom": "smooth phantom",
    "textured": "textured phantom",
    "real": "sherbrooke_1p8mm",
    "noisy": "sherbrooke_1p2mm",
}
WALKS = {
    "walk of Eq. 10 (η = 0)": ("posterior", "mean"),
    "walk of Eq. 10 with σz": ("posterior", "posterior"),
    "walk fused again, ξ drawn anew": ("fused", "drawn"),
}
ALONE = "one evaluation at t"
TICKS = 300, 100, 50, 20, 10, 5, 2, 1
Record = dict[str, Any]


def records() -> dict[str, Record]:
    paths = {name: RESULTS / f"walk_{name}_compact.json" for name in DATA}
    return {name: json.loads(p.read_text()) for name, p in paths.items() if p.exists()}


def figure(studies: dict[str, Record]) -> Figure:
    """A row of panels a scan, a panel a pair: the error over the noisy scan's, against step t."""
    pairs = pairs_of(next(iter(studies.values())))
    drawn, panels = canvas(len(pairs), len(studies), panel=2.6)
    steps = run_walk()
    for place, ax in enumerate(panels):
        name, pair = list(studies)[place // len(pairs)], pairs[place % len(pairs)]
        record = studies[name]
        if pair not in pairs_of(record):
            ax.set_visible(False)
            continue
        score, seeds = score_of(record), {r["seed"] for r in chosen(record, pair=pair)}
        level = mean(r[score] for r in chosen(record, pair="noisy") if r["seed"] in seeds)
        for i, (words, (state, noise)) in enumerate(WALKS.items()):
            rows = chosen(record, pair=pair, state=state, state_noise=noise)
            counts = sorted({r["evaluations"] for r in rows})
            values = [mean(r[score] for r in rows if r["evaluations"] == n) / level for n in counts]
            ax.plot([steps[n - 1] + 1 for n in counts], values, label=words, **line(i))
        alone = [r for r in chosen(record, pair=pair, evaluations=1) if "state" not in r]
        starts = sorted({r["start"] for r in alone}, reverse=True)
        values = [mean(r[score] for r in alone if r["start"] == t) / level for t in starts]
        ax.plot([t + 1 for t in starts], values, label=ALONE, **line(len(WALKS)))
        ax.axhline(1, color="#7F7F7F", lw=0.9, ls=(0, (1, 2)), label="noisy scan")
        ax.set_xscale("log")
        ax.set_xlim(340, 0.9)
        ax.set_xticks([t + 1 for t in TICKS], [str(t) for t in TICKS])
        ax.set_xticks([], minor=True)
        ax.set_ylim(bottom=0)
        kind = "NRMSE" if score == "nrmse" else "held-out excess"
        titled(ax, f"{DATA[name]}, {pair}", "step t (sampling →)", f"{kind} / noisy scan's")
    legend_below(drawn, panels[0], 3)
    return drawn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="draw nothing; 1 if stale")
    options, studies = parser.parse_args(), records()
    mark = digest([studies])
    if options.check:
        return int(not PICTURE.exists() or drawn_from(PICTURE) != mark)
    figure(studies).savefig(PICTURE, dpi=130, metadata={MARK: mark})
    print(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
