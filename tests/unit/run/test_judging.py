"""The residual is tested once, and its verdict spelled once; no result is lost by it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import dwiser
from dwiser.errors import DwiserWarning
from dwiser.evaluation.suite import evaluate
from dwiser.io import save_volume, write_bvals, write_bvecs
from dwiser.methods.base import Denoised
from dwiser.run import judging
from dwiser.run.denoising import denoise_file
from dwiser.run.judging import judgement
from dwiser.run.request import Request
from dwiser.scan import Scan
from dwiser.simulation import Simulation


@pytest.fixture(scope="module")
def blurred(small: Simulation) -> Denoised:
    return dwiser.denoise(small.scan, "gaussian", threads=1)


@pytest.fixture
def denoising_request(crop: Scan, tmp_path: Path) -> Request:
    save_volume(crop.data, tmp_path / "dwi.nii.gz", like=crop)
    write_bvals(crop.gradients, tmp_path / "dwi.bval")
    write_bvecs(crop.gradients, tmp_path / "dwi.bvec")
    return Request(tmp_path / "dwi.nii.gz", tmp_path / "out.nii.gz", method="gaussian", threads=1)


def test_it_is_the_verdict_of_evaluate(small: Simulation, blurred: Denoised) -> None:
    record = judgement(small.scan, blurred).record
    verdict = evaluate(blurred.data, small.scan, mask=blurred.mask, sigma=blurred.sigma).verdict
    assert verdict is not None
    assert record["Level"] == verdict.level
    assert record["Reasons"] == [
        {key.capitalize(): value for key, value in asdict(reason).items()}
        for reason in verdict.reasons
    ]
    assert record["Notes"] == list(verdict.notes)
    assert record["Reasons"]


def test_the_residual_is_measured_once_for_sidecar_and_report(
    denoising_request: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, measure = [], judging.residual_of

    def counted(inputs):
        times.append(1)
        return measure(inputs)

    monkeypatch.setattr(judging, "residual_of", counted)
    page = denoising_request.out.with_name("out.html")
    denoise_file(replace(denoising_request, report=page))
    assert len(times) == 1
    sidecar = json.loads(denoising_request.out.with_name("out.json").read_text())
    assert f"Verdict: {sidecar['Verdict']['Level']}" in page.read_text(encoding="utf-8")


def test_it_is_left_out_with_a_reason_where_memory_does_not_reach(
    small: Simulation, blurred: Denoised
) -> None:
    record = judgement(small.scan, blurred, room=2**28).record
    assert record["Level"] is None
    (note,) = record["Notes"]
    assert "its tests would hold about 0.4 GiB, 0.2 may be" in note
    assert judgement(small.scan, blurred, room=2**30).judged is not None


def test_tests_that_break_cost_the_verdict_and_not_the_result(
    denoising_request: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(inputs):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(judging, "residual_of", broken)
    with pytest.warns(DwiserWarning, match="the result is whole"):
        denoise_file(denoising_request)
    sidecar = json.loads(denoising_request.out.with_name("out.json").read_text())
    assert sidecar["Verdict"]["Level"] is None
    assert "ZeroDivisionError: by zero" in sidecar["Verdict"]["Notes"][0]
    assert any("There is no verdict" in words for words in sidecar["Warnings"])
    assert denoising_request.out.exists()
