"""Noise of known σ has its known law."""

import numpy as np
import pytest
from scipy.special import eval_genlaguerre, gammaln, hyp1f1

from dwiser.errors import Code
from dwiser.seeds import stream
from dwiser.simulation.kspace import coil_sensitivities, noisy_coils, root_sum_of_squares
from dwiser.simulation.noise import (
    G_RANGE,
    Sampling,
    add_gaussian,
    add_nc_chi,
    add_rician,
    add_to_series,
    complex_noise,
    gfactor_map,
    sigma_map,
)
from tests.refusals import refused

SHAPE = (60, 64, 40)  # 153 600 voxels: a mean is known to 0.3 % of σ
SIGMA = 12.0


def constant(value: float) -> np.ndarray:
    return np.full(SHAPE, value, np.float32)


def chi_mean(level: float, sigma: float, coils: int) -> float:
    """σ √(π/2) L_{1/2}^{(n−1)}(−A²/2σ²), by its hypergeometric form."""
    gain = np.exp(gammaln(coils + 0.5) - gammaln(coils))
    return sigma * np.sqrt(2) * gain * hyp1f1(-0.5, coils, -(level**2) / (2 * sigma**2))


@pytest.mark.parametrize("level", [0.0, 6.0, 12.0, 40.0, 300.0])
def test_rician_mean_is_its_closed_form(level: float) -> None:
    noisy = add_rician(constant(level), constant(SIGMA), stream(1, "test"))
    laguerre = eval_genlaguerre(0.5, 0, -(level**2) / (2 * SIGMA**2))
    assert noisy.mean() == pytest.approx(SIGMA * np.sqrt(np.pi / 2) * laguerre, abs=0.01 * SIGMA)
    assert (noisy.astype(float) ** 2).mean() == pytest.approx(level**2 + 2 * SIGMA**2, rel=0.01)


@pytest.mark.parametrize("level", [0.0, 30.0, 200.0])
def test_nc_chi_mean_and_power_are_their_closed_forms(level: float) -> None:
    noisy = add_nc_chi(constant(level), constant(SIGMA), stream(2, "test"), coils=4)
    assert noisy.mean() == pytest.approx(chi_mean(level, SIGMA, 4), abs=0.01 * SIGMA)
    power = level**2 + 2 * 4 * SIGMA**2
    assert (noisy.astype(float) ** 2).mean() == pytest.approx(power, rel=0.01)


def test_gaussian_noise_has_sd_sigma_and_no_bias() -> None:
    sigma = constant(SIGMA)
    sigma[:30] *= 2
    noise = add_gaussian(constant(50), sigma, stream(3, "test")) - 50
    for half, sd in ((noise[:30], 2 * SIGMA), (noise[30:], SIGMA)):
        assert half.std() == pytest.approx(sd, rel=0.01)
        assert abs(half.mean()) < 0.02 * sd


def lag_one(noise: np.ndarray, axis: int) -> float:
    n = noise.shape[axis]
    first, second = (np.take(noise, np.arange(n - 1) + i, axis) for i in (0, 1))
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_full_sampling_leaves_voxels_independent() -> None:
    noise = complex_noise(SHAPE, stream(4, "test"))
    for axis in range(3):
        assert abs(lag_one(noise.real, axis)) < 0.01
    assert abs(np.corrcoef(noise.real.ravel(), noise.imag.ravel())[0, 1]) < 0.01


@pytest.mark.parametrize("share", [0.75, 0.875])
def test_partial_fourier_correlates_along_phase_encoding_only(share: float) -> None:
    noise = complex_noise(SHAPE, stream(5, "test"), Sampling(partial_fourier=share)).real
    expected = np.sin(2 * np.pi * (share - 0.5)) / (2 * np.pi * share)  # ∫ cos over acquired k
    assert lag_one(noise, 1) == pytest.approx(expected, abs=0.03)
    assert abs(lag_one(noise, 0)) < 0.01
    assert abs(lag_one(noise, 2)) < 0.01
    assert noise.std() == pytest.approx(1, rel=0.01)


