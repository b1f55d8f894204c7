"""The bound is the closed form's where there is one, and a dense sampling's where there is none."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import expit

from dwiser.evaluation.bound import learned_prior, posterior_mean


def test_a_gaussian_law_gives_wiener_s_filter() -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(4, 4))
    covariance = mix @ mix.T
    library = rng.multivariate_normal([10, 20, 30, 40], covariance, 40_000)
    prior = learned_prior(library, library, 1.0, components=1)
    truth = rng.multivariate_normal([10, 20, 30, 40], covariance, 500)
    sigma = rng.uniform(0.5, 2, 500)
    noisy = truth + sigma[:, None] * rng.normal(size=truth.shape)
    estimate = posterior_mean(prior, noisy, sigma)
    mean = np.array([10, 20, 30, 40])
    expected = np.stack(
        [
            mean + covariance @ np.linalg.solve(covariance + s**2 * np.eye(4), x - mean)
            for x, s in zip(noisy, sigma, strict=True)
        ]
    )
    assert np.abs(estimate - expected).max() < 0.1
    assert np.sqrt(np.mean((estimate - expected) ** 2)) < 0.02


def test_a_curved_law_is_met_as_well_as_by_dense_sampling() -> None:
    rng = np.random.default_rng(1)
    sigma = 0.3

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        angle = rng.uniform(0, 2 * np.pi, n)
        signal = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)], axis=1)
        return signal, np.cos(3 * angle)[:, None]

    library, other = draw(15_000)
    truth, goal = draw(500)
    noisy = truth + sigma * rng.normal(size=truth.shape)
    prior = learned_prior(library, np.concatenate([library, other], axis=1), sigma)
    estimate = posterior_mean(prior, noisy, np.full(500, sigma))
    far = cdist(noisy, library, "sqeuclidean") / (2 * sigma**2)
    weights = np.exp(far.min(1, keepdims=True) - far)
    weights /= weights.sum(1, keepdims=True)
    risks = []
    for got, dense, true in (
        (estimate[:, :3], weights @ library, truth),
        (estimate[:, 3:], weights @ other, goal),
    ):
        risks.append(((got - true) ** 2).mean())
        assert risks[-1] == pytest.approx(((dense - true) ** 2).mean(), rel=0.03)
    assert risks[0] < 0.6 * sigma**2


def test_a_law_of_two_points_gives_their_odds() -> None:
    rng = np.random.default_rng(2)
    high, low, share, sigma = 5.0, 1.0, 0.3, 3.0
    library = np.where(rng.random((20_000, 1)) < share, high, low) * np.ones(6)
    truth = np.where(rng.random((4000, 1)) < share, high, low) * np.ones(6)
    noisy = truth + rng.normal(0, sigma, truth.shape)
    prior = learned_prior(library, library, sigma, components=2)
    estimate = posterior_mean(prior, noisy, np.full(4000, sigma))
    log_odds = np.log(share / (1 - share))
    log_odds = log_odds + ((high - low) * (noisy - (high + low) / 2)).sum(1) / sigma**2
    expected = low + (high - low) * expit(log_odds)
    np.testing.assert_allclose(estimate, np.tile(expected[:, None], 6), atol=0.05)
