"""Fill docs/how-to/echoes.md and docs/how-to/b-tensors.md from benchmarks/results/.

``python -m scripts.contrasts_pages [--check]``: ``--check`` writes nothing and ends with 1 if a
page is stale. No number of the tables is typed by hand.
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from scripts.pages import DOCS, RESULTS, fill_blocks, table_lines, write_or_check

Record = dict[str, Any]
ARMS = {
    "noisy": "noisy",
    "alone": "each echo alone",
    "shared_sigma": "alone, one σ map of all",
    "naive": "as one series of more volumes",
    "labelled": "as one, shells told by echo",
}
SHAPES = ("b0", "linear", "planar", "spherical")


def _about(record: Record) -> str:
    shape = " × ".join(map(str, record["shape"]))
    return (
        f"A phantom of {shape} voxels, seed {record['seed']}, `{record['method']}`; dwiser "
        f"{record['versions']['dwiser']}, {record['date']}."
    )


def echoes(record: Record) -> str:
    """A row a case and arm: NRMSE of the DWIs and FA's error by echo."""
    rows = []
    for name, case in record["cases"].items():
        for arm, words in ARMS.items():
            each = case[arm]["echoes"]
            dwis, fa = (" / ".join(f"{e[key]:.4f}" for e in each) for key in ("nrmse", "fa_rmse"))
            seconds = case[arm]["cpu_seconds"] or None
            te = " / ".join(f"{t:g}" for t in case["te_ms"])
            rows.append([name if arm == "noisy" else "", te if arm == "noisy" else "", words, dwis,
                         fa, seconds])  # fmt: skip
    heads = ["", "TE, ms", "", "NRMSE of the DWIs, by echo", "FA RMSE, by echo", "CPU s"]
    snr = f"b0 SNR {record['b0_snr']:g} at a TE of 80 ms, texture {record['texture']:g}."
    return "\n".join([f"{_about(record)} {snr}", "", *table_lines(heads, rows)]) + "\n"


def b_tensors(record: Record) -> str:
    """The phantom's errors by shape, then what the real scans show."""
    rows = []
    for name, words in (("noisy", "noisy"), ("without", "without"), ("with", "with b-delta")):
        row = record["phantom"][name]
        level = row.get("verdict", {}).get("level")
        errors = [f"{row['nrmse'][shape]:.4f}" for shape in SHAPES]
        rows.append([words, *errors, f"{row['fa_rmse']:.3f}", level])
    heads = ["phantom", *(f"NRMSE, {shape}" for shape in SHAPES), "FA RMSE", "verdict"]
    about = f"{_about(record)} Linear, planar and spherical b-tensors of b={record['b']:g} s/mm²."
    return "\n".join([about, "", *table_lines(heads, rows), "", *_real(record)]) + "\n"


def _real(record: Record) -> list[str]:
    rows = []
    for name in ("planar_btensor", "spherical_btensor"):
        real = record[name]
        between = real["between"]
        levels = " / ".join(str(real[arm]["verdict"]["level"]) for arm in ("without", "with"))
        held = [real[arm]["held_out"] for arm in ("without", "with")]
        excess = (
            " / ".join(f"{h['splitq']['excess']:.0f}" for h in held)
            if all(isinstance(h, dict) for h in held)
            else None
        )
        fa = " / ".join(f"{between[k]:.2f}" for k in ("fa_without", "fa_with") if k in between)
        turned = f"{between['v1_turned']:.0f}°" if "v1_turned" in between else None
        rows.append([name, levels, f"{between['rms_over_sigma']:.3f}", excess, fa or None, turned])
    heads = [
        "real scan", "verdict, without / with", "results apart, rms over σ",
        "held-out excess, without / with", "median FA, without / with", "main direction turned by",
    ]  # fmt: skip
    return table_lines(heads, rows)


PAGES = {"echoes": echoes, "b_tensors": b_tensors}
FILES = {"echoes": DOCS / "how-to" / "echoes.md", "b_tensors": DOCS / "how-to" / "b-tensors.md"}


def filled(name: str, results: Path = RESULTS) -> str:
    """A page with its blocks written anew, each from the record of its name."""

    def block(record: str) -> str:
        path = results / f"{record}.json"
        if not path.exists():
            return f"*Not measured yet: `python -m benchmarks.{name}`.*\n"
        return PAGES[name](json.loads(path.read_text()))

    return fill_blocks(FILES[name].read_text(), block)


def main() -> int:
    return write_or_check(__doc__, {FILES[name]: partial(filled, name) for name in PAGES})


if __name__ == "__main__":
    sys.exit(main())
