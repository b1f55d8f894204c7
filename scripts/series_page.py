"""Fill docs/how-to/series.md with the numbers of benchmarks/results/series.json.

``python scripts/series_page.py [--check]``: ``--check`` writes nothing and ends with 1 if the page
is stale. No number of the table is typed by hand.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from pages import write_or_check

HOME = Path(__file__).parent.parent
PAGE = HOME / "docs" / "how-to" / "series.md"
RESULTS = HOME / "benchmarks" / "results" / "series.json"
BLOCK = re.compile(r"(<!-- measured: series -->\n).*?(<!-- end -->)", re.DOTALL)
COLUMNS = {"nrmse": "NRMSE, DWIs", "b0_nrmse": "NRMSE, b0s", "fa_rmse": "FA RMSE"}
ARMS = ("noisy", "apart", "together")


def table(told: dict[str, Any]) -> str:
    """A row a case: each error noisy, apart and together, and what dwiser decides."""
    heads = [f"{column}: {arm}" for column in COLUMNS.values() for arm in ARMS]
    shape = " × ".join(map(str, told["shape"]))
    lines = [
        f"Half-scans A and B of a phantom of {shape} voxels, seed {told['seed']}, b0 SNR of A "
        f"{told['b0_snr']:g}, `{told['method']}`; errors against the truth in its mask, mean of A "
        f"and B; dwiser {told['versions']['dwiser']}, {told['date']}. The lesser of apart and "
        "together is bold.",
        "",
        "| | " + " | ".join([*heads, "decides"]) + " |",
        "|---" * (len(heads) + 2) + "|",
    ]
    for name, case in told["cases"].items():
        cells = [_cell(case, key, arm) for key in COLUMNS for arm in ARMS]
        lines.append("| " + " | ".join([name, *cells, case["decided"]]) + " |")
    return "\n".join(lines) + "\n"


def _cell(case: dict[str, Any], key: str, arm: str) -> str:
    value = case[arm][key]
    best = arm != "noisy" and value == min(case["apart"][key], case["together"][key])
    return f"**{value:.4f}**" if best else f"{value:.4f}"


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with its block written anew."""
    if not results.exists():
        text = "*Not measured yet: `python -m benchmarks.series`.*\n"
    else:
        text = table(json.loads(results.read_text()))
    return BLOCK.sub(lambda m: f"{m[1]}{text}{m[2]}", page)


def main() -> int:
    return write_or_check(__doc__, {PAGE: lambda: filled(PAGE.read_text())})


if __name__ == "__main__":
    sys.exit(main())
