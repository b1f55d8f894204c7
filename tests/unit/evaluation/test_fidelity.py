import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dwiser.evaluation.fidelity import bias_variance, error_components, fidelity, masked_ssim
from dwiser.evaluation.records import CannotMeasure

SHAPE = (14, 12, 11)
RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(50, 150, (*SHAPE, 3))
NOISY = TRUTH + RNG.normal(0, 5, TRUTH.shape)
EVERYWHERE = np.ones(SHAPE, bool)


def test_psnr_and_ssim_of_a_whole_image_are_scikit_image_s():
    score = fidelity(NOISY, TRUTH, EVERYWHERE)
    span = TRUTH.max()
    assert score.data_range == span
    assert np.isclose(score.psnr, peak_signal_noise_ratio(TRUTH, NOISY, data_range=span))
    maps = [
        structural_similarity(TRUTH[..., v], NOISY[..., v], data_range=span, full=True)[1]
        for v in range(3)
    ]
    assert np.isclose(score.ssim, np.mean(maps), atol=1e-5)


def test_the_truth_scores_perfect_and_its_psnr_is_absent_not_infinite():
    score = fidelity(TRUTH, TRUTH, EVERYWHERE)
    assert score.nrmse == 0
    assert score.psnr is None
    assert np.isclose(score.ssim, 1)


def test_what_lies_outside_the_mask_changes_nothing():
    mask = np.zeros(SHAPE, bool)
    mask[3:10, 2:10, 2:9] = True
    spoiled = np.where(mask[..., None], NOISY, 1e6)
    a, b = fidelity(NOISY, TRUTH, mask), fidelity(spoiled, TRUTH, mask)
    assert a == b


def test_nrmse_of_a_scaled_truth_is_the_scale_s_error():
    assert np.isclose(fidelity(1.1 * TRUTH, TRUTH, EVERYWHERE).nrmse, 0.1)


def test_ssim_of_a_two_voxel_slab_is_absent():
    slab = TRUTH[:, :, :2]
    assert masked_ssim(slab, slab, EVERYWHERE[:, :, :2], 1.0) is None


def test_an_empty_truth_cannot_be_measured_against():
    with pytest.raises(CannotMeasure):
        fidelity(TRUTH, np.zeros_like(TRUTH), EVERYWHERE)


def test_bias_systematic_and_random_are_told_apart():
    truth = np.full((4000, 20), 100.0)
    pattern = np.random.default_rng(1).normal(0, 3, (4000, 1))
    noise = np.random.default_rng(2).normal(0, 5, truth.shape)
    error = error_components(truth + 2 + pattern + noise, truth)
    assert np.isclose(error.bias, 2, atol=0.2)
    assert np.isclose(error.bias_share, 0.02, atol=0.002)
    assert np.isclose(error.systematic, np.hypot(2, 3), rtol=0.03)
    assert np.isclose(error.random, 5, rtol=0.02)
    mse = np.mean((2 + pattern + noise) ** 2)
    assert np.isclose(error.systematic**2 + error.random**2, mse, rtol=1e-9)


def test_pure_noise_has_no_systematic_error():
    truth = np.full((4000, 8), 100.0)
    error = error_components(truth + np.random.default_rng(3).normal(0, 5, truth.shape), truth)
    assert error.systematic < 0.5


def test_one_volume_gives_a_bias_and_no_variance():
    error = error_components(np.full((5, 1), 3.0), np.full((5, 1), 2.0))
    assert (error.bias, error.systematic, error.random) == (1.0, None, None)


def test_rician_noise_without_denoising_has_its_known_bias():
    rng = np.random.default_rng(4)
    truth = np.zeros((20_000, 4))  # Rayleigh: mean σ√(π/2), variance (2−π/2)σ²
    noisy = np.hypot(rng.normal(0, 7, truth.shape), rng.normal(0, 7, truth.shape))
    error = error_components(noisy, truth)
    assert np.isclose(error.bias, 7 * np.sqrt(np.pi / 2), rtol=0.01)
    assert np.isclose(error.random, 7 * np.sqrt(2 - np.pi / 2), rtol=0.01)
    assert error.bias_share is None


def test_bias_and_variance_over_noise_draws():
    rng = np.random.default_rng(5)
    truth = np.full((30, 30), 10.0)
    draws = truth + 1.5 + rng.normal(0, 2, (40, 30, 30))
    error = bias_variance(draws, truth)
    assert np.isclose(error.rms_bias, 1.5, rtol=0.05)
    assert np.isclose(error.rms_sd, 2, rtol=0.03)
