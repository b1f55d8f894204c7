"""The page of results, from the records alone: ``python -m reproduce.page [--check]``.

Writes ``docs/results/index.md``; ``--check`` writes nothing and ends with 1 if the page is stale.
No number on the page is typed by hand.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_args

from reproduce.claims import Told, Verdict, is_small, listed, table
from reproduce.poster import poster
from reproduce.protocol import RESULTS, Experiment, Record
from scripts.pages import write_or_check

NAMES = (
    "table1", "table2", "figure2", "figure4", "figure5", "figure6", "figure7", "snr_cnr",
    "limitations",
)  # fmt: skip
VERDICTS = get_args(Verdict)


def experiments() -> Iterator[Experiment]:
    """Every experiment, in the poster's order."""
    for name in NAMES:
        experiment: Experiment = import_module(f"reproduce.{name}").EXPERIMENT
        yield experiment


def record_of(name: str, folder: Path) -> Record | None:
    """An experiment's record in a folder; None where it was not run."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    record: Record = json.loads(path.read_text())
    return record


def page(folder: Path = RESULTS) -> str:
    """The whole page in Markdown."""
    every = list(experiments())
    records = {e.name: record_of(e.name, folder) for e in every}
    told = {e.name: e.tell(r) for e in every if (r := records[e.name]) is not None}
    lines = [*_head(records), *_summary(told, [e for e in every if records[e.name] is None])]
    for experiment in every:
        lines += _section(experiment, records[experiment.name], told.get(experiment.name))
    return "\n".join(lines).rstrip() + "\n"


def _head(records: dict[str, Record | None]) -> list[str]:
    run = [r for r in records.values() if r is not None]
    small = [r for r in run if is_small(r["size"])]
    lines = [
        "# The poster's results, run again",
        "",
        "<!-- Written by `make reproduce` from the records beside it: do not edit. -->",
        "",
        f"What the {poster()['source']} claims, measured again. Each section is one script of "
        "`reproduce/`; its record (`NAME.json`) holds every number, the versions, the seed and "
        "the kind of machine. Verdicts and sentences follow from the records by rule.",
        "",
        "`python -m reproduce.NAME SETTING [--data PATH]` measures one again, in the repository's "
        "folder. SETTING is `smoke` (seconds), `here` (minutes), `gpu` (the data of `here` "
        "with the paper's network and its passes over the scan: minutes on one card) or `full` "
        "(the poster's size); `--device` says where learned methods run (auto, cpu, cuda). "
        "PATH is the poster's own data: Stanford HARDI as NIfTI with its .bval and .bvec, or a "
        "folder of M4Raw's .h5 files for Table 2. Without it phantoms of known truth stand for "
        "them, and the real scan of the folder that DWISER_DATA names. `make reproduce` writes "
        "this page.",
        "",
    ]
    if small:
        theirs = poster()["difusion"]["iterations"]
        counts = sorted(r["size"]["iterations"] or theirs for r in small)
        least, most = counts[0], counts[-1]
        told = f"{least}" if least == most else f"{least} to {most}"
        lines += [
            f"**Read this first.** These results are of small runs: learned methods with {told} "
            f"iterations of the preset {listed(sorted({_preset(r) for r in small}))}, on small "
            f"phantoms and a small part of a real scan. The poster's Di-Fusion learns for "
            f"{f'{theirs:,}'.replace(',', ' ')} iterations ({most / theirs:.1%} of them at most "
            "here), with a larger network. 'Not confirmed' means: not seen at this size. It does "
            "not refute the claim at the poster's, and 'confirmed' does not prove it there. "
            "'Cannot be judged at this budget' means: the network of this run, in a single pass, "
            "is still worse than the noisy scan, so that neither what its iteration adds nor how "
            "it compares with others can be seen; that holds for what would read 'confirmed' too. "
            "Rows say what ran: *small* stands before a method that had the preset's network and "
            "iterations in place of its publication's.",
            "",
        ]
    return lines


def _preset(record: Record) -> str:
    return f"`{record['size']['preset']}`"


def _budget(record: Record) -> str:
    passes = record["size"].get("passes")
    work = f"{passes} passes" if passes else f"{record['size']['iterations'] or 'all'} iterations"
    return f"{work} of the preset {_preset(record)}"


def _summary(told: dict[str, Told], missing: list[Experiment]) -> list[str]:
    """The claims by verdict; what was found stands in their sections."""
    claims = [claim for one in told.values() for claim in one.claims]
    counts = Counter(claim.verdict for claim in claims)
    counted = listed([f"{counts[v]} {v}" for v in VERDICTS if counts[v]])
    lines = [
        "## In short",
        "",
        f"Of {len(claims)} claims, each on its data and with its pair: {counted}.",
        "",
    ]
    if claims:
        lines += [
            "*The paper's pair* is what the poster describes: the previous volume is x'. "
            "*The predicted pair* is ours: all of Di-Fusion, but x' is predicted from all other "
            "volumes. *Di-Fusion*, in the tables, is with the paper's pair. `splitq` is this "
            "project's own method.",
            "",
        ]
    for verdict in (v for v in VERDICTS if counts[v]):
        lines += [f"**{verdict.capitalize()}**", ""]
        lines += [*_gathered([c.poster for c in claims if c.verdict == verdict]), ""]
    if missing:
        names = listed([f"{e.title} (`{e.name}`)" for e in missing])
        lines += [f"Not run here: {names}.", ""]
    return lines


def _gathered(claims: list[str]) -> list[str]:
    """One line a claim, with all data and pairs, in brackets at its end, that it is told of."""
    where: dict[str, list[str]] = {}
    for claim in claims:
        text, found, rest = claim.rpartition(" (")
        where.setdefault(text if found else claim, []).extend([rest[:-1]] if found else [])
    return [f"- {text}" + (f" ({'; '.join(w)})" if w else "") for text, w in where.items()]


def _section(experiment: Experiment, record: Record | None, told: Told | None) -> list[str]:
    lines = [f"## {experiment.title}", ""]
    if record is None or told is None:
        return [*lines, f"Not run here: `python -m reproduce.{experiment.name} here`.", ""]
    lines += table(
        ["the poster's claim", "verdict", "what we found"],
        [[c.poster, f"**{c.verdict}**", c.ours] for c in told.claims],
    )
    if experiment.draw is not None:
        lines += [f"![{experiment.title}]({experiment.name}.png)", ""]
    return [*lines, *told.lines, _origin(experiment, record), ""]


def _origin(experiment: Experiment, record: Record) -> str:
    size, machine = record["size"], record["machine"]
    shape = "×".join(map(str, size["shape"]))
    return (
        f"*`python -m reproduce.{experiment.name} {record['setting']}`: phantoms of {shape} voxels "
        f"(seeds from {record['seed']}), {_budget(record)}; {record['cpu_seconds']:.0f} s of "
        f"{record['threads']} thread of {machine['cpu']}"
        f"{', ' + machine['gpu'] if machine['gpu'] else ''}, dwiser "
        f"{record['versions']['dwiser']}, {record['date']}.*"
    )


def main() -> int:
    return write_or_check(__doc__, {RESULTS / "index.md": page})


if __name__ == "__main__":
    sys.exit(main())