def test_zero_filling_correlates_in_plane_only_and_keeps_sigma() -> None:
    factor = 1.5
    noise = complex_noise(SHAPE, stream(6, "test"), Sampling(zero_fill=factor)).real
    for axis in (0, 1):
        assert lag_one(noise, axis) == pytest.approx(np.sinc(1 / factor), abs=0.03)
    assert abs(lag_one(noise, 2)) < 0.01
    assert noise.std() == pytest.approx(1, rel=0.01)


def test_volumes_are_independent_and_keyed_by_their_index() -> None:
    truth = np.zeros((20, 20, 10, 3), np.float32)
    sigma = np.ones((20, 20, 10), np.float32)
    noisy = add_to_series(truth, sigma, add_gaussian, seed=7)
    between = np.corrcoef(noisy.reshape(-1, 3).T) - np.eye(3)
    assert np.abs(between).max() < 0.05
    alone = add_to_series(truth[..., :2], sigma, add_gaussian, seed=7)
    np.testing.assert_array_equal(alone, noisy[..., :2])
    assert not truth.any()


def test_gfactor_map_is_smooth_largest_inside_and_in_range() -> None:
    gain = gfactor_map((50, 60, 20), 8)
    assert G_RANGE[0] <= gain.min() < 0.6 * gain.max() <= 0.6 * G_RANGE[1]
    peak = np.array(np.unravel_index(gain.argmax(), gain.shape)) / np.array(gain.shape)
    assert (np.abs(peak - 0.5) < 0.15).all()
    assert max(np.abs(np.diff(gain, axis=a)).max() for a in range(3)) < 0.15
    assert not np.array_equal(gain, gfactor_map((50, 60, 20), 9))


def test_sigma_map_has_the_mean_asked_for_in_the_mask() -> None:
    mask = np.zeros((30, 30, 10), bool)
    mask[5:25, 5:25] = True
    for kind in ("uniform", "gfactor"):
        assert sigma_map(kind, 35.0, mask, 0)[mask].mean() == pytest.approx(35.0, rel=1e-4)
    with refused(Code.ARGUMENT_VALUE, "σ map 'gfact'", "did you mean 'gfactor'"):
        sigma_map("gfact", 1.0, mask, 0)


def test_kspace_noise_keeps_its_sigma_in_the_coil_images() -> None:
    shape = (32, 36, 20)
    image = np.full(shape, 100, np.float32)
    maps = coil_sensitivities(shape, 3, seed=1)
    coils = noisy_coils(image, maps, SIGMA, stream(9, "test"))
    noise = coils - image[..., None] * maps
    for c in range(3):
        assert noise[..., c].real.std() == pytest.approx(SIGMA, rel=0.02)
        assert noise[..., c].imag.std() == pytest.approx(SIGMA, rel=0.02)
    assert abs(np.corrcoef(noise[..., 0].real.ravel(), noise[..., 1].real.ravel())[0, 1]) < 0.03
    assert root_sum_of_squares(coils).mean() == pytest.approx(
        chi_mean(100, SIGMA, 3), abs=0.02 * SIGMA
    )


def test_sensitivities_give_the_image_back_and_differ_between_coils() -> None:
    maps = coil_sensitivities((20, 24, 10), 6)
    np.testing.assert_allclose((np.abs(maps) ** 2).sum(-1), 1, rtol=1e-5)
    strongest = np.abs(maps).reshape(-1, 6).argmax(axis=0)
    assert len(set(strongest.tolist())) == 6


@pytest.mark.parametrize(
    "wrong", [{"partial_fourier": 0.5}, {"partial_fourier": 1.1}, {"zero_fill": 0.9}]
)
def test_impossible_sampling_is_refused(wrong: dict[str, float]) -> None:
    with refused(Code.ARGUMENT_VALUE, "factor must be", f"not {next(iter(wrong.values())):g}"):
        Sampling(**wrong)
