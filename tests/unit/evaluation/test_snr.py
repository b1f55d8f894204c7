import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.snr import (
    background_noise,
    corpus_callosum,
    local_noise,
    region_snr,
    repeatability,
)
from dwiser.evaluation.tensor import TensorMaps

SHAPE = (30, 28, 24)
MASK = np.zeros(SHAPE, bool)
MASK[6:24, 6:22, 6:18] = True
BAND = np.zeros(SHAPE, bool)
BAND[12:18, 13:15, 11:13] = True


def maps(axis: int) -> TensorMaps:
    fa = np.where(BAND, 0.8, 0.3) * MASK
    v1 = np.zeros((*SHAPE, 3))
    v1[..., 2 if axis != 2 else 1] = 1
    v1[BAND] = np.eye(3)[axis]
    return TensorMaps(fa, fa, fa, fa, v1)


def test_the_callosum_is_the_left_right_bundle_whatever_the_storage_order():
    assert np.array_equal(corpus_callosum(maps(0), MASK, np.diag([-2.0, 2, 2, 1])), BAND)
    swapped = np.array([[0, 2.0, 0, 0], [2, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
    assert np.array_equal(corpus_callosum(maps(1), MASK, swapped), BAND)
    with pytest.raises(CannotMeasure):
        corpus_callosum(maps(1), MASK, np.eye(4))


def series() -> tuple[np.ndarray, np.ndarray]:
    truth = np.repeat((MASK * 100.0 + BAND * 60.0)[..., None], 3, -1)
    rng = np.random.default_rng(0)
    return truth, np.hypot(truth + rng.normal(0, 5, truth.shape), rng.normal(0, 5, truth.shape))


def test_the_background_of_a_raw_magnitude_image_gives_sigma_and_a_known_snr():
    _, raw = series()
    noise = background_noise(raw, raw, MASK)
    assert np.isclose(noise, 5, rtol=0.02)
    measured = region_snr(raw, BAND, MASK, noise)
    assert np.isclose(measured.snr, 160 / 5, rtol=0.03)
    assert np.isclose(measured.cnr, 60 / 5, rtol=0.05)


def test_a_blur_wins_callosum_snr():
    _, raw = series()
    blurred = gaussian_filter(raw, (1, 1, 1, 0))
    raw_noise, noise = background_noise(raw, raw, MASK), background_noise(blurred, raw, MASK)
    before = region_snr(raw, BAND, MASK, raw_noise).snr
    assert region_snr(blurred, BAND, MASK, noise).snr > 2 * before


def test_a_background_that_tells_nothing_is_refused():
    truth, raw = series()
    with pytest.raises(CannotMeasure, match="zero"):
        background_noise(truth, truth, MASK)
    with pytest.raises(CannotMeasure, match="undenoised"):
        background_noise(np.where(MASK[..., None], truth, raw), raw, MASK)
    with pytest.raises(CannotMeasure, match="constant"):
        background_noise(truth, raw, MASK)


def test_repeatability_of_seeds_of_known_spread():
    rng = np.random.default_rng(0)
    signal = rng.uniform(50, 150, (*SHAPE, 4))
    runs = [signal + rng.normal(0, 3, signal.shape) for _ in range(3)]
    agreement = repeatability(runs, MASK)
    assert np.isclose(agreement.sd, 3, rtol=0.02)
    assert np.isclose(agreement.cv, 0.03, rtol=0.03)
    variance = signal[MASK].var()
    assert np.isclose(agreement.correlation, variance / (variance + 9), atol=0.002)


def test_scan_and_rescan_of_a_map_and_a_single_run():
    fa = np.full(SHAPE, 0.5)
    agreement = repeatability([fa, fa + 0.02], MASK)
    assert np.isclose(agreement.sd, 0.02 / np.sqrt(2))
    assert agreement.correlation is None
    with pytest.raises(CannotMeasure):
        repeatability([fa], MASK)


def test_the_noise_between_neighbours_is_sigma_on_structure_that_is_smooth():
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.add.outer(np.arange(30.0), np.arange(28.0)), np.arange(24.0))
    noisy = ramp[..., None] + rng.normal(0, 4, (*SHAPE, 5))
    assert np.isclose(local_noise(noisy, MASK), 4, rtol=0.03)
    assert local_noise(gaussian_filter(noisy, (1, 1, 1, 0)), MASK) < 0.4
    with pytest.raises(CannotMeasure, match="flat"):
        local_noise(np.ones((*SHAPE, 2)), MASK)
