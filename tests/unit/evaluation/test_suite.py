import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import hyp1f1

from dwiser.errors import Code
from dwiser.evaluation.groups import tissue_masks, volume_groups
from dwiser.evaluation.records import Absent, Metric
from dwiser.evaluation.suite import evaluate
from dwiser.evaluation.tensor import pick
from dwiser.scan import Gradients, Scan
from dwiser.simulation import phantom
from dwiser.simulation.scheme import scheme
from tests.refusals import refused


@pytest.fixture(scope="module")
def truth_given(head):
    return {
        "truth": head.truth,
        "tissues": head.tissues,
        "lesions": head.lesions,
        "lesion_volumes": {x["label"]: x["volumes"] for x in head.record["lesions"]},
    }


def test_everything_is_a_number_or_an_absence_with_a_reason(head, head_scan, truth_given):
    evaluation = evaluate(head.truth, head_scan, **truth_given)
    assert evaluation.value("fidelity.nrmse", "b1000") == 0
    assert evaluation.value("lesion.kept", "lesion 1") == pytest.approx(1)
    assert evaluation.verdict.level == "PASS"
    assert all(np.isfinite(value) for _, _, value, _ in evaluation.rows())
    assert {a.metric for a in evaluation.absent} >= {"fidelity.psnr", "fa.psnr"}
    assert all(a.reason for a in evaluation.absent)
    again = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert len(again["metrics"]) == len(evaluation.rows())
    with pytest.raises(KeyError, match="infinite"):
        evaluation.value("fidelity.psnr", "b0")


def test_a_blur_wins_callosum_snr_and_loses_edges_lesions_and_bias_and_fails():
    simulation = phantom((40, 46, 20), shells=((1000.0, 12),), n_b0=2, lesions=True, seed=1)
    known = {
        "truth": simulation.truth,
        "mask": simulation.mask,
        "sigma": simulation.sigma,
        "lesions": simulation.lesions,
    }
    known["lesion_volumes"] = {x["label"]: x["volumes"] for x in simulation.record["lesions"]}
    blurred = gaussian_filter(simulation.scan.data, (1, 1, 1, 0))
    raw, evaluation = (
        evaluate(data, simulation.scan, **known) for data in (simulation.scan.data, blurred)
    )
    for noise in ("", "local."):
        name = f"corpus_callosum.{noise}snr"
        assert evaluation.value(name, "b1000") > 1.5 * raw.value(name, "b1000")
    fwhm = 2.3548 * simulation.scan.voxel_size[0]
    assert evaluation.value("edge.fwhm", "b1000") == pytest.approx(fwhm, rel=0.1)
    assert evaluation.value("lesion.kept", "lesion 1") < 0.8 < raw.value("lesion.kept", "lesion 1")
    assert evaluation.value("error.systematic", "b0") > 5 * raw.value("error.systematic", "b0")
    assert evaluation.verdict.level == "FAIL"
    assert "anatomy" in {r.code for r in evaluation.verdict.reasons if r.level == "FAIL"}
    assert raw.verdict.reasons[0].code == "unchanged"


def test_the_raw_scan_has_the_rician_bias_of_its_known_sigma(head, head_scan, truth_given):
    evaluation = evaluate(head_scan.data, head_scan, **truth_given)
    dwis = np.flatnonzero(~head_scan.gradients.is_b0)
    truth = head.truth[head.mask][:, dwis].astype(float)
    sigma = head.sigma[head.mask][:, None].astype(float)
    snr2 = (truth / sigma) ** 2 / 2
    mean = sigma * np.sqrt(np.pi / 2) * hyp1f1(-0.5, 1, -snr2)  # Koay & Basser 2006
    standard_error = float(np.sqrt((sigma**2).mean() / truth.size))
    expected = float((mean - truth).mean())
    assert expected > 10 * standard_error
    assert evaluation.value("error.bias", "b1000") == pytest.approx(
        expected, abs=5 * standard_error
    )


def test_a_bundle_off_the_grid_is_refused_by_name(head, head_scan):
    with refused(Code.GRID_SHAPE, "bundle's start", "on the raw scan's grid"):
        evaluate(head.truth, head_scan, bundle={"start": head.mask[1:]})


