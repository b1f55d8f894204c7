"""Fill docs/how-to/choose.md with the numbers of benchmarks/results/{all_methods,peers}_*.json.

``python -m scripts.choose_page [--check]``: what lies between ``<!-- measured: NAME -->`` and
``<!-- end -->`` is written anew; ``--check`` writes nothing and ends with 1 if the page is stale.
No number on the page is typed by hand.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from scripts.pages import DOCS, RESULTS, fill_blocks, table_lines, write_or_check

PAGE = DOCS / "how-to" / "choose.md"
NOISY, OURS = "noisy", ("splitq", "splitnet", "difusion", "subspace")
Row = dict[str, Any]
Show = Callable[[float], str]


def plain(digits: int) -> Show:
    return lambda value: f"{value:.{digits}f}"


COLUMNS: dict[str, tuple[str, Show]] = {  # column of the table → its head, and how it is shown
    "nrmse": ("NRMSE, DWIs", plain(4)),
    "b0_nrmse": ("NRMSE, b0s", plain(4)),
    "fa_rmse": ("FA RMSE", plain(4)),
    "md_rmse": ("MD RMSE, 10⁻³ mm²/s", lambda value: f"{value * 1e3:.4f}"),
    "v1_median": ("V1, degrees", plain(2)),
    "heldout_dti": ("held-out, DTI", lambda value: f"{value:.4g}"),
    "heldout_sh": ("held-out, SH", lambda value: f"{value:.4g}"),
    "residual_sd": ("residual sd/σ", plain(2)),
    "seconds": ("s", plain(0)),
    "peak_mib": ("peak MiB", plain(0)),
}
ERRORS = {  # what lower is better in → how the sentence calls it
    "nrmse": "the DWIs",
    "b0_nrmse": "the b0s",
    "fa_rmse": "FA",
    "md_rmse": "MD",
    "v1_median": "the direction of V1",
    "heldout_dti": "held-out raw volumes (DTI)",
    "heldout_sh": "held-out raw volumes (SH)",
}


def measured(rows: list[Row]) -> list[str]:
    """The rows of a table, each column's best in bold, and what they say in sentences."""
    shown = {c: v for c, v in COLUMNS.items() if any(row.get(c) is not None for row in rows)}
    heads = ["method", *(head for head, _ in shown.values()), "verdict"]
    lines = table_lines(heads, (
        [f"`{row['method']}`", *(_cell(row, c, s, rows) for c, (_, s) in shown.items()),
         row.get("verdict") or None]
        for row in rows
    ))  # fmt: skip
    lines += ["", *(f"`{r['method']}` failed: {r['error']}" for r in rows if r.get("error"))]
    for column, name in ERRORS.items():
        if column in shown:
            lines += _sentences(rows, column, name)
    return lines


def _cell(row: Row, column: str, show: Show, rows: list[Row]) -> str | None:
    value = row.get(column)
    if value is None:
        return None
    best = column in ERRORS and value == ranked(rows, column)[0][column]
    return f"**{show(value)}**" if best else show(value)


def ranked(rows: list[Row], column: str) -> list[Row]:
    """The rows that have the column, least first."""
    return sorted((r for r in rows if r.get(column) is not None), key=lambda r: r[column])


def _sentences(rows: list[Row], column: str, name: str) -> list[str]:
    """Who is best, where ours stand, and who is worse than the noisy scan."""
    order, show = ranked(rows, column), COLUMNS[column][1]
    methods = [row["method"] for row in order]
    first = [f"`{row['method']}` {show(row[column])}" for row in order[:3]]
    places = [
        f"`{ours}` is number {methods.index(ours) + 1} of {len(methods)} "
        f"({show(order[methods.index(ours)][column])})"
        for ours in OURS
        if ours in methods
    ]
    worse = [f"`{m}`" for m in methods[methods.index(NOISY) + 1 :]] if NOISY in methods else []
    worse = [m for m in worse if m != "`identity`"]
    lost = f" Worse than the noisy scan: {', '.join(worse)}." if worse else ""
    return [f"- **In {name}** the best are {', '.join(first)}; {'; '.join(places)}.{lost}"]


PEERS: dict[str, tuple[str, Show]] = {  # as COLUMNS, of the peers' benchmark
    "NRMSE": ("NRMSE, truth", plain(4)),
    "NRMSE, mean": ("NRMSE, magnitude's mean", plain(4)),
    "b0 NRMSE": ("NRMSE, b0s", plain(4)),
    "FA": ("FA RMSE", plain(4)),
    "V1": ("V1, degrees", plain(2)),
    "cpu_s": ("CPU s", plain(0)),
    "peak_mib": ("peak MiB", plain(0)),
}
LOWER = tuple(PEERS)[:5]  # is better


def both_targets(phantoms: dict[str, dict[str, Row]]) -> list[str]:
    """The peers on each phantom, against the truth and against the mean of the magnitude."""
    heads = ["phantom", "method", *(head for head, _ in PEERS.values()), "verdict"]
    rows: list[list[object]] = []
    for phantom, by_method in phantoms.items():
        for method, row in by_method.items():
            cells: list[str | None] = []
            for column, (_, show) in PEERS.items():
                value = row.get(column)
                known = [r[column] for r in by_method.values() if r.get(column) is not None]
                text = None if value is None else show(value)
                best = value is not None and column in LOWER and value == min(known)
                cells.append(f"**{text}**" if best else text)
            rows.append([phantom, f"`{method}`", *cells, row.get("verdict") or None])
    return table_lines(heads, rows)


def peers(path: Path) -> str:
    """The peers' benchmark, with the versions of what it called and what was not there."""
    record = json.loads(path.read_text())
    shape = "×".join(map(str, record["shape"]))
    others = ", ".join(sorted(set(record["others"].values())))
    lines = [
        f"{shape} voxels, {record['threads']} thread of {record['machine']['cpu']}, "
        f"dwiser {record['versions']['dwiser']}, {record['date']}; {others}.",
        "",
        *both_targets(record["phantoms"]),
        "",
        *(f"`{m}` is not measured: it needs {needs}." for m, needs in record["absent"].items()),
    ]
    return "\n".join(lines).rstrip() + "\n"


def block(name: str, results: Path = RESULTS) -> str:
    """What stands in the page for one file of results; a line in place of what is not there."""
    if name.startswith("peers_"):
        case, path = name.removeprefix("peers_"), results / f"{name}.json"
        missing = f"*Not measured yet: `python -m benchmarks.peers --case {case}`.*\n"
        return peers(path) if path.exists() else missing
    path = results / f"all_methods_{name}.json"
    if not path.exists():
        return f"*Not measured yet: `python -m benchmarks.all_methods {name}`.*\n"
    record = json.loads(path.read_text())
    scan = ", ".join(f"{key} {value}" for key, value in record["scan"].items())
    machine, kind = record["machine"], record["preset"]
    lines = [
        f"{scan}. Preset `{kind}`, {machine['threads']} thread of {machine['cpu']}, "
        f"dwiser {record['versions']['dwiser']}, {record['date']}.",
        "",
        *measured(record["rows"]),
    ]
    return "\n".join(lines) + "\n"


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with every block written anew."""
    return fill_blocks(page, partial(block, results=results))


def main() -> int:
    return write_or_check(__doc__, {PAGE: lambda: filled(PAGE.read_text())})


if __name__ == "__main__":
    sys.exit(main())
