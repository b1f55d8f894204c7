"""Noise is on the line; what is not, is seen."""

import numpy as np
import pytest

from dwiser.evaluation.distribution import WIDEST, distribution, repeating
from dwiser.seeds import stream

N, V = 4000, 30


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return stream(1, "z").standard_normal((N, V)).astype(np.float32)


def test_noise_lies_on_the_normal_law(noise):
    measured = distribution(noise)
    middle = np.abs(measured.normal) < 3
    np.testing.assert_allclose(measured.observed[middle], measured.normal[middle], atol=0.08)
    width = np.diff(measured.edges)
    assert (measured.density * width).sum() == pytest.approx(1)
    assert measured.density[30] == pytest.approx(0.3989, abs=0.02)
    assert measured.beyond == pytest.approx(0.0027, abs=0.0006)


def test_heavy_tails_leave_the_line(noise):
    wild = noise.copy()
    wild[:, 0] *= 6
    measured = distribution(wild)
    assert measured.observed[-1] > 1.5 * measured.normal[-1]
    assert measured.density[-1] > 0  # what lies beyond the widest bin is counted in it
    assert np.abs(wild).max() > WIDEST
    assert measured.beyond > 0.02


def test_nothing_removed_has_no_distribution(noise):
    assert distribution(0 * noise) is None


def test_what_repeats_in_every_volume_adds_up(noise):
    mask = np.zeros((20, 20, 12), bool)
    mask.ravel()[:N] = True
    shape = np.linspace(-0.5, 0.5, N, dtype=np.float32)[:, None]
    alone, with_shape = (repeating(z, mask)[mask] for z in (noise, noise + shape))
    assert alone.std() == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(with_shape - alone, shape[:, 0] * np.sqrt(V), atol=1e-4)
    assert (repeating(noise, mask)[~mask] == 0).all()
