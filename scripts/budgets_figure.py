"""Draw docs/budgets.png, error against CPU seconds, from benchmarks/results/budgets.json.

``python -m scripts.budgets_figure [--check]``: ``--check`` draws nothing and ends with 1 if the
picture is of other rows than the recorded ones; it carries their digest.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from reproduce.style import canvas, dot, legend_below, line, titled
from scripts.pages import DOCS, RESULTS

PICTURE, RECORD = DOCS / "budgets.png", RESULTS / "budgets.json"
TICKS = (3, 10, 30, 60, 120, 240, 480)
SCORES = {"nrmse": "NRMSE of the DWIs", "fa_rmse": "RMSE of FA"}
MARK = "Rows"  # the key of the digest in the picture's text
Rows = list[dict[str, Any]]


def recorded() -> Rows:
    rows: Rows = json.loads(RECORD.read_text())["rows"]
    return rows


def digest(rows: Rows) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def drawn_from(picture: Path = PICTURE) -> str | None:
    """The digest of the rows that a picture shows."""
    with Image.open(picture) as image:
        mark = image.info.get(MARK)
    return mark if isinstance(mark, str) else None


def figure(rows: Rows) -> Figure:
    """A panel a score: a line for each method that trains, a point for each that does not."""
    noisy = next((r for r in rows if r["method"] == "noisy"), None)
    methods = list(dict.fromkeys(r["method"] for r in rows if r is not noisy))
    drawn, panels = canvas(len(SCORES))
    for ax, (score, name) in zip(panels, SCORES.items(), strict=True):
        for i, method in enumerate(methods):
            own = sorted((r for r in rows if r["method"] == method), key=lambda r: r["cpu_s"])
            seconds, values = [r["cpu_s"] for r in own], [r[score] for r in own]
            ax.plot(seconds, values, label=method, **(line(i) if len(own) > 1 else dot(i)))
        if noisy is not None:
            ax.axhline(noisy[score], color="#7F7F7F", lw=0.9, ls=(0, (1, 2)), label="noisy scan")
        ax.set_xscale("log")
        ax.set_xticks(TICKS, [str(t) for t in TICKS])
        ax.set_xticks([], minor=True)
        ax.set_ylim(bottom=0)
        titled(ax, name, "CPU seconds, all of a run", "")
    legend_below(drawn, panels[0], len(methods) + 1)
    return drawn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="draw nothing; 1 if stale")
    options, rows = parser.parse_args(), recorded()
    if options.check:
        return int(not PICTURE.exists() or drawn_from() != digest(rows))
    figure(rows).savefig(PICTURE, dpi=130, metadata={MARK: digest(rows)})
    print(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
