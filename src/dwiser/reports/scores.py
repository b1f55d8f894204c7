"""An evaluation as tables of text, and what was not measured, by reason."""

import re
from dataclasses import dataclass

from dwiser.evaluation.records import Metric, Row
from dwiser.evaluation.suite import Evaluation

DIGITS = 4
MISSING = "–"  # not measured; the reason stands below the tables

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
    ("Corpus callosum (blurring improves it: never judge by it)", r"corpus_callosum\.(?P<col>.+)"),
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


def tables(evaluation: Evaluation) -> tuple[Table, ...]:
    """Everything measured, one table for each section; what is missing is a dash or left out."""
    cells: dict[str, list[_Cell]] = {title: [] for title, _ in SECTIONS}
    rows: tuple[Row, ...] = (*evaluation.metrics, *evaluation.absent)
    for item in rows:
        title, cell = _place(item)
        cells[title].append(cell)
    pivoted = (_pivot(title, some) for title, some in cells.items())
    return tuple(table for table in pivoted if table is not None)


def absences(evaluation: Evaluation) -> list[str]:
    """One line for each reason: the metrics missing because of it, and in which groups."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for absent in evaluation.absent:
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


def verdict_lines(evaluation: Evaluation) -> list[str]:
    """The verdict, then its reasons and notes in words."""
    if evaluation.verdict is None:
        why = next(
            (a.reason for a in evaluation.absent if a.metric == "residual"), "nothing to judge"
        )
        return [f"verdict: none, because {why}"]
    words = [f"{r.level}: {r.words}" for r in evaluation.verdict.reasons]
    return [
        f"verdict: {evaluation.verdict.level}",
        *words,
        *(f"note: {n}" for n in evaluation.verdict.notes),
    ]


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
    shared = {
        col: units_of_column.pop()
        for col, units_of_column in units.items()
        if len(units_of_column) == 1
    }
    texts = {}
    for c in cells:
        unit = c.unit if c.unit and c.col not in shared else ""
        texts[c.row, c.col] = f"{c.text} {unit}".strip()
    heads = [f"{col} ({shared[col]})" if shared.get(col) else col for col in columns]
    body = [(row, *(texts.get((row, col), "") for col in columns)) for row in rows]
    return Table(title, ("", *heads), tuple(body))
