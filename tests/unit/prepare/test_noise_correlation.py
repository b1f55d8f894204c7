"""The noise's correlation is measured from the scan alone, and σ knows it."""

import numpy as np
import pytest

from dwiser.prepare.noise import sigma_map
from dwiser.prepare.noise_correlation import NoiseCorrelation, noise_correlation, spatial_noise
from dwiser.prepare.noise_directions import noise_directions
from dwiser.prepare.noise_patches import NoisePatches
from dwiser.prepare.noise_smoothing import smooth_map, smoothing_width
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import Simulation, phantom
from dwiser.simulation.noise import Sampling

SHAPE = (40, 44, 14)


def head(directions: int, *, snr: float = 20.0, zero_fill: float = 1.0, partial: float = 1.0):
    return phantom(
        SHAPE, shells=((1000.0, directions),), n_b0=2, snr=snr, seed=directions,
        zero_fill=zero_fill, partial_fourier=partial,
    )  # fmt: skip


def correlation(s: Simulation) -> np.ndarray:
    return noise_correlation(s.scan.data, s.mask).lags


def point_spread(shape: tuple[int, int, int], sampling: Sampling) -> np.ndarray:
    """Autocorrelation of noise that only a part of k-space lets pass, along x, y, z."""
    spread = np.fft.ifft2(sampling.acquired(shape).astype(float)).real
    spread /= spread[0, 0]
    return np.stack([spread[1:4, 0], spread[0, 1:4], np.zeros(3)])


@pytest.mark.parametrize("directions", [12, 20, 40])
def test_white_noise_has_no_correlation(directions: int) -> None:
    assert np.abs(correlation(head(directions))).max() < 0.05


@pytest.mark.parametrize("directions", [12, 40])
def test_missing_k_space_shows_its_point_spread(directions: int) -> None:
    sampling = Sampling(0.75, 1.4)
    measured = correlation(head(directions, zero_fill=1.4, partial=0.75))
    known = point_spread(SHAPE, sampling)
    assert known.max() > 0.4
    np.testing.assert_allclose(measured, known, atol=0.06)


def test_turned_axes_turn_the_correlation() -> None:
    s = head(20, zero_fill=1.5)
    turned = noise_correlation(s.scan.data.transpose(2, 0, 1, 3), s.mask.transpose(2, 0, 1)).lags
    np.testing.assert_allclose(turned, correlation(s)[[2, 0, 1]], atol=0.03)


@pytest.mark.parametrize(("directions", "snr"), [(20, 20.0), (40, 20.0), (40, 8.0)])
@pytest.mark.parametrize(("zero_fill", "partial"), [(1.0, 1.0), (1.4, 0.75), (1.8, 1.0)])
def test_sigma_is_unbiased_however_correlated(
    directions: int, snr: float, zero_fill: float, partial: float
) -> None:
    s = head(directions, snr=snr, zero_fill=zero_fill, partial=partial)
    ratio = sigma_map(s.scan, s.mask)[s.mask] / s.sigma[s.mask]
    assert np.median(ratio) == pytest.approx(1, abs=0.03)


def test_units_scale_sigma_and_leave_the_correlation() -> None:
    s = head(20, zero_fill=1.4)
    once = sigma_map(s.scan, s.mask)
    for factor, rtol in ((0.25, 0), (3.7, 1e-4)):
        scan = Scan(s.scan.data * np.float32(factor), s.scan.affine, s.scan.gradients)
        np.testing.assert_allclose(sigma_map(scan, s.mask), factor * once, rtol=rtol)
        lags = noise_correlation(scan.data, s.mask).lags
        np.testing.assert_allclose(lags, correlation(s), atol=1e-4)


def test_the_same_scan_has_the_same_sigma_to_the_bit() -> None:
    s = head(40, zero_fill=1.4)
    first = sigma_map(s.scan, s.mask, threads=1)
    np.testing.assert_array_equal(sigma_map(s.scan, s.mask, threads=1), first)
    np.testing.assert_array_equal(sigma_map(s.scan, s.mask, threads=3), first)


