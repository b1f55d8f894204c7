"""The magnitude's floor against its law, drawn and inverted."""

import numpy as np
import pytest

from dwiser.prepare.moments import (
    expected_magnitude,
    koay,
    magnitude_moments,
    magnitude_sd,
)
from dwiser.prepare.rician_bias import true_signal
from dwiser.seeds import stream


def drawn(theta: float, coils: int, count: int = 400_000) -> np.ndarray:
    """Magnitudes of signal θ and σ = 1 from ``coils`` channels."""
    noise = stream(1, "moments").standard_normal((2 * coils, count))
    noise[0] += theta
    return np.sqrt((noise**2).sum(0))


@pytest.mark.parametrize("coils", [1, 4, 12])
@pytest.mark.parametrize("theta", [0.0, 1.5, 4.0, 20.0])
def test_moments_are_those_of_the_draws(theta: float, coils: int) -> None:
    magnitudes = drawn(theta, coils)
    mean, variance = (float(m[0]) for m in magnitude_moments(np.array([theta]), coils))
    assert magnitudes.mean() == pytest.approx(mean, abs=0.005)
    assert magnitudes.var() == pytest.approx(variance, rel=0.01)


@pytest.mark.parametrize("coils", [1.0, 4.0, 16.0])
def test_the_expansion_meets_the_exact_law(coils: float) -> None:
    mean, variance = magnitude_moments(np.array([19.9999, 20.0001]), coils)
    assert abs(mean[1] - mean[0] - 0.0002) < 2e-3
    assert abs(variance[1] - variance[0]) < 2e-2


@pytest.mark.parametrize("coils", [1, 4])
def test_koay_finds_the_sigma_of_several_channels(coils: int) -> None:
    magnitudes = 5 * drawn(3.0, coils)
    sigma = koay(np.array([magnitudes.var()]), np.array([[magnitudes.mean()]]), coils)
    assert sigma[0] == pytest.approx(5.0, rel=0.02)
    sd = magnitude_sd(np.array([5.0]), np.array([magnitudes.mean()]), coils)
    assert sd[0] == pytest.approx(magnitudes.std(), rel=0.01)


@pytest.mark.parametrize("coils", [1.0, 4.0])
def test_the_signal_behind_an_exact_mean_is_found(coils: float) -> None:
    theta = np.array([0.0, 0.5, 1.0, 3.0, 8.0, 12.5, 40.0, 300.0])
    mean = magnitude_moments(theta, coils)[0]
    sigma = np.full(len(theta), 3.0)
    signal = true_signal(3 * mean, sigma, 0.0, coils) / 3
    np.testing.assert_allclose(expected_magnitude(3 * theta, sigma, coils), 3 * mean, rtol=1e-3)
    np.testing.assert_allclose(signal, theta, atol=0.06, rtol=2e-3)  # at 0 the inverse is steep


@pytest.mark.parametrize("theta", [0.0, 0.7, 1.0])
def test_a_posterior_mean_errs_less_than_the_inverse_where_the_mean_is_unsure(theta) -> None:
    spread = 0.3
    mean = float(magnitude_moments(np.array([theta]))[0][0])
    unsure = mean + spread * stream(2, "unsure").standard_normal(20_000)
    one = np.ones_like(unsure)

    def error(assumed: float) -> float:
        return float(np.mean((true_signal(unsure, one, assumed) - theta) ** 2))

    def inverse_error() -> float:
        return float(np.mean((unsure - theta) ** 2))

    assert error(spread) < inverse_error()  # the floor itself
    if theta >= 0.7:
        assert error(spread) < error(0.0)


def test_without_sigma_the_mean_stands() -> None:
    mean = np.array([0.0, 5.0])
    np.testing.assert_array_equal(true_signal(mean, np.zeros(2)), mean)
