"""What is taken from the signal's shape about its fibre shows; noise, in v1 too, does not."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from dipy.core.geometry import cart2sphere
from dipy.core.gradients import gradient_table
from dipy.reconst.dti import TensorModel
from dipy.reconst.shm import real_sh_descoteaux

from dwiser.evaluation.angle_cells import COS_EDGES, FA_EDGES, AngleCells
from dwiser.evaluation.inputs import EvaluationInputs
from dwiser.evaluation.main_direction import main_direction
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.residual import expected_raw
from dwiser.evaluation.residual_by_angle import residual_by_angle
from dwiser.evaluation.residual_findings import residual_findings, residual_of
from dwiser.evaluation.verdict import judge
from dwiser.scan import Gradients, Scan
from dwiser.simulation import Simulation

ALONG = (COS_EDGES[:-1] + COS_EDGES[1:]) / 2


@pytest.fixture(scope="module")
def lost(head: Simulation, head_scan: Scan) -> np.ndarray:
    """The truth without the fourth order of its spherical harmonics."""
    dwis = ~head_scan.gradients.is_b0
    _, theta, phi = cart2sphere(*head_scan.gradients.bvecs[dwis].T)
    basis = real_sh_descoteaux(4, theta, phi)[0]
    shape = head.truth[..., dwis] @ np.linalg.pinv(basis).T
    without = head.truth.copy()
    without[..., dwis] -= shape[..., 6:] @ basis[:, 6:].T
    return without


def cells(denoised: np.ndarray, scan: Scan, reading: str = "signal") -> AngleCells:
    sigma = scan.sigma.astype(np.float32)
    (by_angle,) = residual_by_angle(
        scan.data, denoised.astype(np.float32), scan.gradients, scan.mask, sigma, reading
    )
    return by_angle


def reasons(denoised: np.ndarray, scan: Scan) -> dict[str, str]:
    inputs = EvaluationInputs(denoised.astype(np.float32), scan, scan.mask, scan.sigma)
    judged = judge(residual_findings(inputs, residual_of(inputs)))
    return {reason.code: reason.level for reason in judged.reasons}


def test_it_is_the_mean_over_dipys_tensor_voxel_by_voxel(small: Simulation) -> None:
    scan = replace(small.scan, mask=small.mask, sigma=small.sigma.astype(float))
    g, sigma = scan.gradients, small.sigma
    by_angle = cells(small.truth + 0.3 * (scan.data - small.truth), scan)
    denoised = (small.truth + 0.3 * (scan.data - small.truth)).astype(np.float32)
    b0 = scan.data[..., g.is_b0].mean(-1)
    clear = small.mask & (sigma > 0) & (b0 > (np.sqrt(np.pi / 2) + 1.5) * sigma)
    where = clear & (b0 > 0.35 * np.median(b0[clear]))
    fit = TensorModel(gradient_table(g.bvals, bvecs=g.bvecs)).fit(denoised[where].astype(float))
    for f, (low, high) in enumerate(pairwise(FA_EDGES)):
        in_row = (fit.fa >= low) & (fit.fa < high)
        assert by_angle.voxels[f] == in_row.sum()
        for c in range(5):
            residuals = []
            for v in np.flatnonzero(~g.is_b0):
                cosine = np.abs(fit.evecs[:, :, 0] @ g.bvecs[v])
                some = in_row & (cosine >= COS_EDGES[c]) & (cosine < COS_EDGES[c + 1])
                snr = denoised[..., v][where][some] / sigma[where][some]
                raw = scan.data[..., v][where][some] / sigma[where][some]
                residuals.extend(raw - expected_raw(snr, "signal", 1)[0])
            if in_row.sum() >= 100 and residuals:
                assert np.isclose(by_angle.mean[f, c], np.mean(residuals), atol=1e-4)
    assert np.isfinite(by_angle.mean).any()


@pytest.mark.parametrize("method", ["WLS", "OLS"])
def test_the_fast_fit_is_dipys(small: Simulation, method: str) -> None:
    g, where = small.scan.gradients, small.mask.copy()
    where[:, ::2] = False
    table = gradient_table(g.bvals, bvecs=g.bvecs)
    model = TensorModel(table, fit_method=method, min_signal=1e-4 * small.scan.data[where].max())
    fit = model.fit(small.scan.data[where].astype(float))
    fa, v1 = main_direction(small.scan.data, g, where, weighted=method == "WLS")
    assert np.allclose(fa, fit.fa, atol=1e-6)
    clear = fit.evals[:, 0] - fit.evals[:, 1] > 1e-6
    assert np.allclose(np.abs((v1 * fit.evecs[..., 0]).sum(1))[clear], 1, atol=1e-6)


def test_of_the_truth_every_cell_is_zero_within_its_error(head, head_scan) -> None:
    by_angle = cells(head.truth, head_scan)
    for mean, error in (
        (by_angle.mean, by_angle.error),
        (by_angle.crossed, by_angle.crossed_error),
    ):
        score = (mean / error)[np.isfinite(mean)]
        assert len(score) >= 20
        assert np.abs(score).max() < 4
        assert 0.6 < score.std() < 1.5  # the errors are the scatter: neither too small nor too wide


def test_fourth_order_signal_that_was_lost_is_p4_shaped_and_told(lost, head_scan) -> None:
    by_angle = cells(lost, head_scan)
    legendre = np.polynomial.legendre.legval(ALONG, [0, 0, 0, 0, 1])
    for f in np.flatnonzero(by_angle.voxels[2:] >= 300) + 2:
        assert np.corrcoef(by_angle.mean[f], legendre)[0, 1] > 0.8
        assert np.isclose(by_angle.confirmed[f], 1, atol=0.25)
        assert np.abs(by_angle.crossed[f]).max() < np.abs(by_angle.mean[f]).max()
    assert by_angle.sure.max() > 0.2
    assert reasons(lost, head_scan)["angle"] == "FAIL"


def test_no_other_test_would_have_told(lost, head, head_scan) -> None:
    """A quarter of that loss, in the residual of a quarter: nothing else in the verdict sees it."""
    some = head.truth + 0.25 * (lost - head.truth)
    assert set(reasons(some, head_scan)) == {"angle"}


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_noise_that_was_left_in_is_no_reason(head, head_scan, share: float) -> None:
    weak = head.truth + share * (head_scan.data - head.truth)
    assert "angle" not in reasons(weak, head_scan)


def test_a_shift_of_all_tissue_has_no_shape(head, head_scan) -> None:
    shifted = head.truth - 0.25 * head.sigma[..., None]
    assert np.nanmin(cells(shifted, head_scan).mean[2:]) > 0.1
    levels = reasons(shifted, head_scan)
    assert "shift" in levels
    assert "angle" not in levels


def test_noise_in_v1_shows_and_is_not_confirmed(head, head_scan) -> None:
    """White noise added to the truth turns v1 to where it is low: the raw is brighter there."""
    rng = np.random.default_rng(0)
    noisy = head.truth + head.sigma[..., None] * rng.normal(size=head.truth.shape)
    by_angle = cells(noisy, head_scan)
    assert np.nanmax(np.abs(by_angle.mean)[:2]) > 0.08
    assert by_angle.sure.max() == 0


def test_tissue_is_judged_however_bright_fluid_is(head, head_scan, lost) -> None:
    """White matter has a third to a quarter of fluid's b0, and is what the test is about."""
    white = head_scan.mask & (head.tissues["wm"] > 0.8)
    fluid = head.tissues["csf"][..., None] > 0.5
    bright = replace(head_scan, data=np.where(fluid, 4 * head_scan.data, head_scan.data))
    brightened = np.where(fluid, 4 * lost, lost)
    assert cells(brightened, bright).voxels.sum() > 0.9 * white.sum()
    assert reasons(brightened, bright)["angle"] == "FAIL"


def test_without_anisotropy_or_directions_it_is_absent(small: Simulation) -> None:
    shape, g = (12, 12, 8), small.scan.gradients
    rng = np.random.default_rng(0)
    flat = np.full((*shape, len(g)), 100.0, np.float32)
    raw = flat + rng.normal(size=flat.shape).astype(np.float32)
    everywhere, sigma = np.ones(shape, bool), np.ones(shape, np.float32)
    with pytest.raises(CannotMeasure, match="FA above"):
        residual_by_angle(raw, flat, g, everywhere, sigma, "gaussian")
    few = np.arange(8)
    table = Gradients(g.bvals[few], g.bvecs[few])
    with pytest.raises(CannotMeasure, match="12 directions"):
        residual_by_angle(raw[..., few], flat[..., few], table, everywhere, sigma, "gaussian")
    dwis = np.flatnonzero(~g.is_b0)
    table = Gradients(g.bvals[dwis], g.bvecs[dwis])
    with pytest.raises(CannotMeasure, match="no b0"):
        residual_by_angle(raw[..., dwis], flat[..., dwis], table, everywhere, sigma, "gaussian")
