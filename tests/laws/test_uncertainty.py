"""The uncertainty: a probe finds the posterior variance, and the map covers the errors."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.machine import Machine
from dwiser.methods.registry import build
from dwiser.methods.splitq.probe import (
    STEP,
    UNSEEN,
    Errors,
    follows_and_passes,
    posterior_variance,
    signs,
)
from dwiser.methods.splitq.uncertainty import signal_sd
from dwiser.prepare.moments import expected_magnitude
from dwiser.prepare.rician_bias import signal_posterior, true_signal
from dwiser.seeds import stream
from dwiser.simulation import phantom

MASK = np.ones((20, 20, 20), bool)
quiet = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")


@pytest.mark.parametrize("signal", [0.25, 1.0, 9.0])
def test_a_probe_finds_the_posterior_variance(signal: float) -> None:
    """x of variance S in noise 1: the posterior mean is y S/(1+S), its variance S/(1+S)."""
    y = stream(0, "y").standard_normal((MASK.sum(), 30)).astype(np.float32)
    b = np.stack([signs(stream(0, "probe", v), len(y)) for v in range(30)], 1)
    wiener = signal / (1 + signal)
    change = (wiener * (y + STEP * b) - wiener * y) / STEP
    removed = np.full(len(y), (1 - wiener) ** 2, np.float32)
    variance = posterior_variance(follows_and_passes(change, b), removed, 30, MASK)
    np.testing.assert_allclose(variance, UNSEEN**2 * wiener, rtol=1e-3)


def test_an_estimate_that_shrinks_nothing_is_as_unsure_as_the_noise() -> None:
    b = np.stack([signs(stream(1, "probe", v), MASK.size) for v in range(4)], 1)
    removed = np.zeros(len(b), np.float32)
    variance = posterior_variance(follows_and_passes(b, b), removed, 4, MASK)
    np.testing.assert_allclose(variance, UNSEEN**2, rtol=1e-3)


def test_signal_that_went_with_the_noise_counts_where_it_went() -> None:
    """Half of the noise is removed everywhere, and in a corner 0.4 of its variance as signal."""
    b = np.stack([signs(stream(3, "probe", v), MASK.size) for v in range(30)], 1)
    change = np.float32(0.5) * b
    removed = np.full(MASK.shape, 0.25, np.float32)
    removed[:8, :8, :8] += 0.4
    passed = follows_and_passes(change, b)
    variance = posterior_variance(passed, removed.ravel(), 30, MASK).reshape(MASK.shape)
    assert variance[2:6, 2:6, 2:6].mean() == pytest.approx(UNSEEN**2 * 0.5 + 0.4, rel=0.1)
    assert variance[12:, 12:, 12:].mean() == pytest.approx(UNSEEN**2 * 0.5, rel=0.01)


def test_where_no_signal_may_explain_a_mean_the_interval_reaches_down_to_none() -> None:
    mean, sigma = np.array([1.3, 1.5, 2.5]), np.ones(3)  # Rice's floor is 1.2533
    signal = true_signal(mean, sigma, 0.15)
    sd = signal_sd(mean, signal, sigma, np.full(3, 0.15), 1.0)
    assert (signal[:2] <= 2 * sd[:2] + 1e-6).all()
    assert signal[2] > 2 * sd[2]


def test_what_was_given_back_brings_its_noise() -> None:
    share = np.zeros((MASK.sum(), 2), np.float32)
    share[:, 1] = 1
    errors = Errors(np.full(MASK.sum(), 0.04, np.float32), np.array([0.7, 1.0]), share)
    for v in range(2):
        errors.add(10 * errors.spread(v))
    np.testing.assert_allclose(errors.sd(MASK), 10 * np.sqrt((0.49 * 0.04 + 1) / 2), rtol=1e-5)


def test_far_from_the_floor_the_signal_is_as_unsure_as_the_mean_and_at_it_less_sure() -> None:
    spread, sigma = np.full(2, 0.2), np.ones(2)
    mean = np.array([30.0, 1.3])  # Rice's floor is 1.2533
    signal, sd = signal_posterior(mean, sigma, spread)
    assert signal[0] == pytest.approx(true_signal(mean, sigma, 0.2)[0], rel=1e-4)
    assert sd[0] == pytest.approx(0.2, rel=1e-3)
    assert 0.3 < sd[1] < 1


@pytest.mark.parametrize("coils", [1, 4])
def test_the_posterior_of_the_signal_covers_it(coils: int) -> None:
    """Signals drawn evenly, their means known to 0.15 σ: one sd holds two thirds, two most."""
    rng = stream(2, "signals")
    theta = rng.uniform(0, 6, 20_000)
    mean = expected_magnitude(theta, np.ones_like(theta), coils) + 0.15 * rng.standard_normal(
        len(theta)
    )
    signal, sd = signal_posterior(mean, np.ones_like(theta), np.full_like(theta, 0.15), coils)
    off = np.abs(signal - theta) / np.maximum(sd, 1e-9)
    assert 0.93 < (off < 2).mean() < 0.98
    assert 0.6 < (off < 1).mean() < 0.75


@quiet
def test_the_map_covers_the_errors_of_each_tissue(machine: Machine) -> None:
    simulation = phantom((44, 50, 12), shells=((1000.0, 40),), n_b0=5, snr=20.0, seed=4)
    method = build("splitq", "smoke", {"uncertainty": "yes"})
    result = method.denoise(simulation.scan, machine=machine, seed=0)
    assert result.mask is not None
    assert result.uncertainty is not None
    assert result.uncertainty.shape == simulation.mask.shape
    assert not result.uncertainty[~result.mask].any()
    dwi = ~simulation.scan.gradients.is_b0
    within = np.abs(result.data - simulation.truth)[..., dwi] <= 2 * result.uncertainty[..., None]
    for name in ("wm", "gm", "csf"):
        in_tissue = result.mask & simulation.mask & (np.asarray(simulation.tissues[name]) > 0.5)
        assert 0.88 < within[in_tissue].mean() < 0.99, name


@quiet
def test_the_map_has_the_scans_units_and_is_made_on_request_only(machine: Machine) -> None:
    simulation = phantom((24, 26, 8), shells=((1000.0, 24),), n_b0=4, snr=20.0, seed=5)
    asked = build("splitq", "smoke", {"uncertainty": "yes"})
    plain = build("splitq", "smoke", {})
    first = asked.denoise(simulation.scan, machine=machine, seed=0)
    louder = replace(simulation.scan, data=8 * simulation.scan.data)
    second = asked.denoise(louder, machine=machine, seed=0)
    assert first.uncertainty is not None
    assert second.uncertainty is not None
    np.testing.assert_allclose(second.uncertainty, 8 * first.uncertainty, rtol=0.02)
    without = plain.denoise(simulation.scan, machine=machine, seed=0)
    assert without.uncertainty is None
    np.testing.assert_array_equal(without.data, first.data)
