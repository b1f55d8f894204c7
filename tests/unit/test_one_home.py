"""Each number and rule has one home: whatever uses it follows it there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dwiser
from dwiser.cohort.findings import scan_fields
from dwiser.compare import rescan
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.suite import evaluate
from dwiser.evaluation.tensor import tensor_volumes
from dwiser.methods.base import Denoised
from dwiser.methods.registry import build
from dwiser.prepare import protocol
from dwiser.prepare import shells as home_of_shells
from dwiser.prepare.protocol import Protocol, same_table
from dwiser.prepare.scan_compatibility import decide, summarize
from dwiser.reports.material import Material
from dwiser.reports.page import shell_rows
from dwiser.run.denoising import denoise_file
from dwiser.run.judging import judgement
from dwiser.run.reporting import measured
from dwiser.run.request import Request
from dwiser.run.survey import survey
from dwiser.scan import Gradients, Scan
from dwiser.simulation.scheme import scheme

SOURCE = Path(dwiser.__file__).parent
VOXEL = np.array([2.0, 2, 2])


@pytest.fixture(scope="module")
def material(crop: Scan) -> Material:
    """The report's of the default method on the real crop."""
    result = dwiser.denoise(crop, threads=1)
    return measured(crop, result, judgement(crop, result), name="crop", command="")


def equal_b(low: float, high: float) -> dict[str, bool]:
    """Whether each rule takes two b-values in s/mm² for equal."""
    directions = scheme([(low, 30)], n_b0=0).bvecs
    tables = [Gradients(np.full(30, b), directions) for b in (low, high)]
    both = Gradients(np.repeat([low, high], 15), directions)
    data = np.random.default_rng(0).uniform(90, 110, (6, 6, 6, 30)).astype(np.float32)
    scans = [Scan(data, np.diag([2.0, 2, 2, 1]), table) for table in tables]
    _, why = decide([summarize(scan, name) for scan, name in zip(scans, "ab", strict=True)])
    try:
        one_shell = len(tensor_volumes(both, b_max=1e4)) == 0
    except CannotMeasure:
        one_shell = True
    first, second = (Protocol(t.bvals, t.bvecs, VOXEL) for t in tables)
    return {
        "shells": len(shells_of(both)) == 1,
        "tensor": one_shell,
        "protocol": first.differs(second) is None,
        "table": same_table(*tables),
        "series": "no b-value in common" not in why,
    }


def shells_of(table: Gradients) -> tuple[home_of_shells.Shell, ...]:
    return home_of_shells.shells(table)


@pytest.mark.parametrize(("b", "step"), [(700.0, 50.0), (3000.0, 150.0)])
def test_every_rule_has_the_same_tolerance_of_b(b: float, step: float) -> None:
    assert set(equal_b(b, b + step - 2).values()) == {True}
    # the tensor's check takes 5 % of the larger b, the others of the first
    assert set(equal_b(b, b + step * 1.06 + 2).values()) == {False}


def test_every_rule_follows_the_tolerance_s_home(monkeypatch) -> None:
    assert set(equal_b(1000.0, 1150.0).values()) == {False}
    monkeypatch.setattr(home_of_shells, "B_TOLERANCE", 200.0)
    assert set(equal_b(1000.0, 1150.0).values()) == {True}


def test_protocols_and_rescans_share_the_rule_for_a_gradient_table(monkeypatch) -> None:
    table = scheme([(1000.0, 12)], n_b0=2)
    other = Gradients(table.bvals, np.roll(table.bvecs, 1, 1))

    def verdicts() -> set[bool]:
        pair = (Protocol(t.bvals, t.bvecs, VOXEL) for t in (table, other))
        ours, theirs = pair
        data = np.ones((2, 2, 2, 14))
        _, absent = rescan.rescan_scores(data, data, (table, other), np.ones((2, 2, 2), bool))
        return {ours.differs(theirs) is None, "rescan of the signal" not in absent}

    monkeypatch.setattr(protocol, "ROTATION", 0.0)
    assert verdicts() == {False}
    monkeypatch.setattr(protocol, "DIRECTION", 91.0)
    assert verdicts() == {True}


def test_info_report_and_cohort_have_one_snr(crop: Scan, material: Material) -> None:
    by_info = survey(crop, build("splitq", "laptop", {}), threads=1).snr
    by_report = [(float(row["b"]), row["snr"]) for row in shell_rows(material)]
    by_cohort = [(row["bval"], row["snr"]) for row in scan_fields(crop, material.result)["SNR"]]
    assert len(by_info) == 2
    np.testing.assert_allclose(by_report, by_info, rtol=1e-3)
    np.testing.assert_allclose(by_cohort, by_info, rtol=1e-3)


def test_the_snr_is_the_median_of_mean_signal_over_sigma(crop: Scan, material: Material) -> None:
    mask, sigma = material.result.mask, material.result.sigma
    for row, b0 in zip(shell_rows(material), (True, False), strict=True):
        mean = crop.data[..., crop.gradients.is_b0 == b0].astype(float).mean(-1)
        assert row["snr"] == pytest.approx(np.median(mean[mask] / sigma[mask]), rel=1e-6)


def test_sidecar_report_and_metrics_have_one_residual_sd(crop: Scan, material: Material) -> None:
    result = material.result
    by_record = [row["sd"] for row in result.record["ResidualOverSigma"]]
    by_report = [row["sd"] for row in shell_rows(material)]
    measures = evaluate(result.data, crop, mask=result.mask, sigma=result.sigma)
    by_metric = [measures.value("residual.sd", group) for group in ("b0", "b1000")]
    np.testing.assert_allclose(by_record, by_report, rtol=1e-5)
    np.testing.assert_allclose(by_metric, by_report, rtol=1e-5)


@pytest.mark.parametrize("method", ["gaussian", "identity"])
def test_a_file_s_sidecar_has_the_residual_sd_of_python(
    method: str, crop: Scan, tmp_path: Path
) -> None:
    """The former takes it from the residual's tests, which the latter does not make."""
    few = replace(crop, data=crop.data[:, :, :4])
    source = tmp_path / "dwi.nii"
    dwiser.save(dwiser.denoise(few, "identity"), source, few)
    written = denoise_file(Request(source, tmp_path / "out.nii", method=method, threads=1))
    of_python = dwiser.denoise(dwiser.load(source), method, threads=1)
    key = "ResidualOverSigma"
    assert [*written.record].index(key) == [*of_python.record].index(key)
    for by_file, by_python in zip(written.record[key], of_python.record[key], strict=True):
        assert by_file == pytest.approx(by_python, rel=1e-6)


def test_a_shift_of_the_residual_is_no_part_of_its_sd(crop: Scan, material: Material) -> None:
    shifted = Denoised(
        material.result.data + 3 * material.result.sigma[..., None],
        sigma=material.result.sigma, mask=material.result.mask, record={},
    )  # fmt: skip
    from dwiser.run.record import residual_over_sigma

    before, after = (
        [row["sd"] for row in residual_over_sigma(crop, r)] for r in (material.result, shifted)
    )
    np.testing.assert_allclose(after, before, rtol=1e-3)


def test_a_negative_seed_is_refused_in_one_place() -> None:
    said = [p for p in SOURCE.rglob("*.py") if "--seed must not be negative" in p.read_text()]
    assert [p.name for p in said] == ["seeds.py"]
    callers = [p.name for p in SOURCE.rglob("*.py") if "check_seed(" in p.read_text()]
    assert sorted(callers) == [
        "cohort_options.py", "denoising.py", "evaluation.py", "files.py", "seeds.py",
    ]  # fmt: skip
