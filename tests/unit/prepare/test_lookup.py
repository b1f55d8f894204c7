"""A lookup on an even grid is the interpolation that a search would give."""

import numpy as np

from dwiser.prepare.lookup import Lookup
from dwiser.prepare.moments import magnitude_moments, magnitude_sd
from dwiser.seeds import stream


def test_it_is_the_interpolation_and_ends_where_the_grid_does() -> None:
    grid = np.arange(-2, 5.001, 0.01)
    table = Lookup(np.stack([np.sin(grid), grid**2]).astype(np.float32), -2.0, 0.01)
    x = stream(0, "x").uniform(-3, 6, (50, 40))
    for interpolated, values in zip(table.at(x), table.values, strict=True):
        np.testing.assert_allclose(interpolated, np.interp(x, grid, values), atol=1e-4)


def test_the_sd_by_the_mean_is_the_laws() -> None:
    theta = np.linspace(0, 100, 500)
    for coils in (1.0, 4.0):
        mean, variance = magnitude_moments(theta, coils)
        sd = magnitude_sd(np.full(500, 3.0), 3 * mean, coils)
        np.testing.assert_allclose(sd[theta > 1], 3 * np.sqrt(variance[theta > 1]), rtol=3e-3)
        np.testing.assert_allclose(sd, 3 * np.sqrt(variance), rtol=2e-2)