def test_one_measurement_serves_sigma_and_whoever_asks_after_it() -> None:
    """Voxels that the scanner set to 0 tell nothing of the noise."""
    s = head(40, zero_fill=1.4)
    s.scan.data[:, :4] = 0
    spatial = spatial_noise(s.scan.data, s.mask)
    alive = s.mask & s.scan.data.any(-1)
    np.testing.assert_array_equal(spatial.voxels, alive)
    lags = noise_correlation(s.scan.data, alive).lags
    np.testing.assert_allclose(spatial.correlation.lags, lags, atol=1e-5)
    known, anew = (sigma_map(s.scan, s.mask, spatial=given) for given in (spatial, None))
    np.testing.assert_array_equal(known, anew)


def test_correlated_samples_count_as_many_independent_ones() -> None:
    """The covariance of two channels spreads by one over the effective samples."""
    kernel = np.array([0.25, 0.5, 0.25])
    rho = np.array([4, 1, 0]) / 6
    line = NoiseCorrelation(np.stack([rho, np.zeros(3), np.zeros(3)]))
    white = stream(3, "samples").standard_normal((2, 4000, 26))
    noise = sum(k * white[..., i : i + 24] for i, k in enumerate(kernel))
    noise /= np.sqrt(np.square(kernel).sum())
    spread = (noise[0] * noise[1]).mean(-1).var()
    assert 1 / spread == pytest.approx(24 * line.effective_share((24, 1, 1)), rel=0.1)
    assert NoiseCorrelation(np.zeros((3, 3))).effective_share((5, 5, 5)) == pytest.approx(1)


def test_noise_directions_hold_no_common_signal_and_no_noise_of_their_own_voxels() -> None:
    s = head(40)
    directions = noise_directions(s.scan.data, s.mask)
    volumes = s.scan.shape[3]
    assert directions.basis.shape == (2, volumes, volumes - volumes // 2)
    for basis in directions.basis:
        np.testing.assert_allclose(basis.T @ basis, np.eye(directions.count), atol=1e-5)
        assert directions.volume_share(0).mean() == pytest.approx(directions.count / volumes)
    rest = s.truth[s.mask] @ directions.basis[0]
    assert np.square(rest).mean() < 0.1 * np.square(s.sigma[s.mask]).mean()
    data = s.scan.data.copy()
    data[directions.half == 0] += 50 * stream(1, "more").standard_normal(volumes)
    other = noise_directions(data, s.mask)
    np.testing.assert_array_equal(other.basis[0], directions.basis[0])
    assert np.abs(other.basis[1] - directions.basis[1]).max() > 0.01


def grid_of_patches(sigma: np.ndarray, error: float) -> NoisePatches:
    """Two independent noisy readings of a σ map at every third voxel."""
    centres = np.argwhere(np.ones([n // 3 for n in sigma.shape], bool)) * 3 + 1
    known = sigma[tuple(centres.T)]
    noise = stream(2, "patches").standard_normal((2, len(known)))
    halves = known * np.exp(error * noise)
    return NoisePatches(centres, np.sqrt(halves.prod(0)), np.ones(len(known)), halves)


def test_the_map_is_as_smooth_as_sigma_is() -> None:
    shape, voxel = (48, 48, 24), (2.0, 2.0, 2.0)
    wave = np.broadcast_to(1 + 0.5 * np.sin(np.arange(48) / 4)[:, None, None], shape)
    mask = np.ones(shape, bool)
    flat, waving = (grid_of_patches(100 * s, 0.05) for s in (np.ones(shape), wave))
    assert smoothing_width(flat, voxel) == 15
    narrow = smoothing_width(waving, voxel)
    assert narrow < 10
    wide = NoisePatches(waving.centres, waving.sigma, waving.trust)
    errors = [
        np.log(smooth_map(patches, mask, voxel) / (100 * wave)).std() for patches in (waving, wide)
    ]
    assert errors[0] < 0.5 * errors[1]
