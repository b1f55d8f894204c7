"""The number of channels, read off a background or fluid of noise and of nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.prepare.coils import effective_coils, moment_channels
from dwiser.prepare.moments import magnitude_moments
from dwiser.scan import Scan
from dwiser.simulation import phantom


@pytest.mark.parametrize(("noise", "coils"), [("rician", 1), ("nc-chi", 4), ("nc-chi", 8)])
def test_channels_are_counted(noise: str, coils: int) -> None:
    s = phantom(
        shape=(36, 40, 12), shells=((1000.0, 20),), n_b0=2, noise=noise, coils=coils, seed=4
    )
    assert effective_coils(s.scan, s.mask) == pytest.approx(coils, rel=0.05)


@pytest.mark.parametrize(("noise", "coils"), [("rician", 1), ("nc-chi", 4)])
def test_fluid_at_a_high_b_tells_where_the_background_is_zeroed(noise: str, coils: int) -> None:
    s = phantom(
        shape=(48, 56, 24), shells=((1000.0, 12), (2000.0, 20)), n_b0=2, noise=noise, coils=coils,
        seed=6,
    )  # fmt: skip
    zeroed = replace(s.scan, data=s.scan.data * s.mask[..., None])
    assert effective_coils(zeroed, s.mask) == pytest.approx(coils, rel=0.1)


def test_a_zeroed_background_at_a_low_b_and_ghosts_do_not_tell() -> None:
    s = phantom(shape=(36, 40, 12), shells=((1000.0, 20),), n_b0=2, noise="nc-chi", coils=4, seed=4)
    zeroed = replace(s.scan, data=s.scan.data * s.mask[..., None])
    assert effective_coils(zeroed, s.mask) == 1.0
    ghost = s.scan.data + 0.2 * np.roll(s.truth, 18, axis=1)
    ghosted = Scan(ghost.astype(np.float32), s.scan.affine, s.scan.gradients)
    assert effective_coils(ghosted, s.mask) == 1.0


@pytest.mark.parametrize(("spared", "expected"), [(0.0, 1), (0.3, 1), (0.7, 4), (1.0, 4)])
def test_a_background_tells_only_where_most_of_it_was_not_zeroed(
    spared: float, expected: int
) -> None:
    """Where the scanner zeroes voxels, it spares the bright ones: what is left tells too many."""
    s = phantom(shape=(36, 40, 12), shells=((1000.0, 20),), n_b0=2, noise="nc-chi", coils=4, seed=4)
    brightness = s.scan.data.mean(-1)
    least = np.quantile(brightness[~s.mask], 1 - spared)
    spared_voxels = s.mask | (brightness > least)
    zeroed = replace(s.scan, data=s.scan.data * spared_voxels[..., None])
    assert effective_coils(zeroed, s.mask) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("coils", "theta"), [(1, 0.0), (1, 1.0), (4, 0.5), (8, 1.0)])
def test_variance_and_mean_square_tell_channels_and_signal_apart(coils: int, theta: float) -> None:
    mean, variance = magnitude_moments(np.array(theta), coils)
    square = float(mean**2 + variance)
    assert square == pytest.approx(2 * coils + theta**2)
    assert moment_channels(float(variance), square) == pytest.approx(coils, rel=0.03)
