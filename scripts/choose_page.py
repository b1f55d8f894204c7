"""Fill docs/how-to/choose.md with the numbers of benchmarks/results/{all_methods,peers}_*.json.

``python scripts/choose_page.py [--check]``: what lies between ``<!-- measured: NAME -->`` and
``<!-- end -->`` is written anew; ``--check`` writes nothing and ends with 1 if the page is stale.
No number on the page is typed by hand.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pages import write_or_check

HOME = Path(__file__).parent.parent
PAGE, RESULTS = HOME / "docs" / "how-to" / "choose.md", HOME / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
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
    kept = {c: v for c, v in COLUMNS.items() if any(row.get(c) is not None for row in rows)}
    heads = ["method", *(head for head, _ in kept.values()), "verdict"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [f"`{row['method']}`", *(_cell(row, c, s, rows) for c, (_, s) in kept.items())]
        lines.append("| " + " | ".join([*cells, row.get("verdict") or "–"]) + " |")
    lines += ["", *(f"`{r['method']}` failed: {r['error']}" for r in rows if r.get("error"))]
    for column, name in ERRORS.items():
        if column in kept:
            lines += _sentences(rows, column, name)
    return lines


def _cell(row: Row, column: str, show: Show, rows: list[Row]) -> str:
    value = row.get(column)
    if value is None:
        return "–"
    best = column in ERRORS and value == ranked(rows, column)[0][column]
    return f"**{show(value)}**" if best else show(value)


def ranked(rows: list[Row], column: str) -> list[Row]:
    """The rows that have the column, least first."""
    return sorted((r for r in rows if r.get(column) is not None), key=lambda r: r[column])


def _sentences(rows: list[Row], column: str, name: str) -> list[str]:
    """Who is best, where ours stand, and who is worse than the noisy scan."""
    order, show = ranked(rows, column), COLUMNS[column][1]
    methods = [row["method"] for row in order]
    told = [f"`{row['method']}` {show(row[column])}" for row in order[:3]]
    places = [
        f"`{ours}` is number {methods.index(ours) + 1} of {len(methods)} "
        f"({show(order[methods.index(ours)][column])})"
        for ours in OURS
        if ours in methods
    ]
    worse = [f"`{m}`" for m in methods[methods.index(NOISY) + 1 :]] if NOISY in methods else []
    worse = [m for m in worse if m != "`identity`"]
    lost = f" Worse than the noisy scan: {', '.join(worse)}." if worse else ""
    return [f"- **In {name}** the best are {', '.join(told)}; {'; '.join(places)}.{lost}"]


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
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for phantom, by_method in phantoms.items():
        for method, row in by_method.items():
            cells = []
            for column, (_, show) in PEERS.items():
                value = row.get(column)
                known = [r[column] for r in by_method.values() if r.get(column) is not None]
                text = "–" if value is None else show(value)
                best = value is not None and column in LOWER and value == min(known)
                cells.append(f"**{text}**" if best else text)
            cells.append(row.get("verdict") or "–")
            lines.append("| " + " | ".join([phantom, f"`{method}`", *cells]) + " |")
    return lines


def peers(path: Path) -> str:
    """The peers' benchmark, with the versions of what it called and what was not there."""
    told = json.loads(path.read_text())
    shape = "×".join(map(str, told["shape"]))
    others = ", ".join(sorted(set(told["others"].values())))
    lines = [
        f"{shape} voxels, {told['threads']} thread of {told['machine']['cpu']}, "
        f"dwiser {told['versions']['dwiser']}, {told['date']}; {others}.",
        "",
        *both_targets(told["phantoms"]),
        "",
        *(f"`{m}` is not measured: it needs {needs}." for m, needs in told["absent"].items()),
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
    told = json.loads(path.read_text())
    scan = ", ".join(f"{key} {value}" for key, value in told["scan"].items())
    machine, kind = told["machine"], told["preset"]
    lines = [
        f"{scan}. Preset `{kind}`, {machine['threads']} thread of {machine['cpu']}, "
        f"dwiser {told['versions']['dwiser']}, {told['date']}.",
        "",
        *measured(told["rows"]),
    ]
    return "\n".join(lines) + "\n"


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with every block written anew."""
    return BLOCK.sub(lambda m: f"{m[1]}{block(m[2], results)}{m[3]}", page)


def main() -> int:
    return write_or_check(__doc__, {PAGE: lambda: filled(PAGE.read_text())})


if __name__ == "__main__":
    sys.exit(main())
