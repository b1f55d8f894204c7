"""An evaluation as tables of text: rows and columns by what was measured, absences by reason."""

import re
from dataclasses import dataclass

from dwiser.evaluation.records import Metric, Row
from dwiser.evaluation.suite import Evaluation

DIGITS = 4
MISSING = "–"  # could not be had; the reason stands below the tables

BY_FA = "Tensor against the truth's, by bins of the true FA"

# Title and pattern: `col` names the column, `row` the row where it is not the group. First match.
SECTIONS = (
    (
        "Error against the truth",
        r"(?=fidelity|error|edge)(?:fidelity\.|error\.)?(?P<col>.+)",
    ),
    ("Tensor maps against the truth's", r"(?P<row>fa|md|rd|ad)\.(?P<col>.+)"),
    (BY_FA, r"(?!)"),  # by group, not by name
    ("Directions against the truth's", r"(?P<row>v1\.angle|crossing)\.(?P<col>.+)"),
    ("Lesions: 1 is all of their contrast, 0 erased", r"lesion\.(?P<col>.+)"),
    ("Corpus callosum (a blur wins it: never judge by it)", r"corpus_callosum\.(?P<col>.+)"),
    ("Bundle: fibre-to-bundle coherency", r"bundle\.(?P<col>.+)"),
    (
        "Residual by angle to the fibre: |cos| 0–0.2 (cos1, across) to 0.8–1 (cos5, along)",
        r"residual\.angle\.(?P<col>.+)",
    ),
    (
        "The same with FA and fibre from other raw volumes",
        r"residual\.angle_crossed\.(?P<col>.+)",
    ),
    (
        "Residual: raw − denoised in units of σ",
        r"residual\.(?!lag1|anatomy|spot|angle)(?P<col>.+)",
    ),
    (
        "Residual: correlation with the next voxel or volume",
        r"(?P<row>(?:residual|noise)\.lag1)\.(?P<col>.+)",
    ),
    (
        "Residual: correlation with the anatomy",
        r"residual\.anatomy\.(?:(?P<row>mean|size|energy)_)?(?P<col>.+)",
    ),
    ("Residual: its strongest spot", r"residual\.spot\.(?P<col>.+)"),
    ("Other", r"(?P<col>.+)"),
)


@dataclass(frozen=True)
class Table:
    """A title, the heads of the columns (the first is the rows'), and rows of cells."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class _Cell:
    row: str
    col: str
    text: str
    unit: str | None


def tables(found: Evaluation) -> tuple[Table, ...]:
    """Everything measured, a table a section; what is absent shows as a dash or not at all."""
    cells: dict[str, list[_Cell]] = {title: [] for title, _ in SECTIONS}
    everything: tuple[Row, ...] = (*found.metrics, *found.absent)
    for item in everything:
        title, cell = _place(item)
        cells[title].append(cell)
    drawn = (_pivot(title, some) for title, some in cells.items())
    return tuple(table for table in drawn if table is not None)


def absences(found: Evaluation) -> list[str]:
    """One line a reason: what is absent because of it, and in which groups."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for absent in found.absent:
        groups = reasons.setdefault(absent.reason, {}).setdefault(absent.metric, [])
        groups.append(absent.group)
    lines = []
    for reason, metrics in reasons.items():
        names = [
            name if groups == ["all"] else f"{name} of {', '.join(groups)}"
            for name, groups in metrics.items()
        ]
        lines.append(f"{'; '.join(names)}: {reason}")
    return lines


def verdict_lines(found: Evaluation) -> list[str]:
    """The verdict, then its reasons and notes in words."""
    if found.verdict is None:
        why = next((a.reason for a in found.absent if a.metric == "residual"), "nothing to judge")
        return [f"verdict: none, because {why}"]
    words = [f"{r.level}: {r.words}" for r in found.verdict.reasons]
    return [f"verdict: {found.verdict.level}", *words, *(f"note: {n}" for n in found.verdict.notes)]


def _place(item: Row) -> tuple[str, _Cell]:
    if item.group.startswith("FA "):
        if isinstance(item, Metric):
            text = f"{item.value:.{DIGITS}g}"
            return BY_FA, _Cell(item.metric, item.group, text, item.unit)
        return BY_FA, _Cell(item.metric, item.group, MISSING, None)
    for title, pattern in SECTIONS:
        match = re.fullmatch(pattern, item.metric)
        if match:
            parts = match.groupdict()
            row = parts.get("row") or item.group
            if isinstance(item, Metric):
                return title, _Cell(row, parts["col"], f"{item.value:.{DIGITS}g}", item.unit)
            return title, _Cell(row, parts["col"], MISSING, None)
    raise AssertionError("the last pattern matches everything")


def _pivot(title: str, cells: list[_Cell]) -> Table | None:
    """Rows by columns in order of appearance; a unit that a whole column shares is in its head."""
    if not any(cell.unit is not None for cell in cells):
        return None
    rows = list(dict.fromkeys(c.row for c in cells if c.unit is not None))
    columns = list(dict.fromkeys(c.col for c in cells if c.unit is not None))
    units = {col: {c.unit for c in cells if c.col == col and c.unit is not None} for col in columns}
    shared = {col: some.pop() for col, some in units.items() if len(some) == 1}
    texts = {}
    for c in cells:
        own = c.unit if c.unit and c.col not in shared else ""
        texts[c.row, c.col] = f"{c.text} {own}".strip()
    heads = [f"{col} ({shared[col]})" if shared.get(col) else col for col in columns]
    body = [(row, *(texts.get((row, col), "") for col in columns)) for row in rows]
    return Table(title, ("", *heads), tuple(body))
