"""The floor taken off: what a shell shows tells what a signal may be."""

import numpy as np
import pytest

from dwiser.prepare.moments import NONE, expected_magnitude, magnitude_moments
from dwiser.prepare.rician_bias import (
    allowed_sigma,
    signal_posterior,
    signal_power,
    true_signal,
)
from dwiser.seeds import stream

SPREAD = 0.2  # σ: how unsure the means are


def unsure(theta: np.ndarray, coils: float = 1) -> np.ndarray:
    """The means of magnitudes that show ``theta``, with such an error."""
    mean = expected_magnitude(theta, np.ones_like(theta), coils)
    return mean + SPREAD * stream(1, "unsure", int(coils)).standard_normal(theta.shape)


@pytest.mark.parametrize("coils", [1.0, 4.0, 8.0])
@pytest.mark.parametrize("theta", [0.0, 0.3, 4.0])
def test_the_power_behind_unsure_means_is_the_signals(theta: float, coils: float) -> None:
    """Averaged over errors of the mean, and not clipped: no signal has no power."""
    power = signal_power(unsure(np.full(50_000, theta), coils), np.ones(50_000), coils)
    curved = SPREAD**2 * (1 + coils)  # what the inverse's curvature adds at most
    assert abs(power.mean() - theta**2) < curved


@pytest.mark.parametrize("coils", [1.0, 4.0, NONE])
@pytest.mark.parametrize("power", [0.1, 1.0, 9.0])
def test_signals_of_a_known_power_are_found_best_by_it(coils: float, power: float) -> None:
    """Half normal signals, as the posterior takes them to be: no other answer errs less."""
    theta = np.abs(power**0.5 * stream(2, "signals").standard_normal(40_000))
    mean, one = unsure(theta, coils), np.ones_like(theta)

    def error(assumed: float | None) -> float:
        known = None if assumed is None else np.full_like(theta, assumed)
        return float(np.mean((true_signal(mean, one, SPREAD, coils, known) - theta) ** 2))

    assert error(power) < error(None)
    assert error(power) < error(16 * power)
    assert error(power) < error(power / 16)


@pytest.mark.parametrize("coils", [1.0, 4.0])
@pytest.mark.parametrize("power", [0.3, 1.0])
def test_what_is_left_of_noise_is_less_at_the_floor_as_the_noise_is(
    coils: float, power: float
) -> None:
    """A part of the magnitude's own noise, drawn so: to take it as alike everywhere errs more."""
    rng, passed = stream(3, "left"), 0.2
    theta = np.abs(power**0.5 * rng.standard_normal(40_000))
    mean, variance = magnitude_moments(theta, coils)
    left = mean + passed * np.sqrt(variance) * rng.standard_normal(len(theta))
    one, known = np.ones_like(theta), np.full_like(theta, power)
    own = true_signal(left, one, passed, coils, known)
    alike, _ = signal_posterior(left, one, passed * one, coils, known)
    assert np.mean((own - theta) ** 2) < 0.99 * np.mean((alike - theta) ** 2)


def test_a_whole_shell_at_the_floor_is_nearly_nothing() -> None:
    mean, one = unsure(np.zeros(20_000)), np.ones(20_000)
    flat = true_signal(mean, one, SPREAD)
    signal = true_signal(mean, one, SPREAD, power=np.zeros(20_000))
    assert flat.mean() > 0.4
    assert signal.mean() < 0.25


def test_what_one_volume_shows_is_kept_where_the_others_show_nothing() -> None:
    one = np.ones(1)
    mean = expected_magnitude(3 * one, one)
    assert true_signal(mean, one, SPREAD, power=0.05 * one)[0] > 2.7


def test_strong_signals_do_not_feel_the_prior() -> None:
    theta = np.array([6.0, 12.0, 30.0])
    mean, one = expected_magnitude(theta, np.ones(3)), np.ones(3)
    np.testing.assert_allclose(true_signal(mean, one, SPREAD, power=theta**2), theta, rtol=2e-3)


def test_no_table_holds_a_hole() -> None:
    mean = np.linspace(-3, 20, 2_000)
    one = np.ones_like(mean)
    for coils in (NONE, 1.0, 3.7, 16.0):
        for power in (0.0, 0.05, 7.0, 1e6, np.inf):
            known = np.full_like(mean, power)
            assert np.isfinite(true_signal(mean, one, 0.03, coils, known)).all()
            signal, sd = signal_posterior(mean, one, 0.3 * one, coils, known)
            assert np.isfinite(signal).all()
            assert (sd >= 0).all()


@pytest.mark.parametrize("coils", [1.0, 4.0])
def test_sigma_is_no_larger_than_a_mean_allows(coils: float) -> None:
    sigma = np.full(4, 2.0, np.float32)
    floor = float(expected_magnitude(np.zeros(1), np.ones(1), coils)[0])
    mean = np.array([3 * floor, 1.9 * floor, 1.5 * floor, 0.1 * floor], np.float32)
    allowed = allowed_sigma(mean, sigma, coils)
    np.testing.assert_allclose(allowed, [2.0, 2.0, 1.5, 1.0], rtol=1e-5)
    shown = expected_magnitude(true_signal(mean, allowed, 0.0, coils), allowed, coils)
    np.testing.assert_allclose(shown[2], mean[2], rtol=1e-3)  # with σ = 2 it is brighter
    assert allowed_sigma(mean, sigma, NONE) is sigma
