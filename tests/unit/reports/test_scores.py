"""Tables lose nothing: every number in one cell, every absence with its reason."""

import numpy as np
import pytest

from dwiser.evaluation.records import Absent, Metric
from dwiser.evaluation.suite import Evaluation, evaluate
from dwiser.evaluation.verdict import Reason, Verdict
from dwiser.reports.scores import MISSING, absences, tables, verdict_lines
from dwiser.simulation import Simulation


@pytest.fixture(scope="module")
def full(small: Simulation) -> Evaluation:
    """A real evaluation: 90 numbers or so, some of them absent."""
    s = small
    sigma = s.sigma.astype(np.float64)
    given = {"truth": s.truth, "mask": s.mask, "sigma": sigma, "tissues": s.tissues}
    return evaluate(0.5 * (s.truth + s.scan.data), s.scan, **given)


def test_every_number_is_in_one_cell_with_its_unit(full: Evaluation) -> None:
    drawn = tables(full)
    cells = [cell for t in drawn for row in t.rows for cell in row[1:] if cell not in ("", MISSING)]
    assert sorted(c.split()[0] for c in cells) == sorted(f"{m.value:.4g}" for m in full.metrics)
    assert "Other" not in [t.title for t in drawn]
    tensor = next(t for t in drawn if t.title.startswith("Tensor"))
    assert [row[0] for row in tensor.rows] == ["fa", "md", "rd", "ad"]
    assert tensor.heads[1] == "psnr (dB)"
    rmse = tensor.heads.index("rmse")
    assert [row[rmse].partition(" ")[2] for row in tensor.rows] == ["", "mm²/s", "mm²/s", "mm²/s"]
    error = next(t for t in drawn if t.title.startswith("Error"))
    assert {"b0", "b0 wm", "b1000", "b1000 wm"} <= {row[0] for row in error.rows}
    assert all(len(row) == len(t.heads) for t in drawn for row in t.rows)


def test_every_absence_is_told_once_with_its_reason(full: Evaluation) -> None:
    lines = absences(full)
    assert full.absent
    for a in full.absent:
        assert sum(line.endswith(f": {a.reason}") and a.metric in line for line in lines) == 1


def test_absences_of_one_reason_are_one_line() -> None:
    some = [Absent("psnr", "b0", "why"), Absent("psnr", "b1000", "why"), Absent("edge", "all", "w")]
    assert absences(Evaluation((), tuple(some), None)) == ["psnr of b0, b1000: why", "edge: w"]


def test_an_absent_number_among_others_shows_as_a_dash() -> None:
    some = Metric("fidelity.psnr", "b0", 30.0, "dB"), Metric("fidelity.ssim", "b1000", 0.5)
    gone = (Absent("fidelity.psnr", "b1000", "infinite"),)
    (table,) = tables(Evaluation(some, gone, None))
    assert table.rows == (("b0", "30", ""), ("b1000", MISSING, "0.5"))


def test_a_metric_nobody_foresaw_is_shown_too() -> None:
    (table,) = tables(Evaluation((Metric("new.thing", "all", 2.0, "mm"),), (), None))
    assert table.title == "Other"
    assert table.heads == ("", "new.thing (mm)")


def test_the_verdict_is_told_with_reasons_notes_or_why_there_is_none() -> None:
    verdict = Verdict("FAIL", (Reason("shift", "FAIL", "darker"),), ("little",))
    told = verdict_lines(Evaluation((), (), verdict))
    assert told == ["verdict: FAIL", "FAIL: darker", "note: little"]
    gone = Evaluation((), (Absent("residual", "all", "σ is zero"),), None)
    assert verdict_lines(gone) == ["verdict: none, because σ is zero"]
