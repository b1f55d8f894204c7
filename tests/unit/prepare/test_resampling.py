"""σ on another grid: what it is at a place, and what linear interpolation leaves of the noise."""

import numpy as np
import pytest

from dwiser.prepare.resampling import resampled_sigma

RNG = np.random.default_rng(0)


def moved(offset: float, zoom: float = 1.0) -> np.ndarray:
    matrix = np.diag([zoom, zoom, zoom, 1.0])
    matrix[:3, 3] = offset
    return matrix


def test_on_the_same_grid_it_is_the_same() -> None:
    sigma = RNG.uniform(1, 3, (5, 4, 1)).astype(np.float32)
    for averaged in (False, True):
        same = resampled_sigma(sigma, np.eye(4), sigma.shape, averaged=averaged)
        np.testing.assert_allclose(same, sigma, rtol=1e-6)


def test_a_linear_map_is_met_at_every_place() -> None:
    x, y, z = np.meshgrid(*map(np.arange, (7, 6, 5)), indexing="ij")
    sigma = 1 + x + 2 * y + 3.0 * z
    out = resampled_sigma(sigma, moved(0.3, 0.5), (11, 9, 8))
    a, b, c = (0.5 * n + 0.3 for n in np.meshgrid(*map(np.arange, (11, 9, 8)), indexing="ij"))
    np.testing.assert_allclose(out, 1 + a + 2 * b + 3 * c, rtol=1e-5)


def test_what_is_not_known_spreads_nowhere_and_outside_nothing_is_known() -> None:
    sigma = np.full((6, 6, 6), 2.0)
    sigma[:3] = 0
    out = resampled_sigma(sigma, moved(0.4), (8, 6, 6))
    assert not out[:2].any()
    np.testing.assert_allclose(out[2:5, :5, :5], 2)  # from its known neighbours alone
    assert not out[6:].any()


def test_averaged_it_is_the_sd_of_interpolated_noise() -> None:
    """Noise that is interpolated linearly has the sd that the map says."""
    sigma, where = RNG.uniform(1, 2, (9, 8, 7)), moved(0.37)
    noise = sigma[..., None] * RNG.standard_normal((9, 8, 7, 4000)).astype(np.float32)
    w = (0.63, 0.37)
    interpolated = sum(
        w[i] * w[j] * w[k] * noise[i : i + 8, j : j + 7, k : k + 6]
        for i in (0, 1) for j in (0, 1) for k in (0, 1)
    )  # fmt: skip
    said = resampled_sigma(sigma, where, (8, 7, 6), averaged=True)
    assert (interpolated.std(-1) / said).mean() == pytest.approx(1, abs=0.003)
    plain = resampled_sigma(sigma, where, (8, 7, 6))
    assert (said / plain).mean() == pytest.approx((0.63**2 + 0.37**2) ** 1.5, rel=0.03)
