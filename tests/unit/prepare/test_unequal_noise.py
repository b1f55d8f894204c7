"""Volumes whose noise differs from the others'."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dwiser.prepare.measured_scan import measured_scan
from dwiser.prepare.unequal_noise import unequal_noise
from dwiser.prepare.volume_roles import VolumeRoles
from dwiser.prepare.volumes import volume_roles
from dwiser.scan import Scan
from dwiser.simulation import Simulation, phantom


@cache
def made(snr: float = 20.0) -> Simulation:
    return phantom(shape=(20, 20, 8), shells=((1000.0, 14),), n_b0=2, snr=snr, seed=8)


def with_data(scan: Scan, data: np.ndarray) -> Scan:
    return replace(scan, data=data.astype(np.float32))


def ratios(scan: Scan) -> dict[int, float]:
    return unequal_noise(scan, np.arange(scan.shape[3]))


@pytest.mark.parametrize("snr", [4.0, 20.0, 100.0, 1000.0])
def test_a_plain_scan_is_untouched(snr: float) -> None:
    scan = made(snr).scan
    assert ratios(scan) == {}
    assert measured_scan(scan, VolumeRoles(scan.shape[3])) is scan


@pytest.mark.parametrize("times", [0.25, 2.0, 5.0])
def test_another_gain_is_told_to_a_tenth(times: float) -> None:
    scan = made().scan
    data = scan.data.copy()
    data[..., [1, 5, 9]] *= times
    found = ratios(with_data(scan, data))
    louder = [1, 5, 9] if times > 1 else [v for v in range(16) if v not in (0, 1, 5, 8, 9)]
    assert set(louder) <= set(found)
    usual = np.median([found[v] for v in louder])
    assert abs(usual / max(times, 1 / times) - 1) < 0.1


def test_a_gain_below_the_threshold_changes_nothing() -> None:
    scan = made().scan
    data = scan.data.copy()
    data[..., 5] *= 1.4
    assert ratios(with_data(scan, data)) == {}


def test_a_b0_with_more_detail_and_no_gain_is_left_alone() -> None:
    """Detail of b0s is anatomy: only a gain explains more of it."""
    scan = made().scan
    data = scan.data.copy()
    rough = np.random.default_rng(0).choice([-1.0, 1.0], data.shape[:3])
    first = int(np.flatnonzero(scan.gradients.is_b0)[0])
    data[..., first] += 200 * rough * (data[..., first] > 500)
    assert first not in ratios(with_data(scan, data))


def test_the_measured_scan_has_one_noise_and_the_series_keeps_its_own() -> None:
    scan = made().scan
    data = scan.data.copy()
    data[..., 8:] *= 2
    louder = with_data(scan, data)
    before = louder.data.copy()
    roles = volume_roles(louder)
    assert not roles.plain
    assert set(roles.noise_ratio) == set(range(8, 16))
    even = measured_scan(louder, roles).data
    noise = even[~made().mask].std(0)
    assert noise.max() < 1.25 * noise.min()
    np.testing.assert_array_equal(louder.data, before)
    np.testing.assert_array_equal(even[..., :8], scan.data[..., :8])


BODY = (40, 44, 12)
AVERAGES = {0.0: 1, 500.0: 2, 1500.0: 8}  # by b-value, as bodies are scanned


@cache
def without_noise() -> Simulation:
    return phantom(BODY, shells=((500.0, 6), (1500.0, 12)), n_b0=1, noise="none", seed=4)


def averaged(truth: np.ndarray, bvals: np.ndarray, averages: dict[float, int]) -> np.ndarray:
    """Rician magnitudes of averaged complex images, 80 the noise of a single one."""
    rng = np.random.default_rng(5)
    noise = 80 / np.sqrt([averages[float(b)] for b in bvals])
    real, imaginary = (rng.normal(size=truth.shape) * noise for _ in range(2))
    return np.hypot(truth + real, imaginary)


def test_shells_of_more_averages_are_told_by_the_background() -> None:
    scan = without_noise().scan
    bvals = scan.gradients.bvals
    noisy = with_data(scan, averaged(scan.data, bvals, AVERAGES))
    told = ratios(noisy)
    for b, expected in ((0.0, 8**0.5), (500.0, 2.0)):
        for v in np.flatnonzero(bvals == b).tolist():
            assert abs(told[v] / expected - 1) < 0.1
    assert set(told) == set(np.flatnonzero(bvals < 1000).tolist())
    same = with_data(scan, averaged(scan.data, bvals, dict.fromkeys(AVERAGES, 1)))
    assert ratios(same) == {}


def test_a_ghost_and_a_background_of_zeros_make_no_averages() -> None:
    """A ghost is the rougher the brighter its volume is, and repeats in the others."""
    made = without_noise()
    scan, bvals = made.scan, made.scan.gradients.bvals
    rough = np.random.default_rng(6).choice([0.0, 300.0], (*BODY, 1))
    ghost = rough * np.exp(-1e-3 * bvals) * ~made.mask[..., None]
    same = dict.fromkeys(AVERAGES, 1)
    assert ratios(with_data(scan, averaged(scan.data + ghost, bvals, same))) == {}
    zeroed = averaged(scan.data, bvals, AVERAGES) * made.mask[..., None]
    assert ratios(with_data(scan, zeroed)) == {}
