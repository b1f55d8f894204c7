"""The raw noise's correlation is told from the raw scan, whatever the signal."""

import numpy as np
import pytest

from dwiser.evaluation.raw_noise import raw_noise
from dwiser.evaluation.records import CannotMeasure
from dwiser.scan import Gradients
from dwiser.simulation import Simulation, phantom


@pytest.mark.parametrize(("b0s", "directions"), [(1, 30), (2, 12), (1, 9), (2, 6)])
def test_it_is_the_noises_own_along_its_axis_only(b0s: int, directions: int) -> None:
    s = phantom((28, 30, 14), shells=((1000.0, directions),), n_b0=b0s, snr=15, seed=directions)
    rng = np.random.default_rng(directions)
    white = rng.normal(size=s.truth.shape)
    moving = white.copy()
    moving[:, 1:] = (white[:, 1:] + 0.5 * white[:, :-1]) / 1.25**0.5  # MA(1): ρ = θ/(1+θ²) = 0.4
    sigma = np.full(s.mask.shape, s.sigma[s.mask].mean(), np.float32)
    for noise, expected in ((white, 0.0), (moving, 0.4)):
        data = (s.truth + sigma[..., None] * noise).astype(np.float32)
        correlation = raw_noise(data, s.scan.gradients, s.mask, sigma)
        assert np.isclose(correlation.y, expected, atol=0.04)
        assert abs(correlation.x) < 0.04
        assert abs(correlation.z) < 0.04
        assert correlation.volume is None


def test_one_b0_and_few_directions_tell_nothing(small: Simulation) -> None:
    g, sigma = small.scan.gradients, small.sigma.astype(np.float32)
    some = np.concatenate([np.flatnonzero(g.is_b0)[:1], np.flatnonzero(~g.is_b0)[:7]])
    table = Gradients(g.bvals[some], g.bvecs[some])
    with pytest.raises(CannotMeasure, match="8 directions"):
        raw_noise(small.scan.data[..., some], table, small.mask, sigma)
