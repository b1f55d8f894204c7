"""Fill docs/how-to/series.md with the numbers of benchmarks/results/series.json.

``python -m scripts.series_page [--check]``: ``--check`` writes nothing and ends with 1 if the page
is stale. No number of the table is typed by hand.
"""

import json
import sys
from pathlib import Path
from typing import Any

from scripts.pages import DOCS, RESULTS, fill_blocks, table_lines, write_or_check

PAGE = DOCS / "how-to" / "series.md"
RECORD = RESULTS / "series.json"
COLUMNS = {"nrmse": "NRMSE, DWIs", "b0_nrmse": "NRMSE, b0s", "fa_rmse": "FA RMSE"}
ARMS = ("noisy", "apart", "together")


def table(record: dict[str, Any]) -> str:
    """A row a case: each error noisy, apart and together, and what dwiser decides."""
    heads = [f"{column}: {arm}" for column in COLUMNS.values() for arm in ARMS]
    shape = " × ".join(map(str, record["shape"]))
    lines = [
        f"Half-scans A and B of a phantom of {shape} voxels, seed {record['seed']}, b0 SNR of A "
        f"{record['b0_snr']:g}, `{record['method']}`; errors against the truth in its mask, mean "
        f"of A and B; dwiser "
        f"{record['versions']['dwiser']}, {record['date']}. The lesser of apart and "
        "together is bold.",
        "",
    ]
    rows = (
        [name, *(_cell(case, key, arm) for key in COLUMNS for arm in ARMS), case["decided"]]
        for name, case in record["cases"].items()
    )
    return "\n".join([*lines, *table_lines(["", *heads, "decides"], rows)]) + "\n"


def _cell(case: dict[str, Any], key: str, arm: str) -> str:
    value = case[arm][key]
    best = arm != "noisy" and value == min(case["apart"][key], case["together"][key])
    return f"**{value:.4f}**" if best else f"{value:.4f}"


def filled(page: str, path: Path = RECORD) -> str:
    """The page with its block written anew."""
    if not path.exists():
        text = "*Not measured yet: `python -m benchmarks.series`.*\n"
    else:
        text = table(json.loads(path.read_text()))
    return fill_blocks(page, lambda _: text)


def main() -> int:
    return write_or_check(__doc__, {PAGE: lambda: filled(PAGE.read_text())})


if __name__ == "__main__":
    sys.exit(main())
