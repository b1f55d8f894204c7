import os
from pathlib import Path

import numpy as np
import pytest

from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.repeats import moment_mean, plain_mean, score
from dwiser.evaluation.suite import evaluate
from dwiser.evaluation.tensor import pick
from dwiser.io import load
from dwiser.prepare.noise import sigma_map
from dwiser.scan import Scan

VOXELS, REPEATS = 6000, 12
SIGMA = np.linspace(4, 8, VOXELS)


def magnitude(snr: float, seed: int, repeats: int = REPEATS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    real, imaginary = rng.normal(size=(2, VOXELS, repeats)) * SIGMA[:, None]
    return np.hypot(snr * SIGMA[:, None] + real, imaginary)


def test_the_truth_has_no_excess_and_a_biased_half_has_its_square():
    truth = np.random.default_rng(0).uniform(300, 500, VOXELS)
    noise = np.random.default_rng(1).normal(size=(VOXELS, REPEATS)) * SIGMA[:, None]
    reference = plain_mean(truth[:, None] + noise, SIGMA)
    exact = score(np.repeat(truth[:, None], 3, 1), reference)
    assert abs(exact.excess) < 0.15  # σ²/n is about 3
    off = score(np.repeat(truth[:, None] + 5, 3, 1), reference)
    assert np.isclose(off.excess, 25, rtol=0.05)
    assert np.isclose(off.bias, 5, rtol=0.02)
    assert np.isclose(off.nrmse, 5 / np.sqrt((truth**2).mean()), rtol=0.05)


def test_on_the_floor_the_moment_mean_is_free_of_the_bias_that_the_plain_mean_has():
    repeats = magnitude(2.0, 0, 200)
    signal = 2.0 * SIGMA
    plain, moment = plain_mean(repeats, SIGMA), moment_mean(repeats, SIGMA)
    rician = 2.2724 * SIGMA  # the mean of a Rician with ν = 2σ
    assert np.isclose((plain.value / rician).mean(), 1, atol=0.005)
    assert np.isclose((moment.value / signal).mean(), 1, atol=0.005)


def test_the_jackknife_gives_the_moment_mean_s_own_noise():
    repeats = magnitude(4.0, 1, 40)
    reference = moment_mean(repeats, SIGMA)
    true = ((reference.value - 4.0 * SIGMA) ** 2).mean()
    assert np.isclose(reference.variance.mean(), true, rtol=0.1)


def test_against_the_moment_mean_the_truth_beats_the_floor():
    reference = moment_mean(magnitude(2.0, 2, 60), SIGMA)
    truth = np.repeat(2.0 * SIGMA[:, None], 2, 1)
    floor = np.repeat(2.2724 * SIGMA[:, None], 2, 1)
    assert score(truth, reference).nrmse < 0.06 < score(floor, reference).nrmse
    assert np.isclose(score(floor, reference).bias, 0.2724 * SIGMA.mean(), rtol=0.1)


def test_the_mean_of_all_volumes_wins_on_repeats_and_is_caught_where_directions_differ(
    head, head_scan
):
    def mean_of_all(series: np.ndarray) -> np.ndarray:
        return np.repeat(series.mean(-1, keepdims=True), series.shape[-1], axis=-1)

    oil = magnitude(30.0, 5)  # an object without diffusion: every volume is a repeat
    fitted, reference = oil[:, ::2], plain_mean(oil[:, 1::2], SIGMA)
    power = float((SIGMA**2).mean())
    assert score(mean_of_all(fitted), reference).excess < 0.25 * power
    assert score(fitted, reference).excess > 0.9 * power

    caught = evaluate(mean_of_all(head_scan.data), head_scan, truth=head.truth)
    raw = evaluate(head_scan.data, head_scan, truth=head.truth)
    assert caught.verdict.level == "FAIL"
    codes = {r.code for r in caught.verdict.reasons if r.level == "FAIL"}
    assert {"shift", "variance", "anatomy"} <= codes
    for metric, group in (("fidelity.nrmse", "b1000"), ("fa.rmse", "all"), ("md.rmse", "all")):
        assert caught.value(metric, group) > 2 * raw.value(metric, group)


@pytest.mark.skipif("DWISER_DATA" not in os.environ, reason="DWISER_DATA names no folder of scans")
def test_on_the_scanner_s_oil_the_mean_of_all_volumes_wins_and_its_verdict_is_fail():
    scan = load(Path(os.environ["DWISER_DATA"]) / "oil_phantom" / "dwi.nii.gz")
    crop = Scan(scan.data[30:62, 30:62, 8:16], scan.affine, scan.gradients)
    half, rest = np.arange(0, 86, 2), np.arange(1, 86, 2)
    part = Scan(crop.data[..., half], crop.affine, pick(crop.gradients, half))
    mean = np.repeat(part.data.mean(-1, keepdims=True), len(half), axis=-1)
    mask = np.ones(crop.shape[:3], bool)
    sigma = sigma_map(crop, mask)
    reference = plain_mean(crop.data[mask][:, rest], sigma[mask])
    power = float((sigma[mask].astype(float) ** 2).mean())
    raw, averaged = (score(d[mask], reference).excess for d in (part.data, mean))
    assert averaged < 0.7 * raw
    assert averaged < power
    assert evaluate(mean, part, mask=mask, sigma=sigma).verdict.level == "FAIL"


def test_one_repeat_is_no_reference():
    with pytest.raises(CannotMeasure):
        plain_mean(np.ones((VOXELS, 1)), SIGMA)