def test_without_truth_only_what_needs_none_is_measured(head, head_scan):
    evaluation = evaluate(head.truth, head_scan)
    names = {m.metric.split(".")[0] for m in evaluation.metrics}
    assert names <= {"residual", "noise", "corpus_callosum"}
    absent = {a.metric: a.reason for a in evaluation.absent}
    for name in ("fidelity", "tensor", "edge", "lesion"):
        assert absent[name] == "no truth was given"


def test_without_mask_and_sigma_they_are_estimated_and_said(head):
    evaluation = evaluate(head.truth, head.scan)
    assert evaluation.inputs == {"mask": "estimated", "sigma": "estimated"}
    assert evaluation.value("residual.sd", "b1000") == pytest.approx(1, abs=0.15)


def test_air_in_an_estimated_mask_has_no_tensor(head, head_scan):
    alone = Scan(head_scan.data, head_scan.affine, head_scan.gradients)
    wide = evaluate(head_scan.data, alone, truth=head.truth)
    known = evaluate(head_scan.data, alone, truth=head.truth, mask=head.mask)
    assert wide.inputs["mask"] == "estimated"
    for metric in ("fa.rmse", "md.rmse", "fa.bias"):
        assert wide.value(metric, "all") == pytest.approx(known.value(metric, "all"), rel=0.02)


def test_one_b0_and_six_directions_leave_reasons_not_nans(head):
    few = np.concatenate(
        [
            [np.flatnonzero(head.scan.gradients.is_b0)[0]],
            np.flatnonzero(~head.scan.gradients.is_b0)[:6],
        ]
    )
    scan = Scan(head.scan.data[..., few], head.scan.affine, pick(head.scan.gradients, few))
    evaluation = evaluate(
        head.truth[..., few],
        scan,
        truth=head.truth[..., few],
        mask=head.mask,
        sigma=head.sigma.astype(float),
        crossing=True,
    )
    absent = {(a.metric, a.group): a.reason for a in evaluation.absent}
    assert "15 directions" in absent["crossing", "all"]
    assert "two or more volumes" in absent["error.random", "b0"]
    assert "tensor" in absent["residual.anatomy.mean_fa", "DWI"]
    assert evaluation.verdict.level == "PASS"


def test_no_noise_no_verdict_but_the_rest(head):
    clean = Scan(head.truth, head.scan.affine, head.scan.gradients, mask=head.mask)
    evaluation = evaluate(head.truth, clean, truth=head.truth, sigma=np.zeros(head.mask.shape))
    assert evaluation.verdict is None
    assert any(a.metric == "residual" and "σ" in a.reason for a in evaluation.absent)
    assert evaluation.value("fidelity.nrmse", "b0") == 0


def test_inputs_off_the_grid_are_refused_by_name(head, head_scan):
    with refused(Code.GRID_SHAPE, "denoised image", "on the raw scan's grid"):
        evaluate(head.truth[1:], head_scan)
    with refused(Code.GRID_SHAPE, "mask", "on the raw scan's grid"):
        evaluate(head.truth, head_scan, mask=head.mask[1:])


def test_no_metric_holds_a_nan():
    with pytest.raises(ValueError, match="absent"):
        Metric("psnr", "b0", float("nan"))
    assert Absent("psnr", "b0", "why").reason == "why"


def test_groups_are_b0_shells_and_all_dwis_together():
    table = scheme([(1000.0, 6), (2000.0, 8)], n_b0=2)
    assert [(g.name, len(g.volumes)) for g in volume_groups(table)] == [
        ("b0", 2),
        ("b1000", 6),
        ("b2000", 8),
        ("DWI", 14),
    ]
    single = Gradients(np.array([0.0, 995, 1004]), np.array([[0, 0, 0], [1.0, 0, 0], [0, 1, 0]]))
    assert [g.name for g in volume_groups(single)] == ["b0", "b1000"]


def test_a_voxel_belongs_to_the_tissue_that_fills_most_of_it():
    share = np.array([0.2, 0.6, 0.9]).reshape(3, 1, 1)
    mask = np.array([True, True, False]).reshape(3, 1, 1)
    masks = tissue_masks({"wm": share, "gm": 1 - share, "csf": share * 0}, mask)
    assert masks["wm"].ravel().tolist() == [False, True, False]
    assert masks["gm"].ravel().tolist() == [True, False, False]
    assert "csf" not in masks
