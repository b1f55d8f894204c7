import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.residual import (
    energy,
    moments,
    removed,
    residual,
    standardised_series,
    whiteness,
)
from dwiser.simulation import phantom

SHAPE = (20, 18, 16)
EVERYWHERE = np.ones(SHAPE, bool)
SIGMA = np.linspace(2, 8, SHAPE[0])[:, None, None] * np.ones(SHAPE)


def magnitude(truth: np.ndarray, sigma: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    real = truth + rng.normal(size=truth.shape) * sigma[..., None]
    return np.hypot(real, rng.normal(size=truth.shape) * sigma[..., None])


def test_noise_of_a_varying_sigma_is_standard_normal_in_its_units():
    truth = np.full((*SHAPE, 12), 500.0)
    raw = truth + np.random.default_rng(0).normal(size=truth.shape) * SIGMA[..., None]
    residuals = residual(raw, truth, EVERYWHERE, SIGMA)
    m, e = (
        moments(removed(raw, truth, SIGMA, EVERYWHERE, range(12)), 12),
        energy(residuals.standard),
    )
    assert np.isclose(m.mean, 0, atol=0.02)
    assert np.isclose(m.sd, 1, atol=0.02)
    assert abs(m.skewness) < 0.05
    assert abs(m.kurtosis) < 0.1
    assert m.k2 < 12
    assert np.isclose(e.mean, 1, atol=0.02)
    assert np.isclose(e.excess, 0.01, atol=0.006)


@pytest.mark.parametrize("snr", [0.0, 1.0, 2.0, 4.0])
def test_on_the_rician_floor_the_truth_is_read_as_signal_and_standardised(snr):
    truth = np.full((*SHAPE, 12), snr) * SIGMA[..., None]
    raw, law = magnitude(truth, SIGMA), stats.rice(snr)
    residuals = residual(raw, truth, EVERYWHERE, SIGMA)
    assert residuals.reading == "signal"
    plain = np.stack(list(removed(raw, truth, SIGMA, EVERYWHERE, range(12))))
    assert np.isclose(plain.mean(), law.mean() - snr, atol=0.01)
    assert np.isclose(residuals.standard.mean(), 0, atol=0.015)
    assert np.isclose(residuals.standard.std(), 1, atol=0.015)


def test_on_the_rician_floor_the_rician_mean_is_read_as_such():
    truth = np.linspace(0.5, 6, 12) * SIGMA[..., None]
    mean = stats.rice(np.linspace(0.5, 6, 12)).mean() * SIGMA[..., None]
    residuals = residual(magnitude(truth, SIGMA), mean, EVERYWHERE, SIGMA)
    assert residuals.reading == "mean"
    assert np.isclose(residuals.standard.std(), 1, atol=0.015)


def test_gaussian_noise_at_low_signal_is_read_as_gaussian():
    truth = np.full((*SHAPE, 6), 1.0) * SIGMA[..., None]
    raw = truth + np.random.default_rng(0).normal(size=truth.shape) * SIGMA[..., None]
    assert residual(raw, truth, EVERYWHERE, SIGMA).reading == "gaussian"


def test_voxels_without_noise_or_signal_are_left_out():
    raw = magnitude(np.full((*SHAPE, 4), 100.0), SIGMA)
    raw[0] = 0
    sigma = SIGMA.copy()
    sigma[1], sigma[2] = 0, np.nan
    residuals = residual(raw, raw, EVERYWHERE, sigma)
    assert residuals.mask.sum() == EVERYWHERE[3:].sum()
    with pytest.raises(CannotMeasure):
        residual(raw, raw, EVERYWHERE, sigma * 0)


def test_skewness_kurtosis_are_scipy_s_and_a_zero_residual_has_none():
    values = np.random.default_rng(0).exponential(size=(300, 40))
    measured = moments(values.T, values.shape[1])
    assert np.isclose(measured.skewness, stats.skew(values.ravel()), rtol=1e-4)
    assert np.isclose(measured.kurtosis, stats.kurtosis(values.ravel()), rtol=1e-4)
    assert measured.k2 > 100
    assert moments(np.zeros((40, 300)), 40).kurtosis is None


def test_whiteness_measures_a_known_correlation_along_its_axis_only():
    rng = np.random.default_rng(0)
    white = rng.normal(size=(40, 30, 20, 8))
    moving = white.copy()
    moving[:, 1:] = white[:, 1:] + 0.5 * white[:, :-1]  # MA(1): ρ = θ/(1+θ²) = 0.4
    mask = rng.uniform(size=(40, 30, 20)) > 0.2
    lags = whiteness(moving[mask], mask)
    assert np.isclose(lags.y, 0.4, atol=0.02)
    for other in (lags.x, lags.z, lags.volume):
        assert abs(other) < 0.02


def test_whiteness_across_volumes_and_without_neighbours():
    rng = np.random.default_rng(1)
    step = rng.normal(size=(5000, 9))
    lags = whiteness(step[:, 1:] + step[:, :-1], np.ones((5000, 1, 1), bool))
    assert np.isclose(lags.volume, 0.5, atol=0.02)
    assert (lags.y, lags.z) == (None, None)


def test_a_blur_leaves_more_than_noise_explains():
    truth = np.where(np.arange(SHAPE[0]) < 10, 100.0, 300.0)[:, None, None, None]
    truth = np.broadcast_to(truth, (*SHAPE, 6))
    raw = magnitude(truth, SIGMA)
    blurred = gaussian_filter(raw, (1, 1, 1, 0))
    measured = energy(residual(raw, blurred, EVERYWHERE, SIGMA).standard)
    assert 0.1 < measured.excess < 0.5


@pytest.mark.parametrize("volumes", [6, 30])
def test_what_is_darker_than_noise_can_be_is_left_out_and_noise_is_not(volumes):
    noise = magnitude(np.zeros((*SHAPE, volumes)), SIGMA)
    residuals = residual(noise, np.zeros_like(noise), EVERYWHERE, SIGMA)
    assert residuals.suppressed == 0
    noise[:6] *= np.linspace(0, 0.5, 6)[:, None, None, None]  # dead, then scaled down
    residuals = residual(noise, np.zeros_like(noise), EVERYWHERE, SIGMA)
    assert not residuals.mask[:6].any()
    assert residuals.mask[6 + 2 :].all()
    assert residuals.suppressed == EVERYWHERE.sum() - EVERYWHERE[0].sum() - residuals.mask.sum()
    with pytest.raises(CannotMeasure, match="darker than noise"):
        residual(noise[1:5], np.zeros_like(noise[1:5]), EVERYWHERE[1:5], SIGMA[1:5])


def test_a_real_part_has_no_floor_and_loses_no_voxel():
    noise = np.random.default_rng(0).normal(size=(*SHAPE, 30)) * SIGMA[..., None]
    residuals = residual(noise, np.zeros_like(noise), EVERYWHERE, SIGMA)
    assert (residuals.suppressed, residuals.mask.sum()) == (0, EVERYWHERE.sum())


def test_anatomy_of_a_removed_floor_shows_in_the_plain_residual_and_not_in_the_standardised() -> (
    None
):
    s = phantom((34, 38, 14), shells=((3000.0, 40),), n_b0=3, snr=6.0, sigma_map="gfactor", seed=4)
    dwis, sigma = np.flatnonzero(~s.scan.gradients.is_b0), s.sigma.astype(float)
    raw, truth = s.scan.data, s.truth
    image = standardised_series(raw, truth, s.mask, sigma, 1, dwis)
    signal = truth[s.mask][:, dwis].mean(1) / sigma[s.mask]
    plain = (raw - truth)[s.mask][:, dwis].mean(1) / sigma[s.mask]
    standard = image[s.mask][:, dwis].mean(1)
    assert np.corrcoef(plain, signal)[0, 1] < -0.5
    chance = len(signal) ** -0.5
    assert abs(np.corrcoef(standard, signal)[0, 1]) < 4 * chance
    assert np.isclose(image[s.mask].std(), 1, atol=0.02)
    assert not image[~s.mask].any()


def test_the_standardised_image_holds_what_is_tested() -> None:
    s = phantom((24, 28, 10), shells=((2000.0, 12),), n_b0=2, snr=8.0, seed=3)
    images = s.scan.data, s.truth, s.mask, s.sigma.astype(float)
    residuals = residual(*images)
    image = standardised_series(*images)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image[residuals.mask], residuals.standard)
