"""Wiener shrinkage: the posterior mean, its own expected error, nothing out of pure noise."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.methods.subspace import Subspace, shrinkage
from dwiser.simulation import phantom

POWERS = np.array([30.0, 8.0, 2.0])  # signal-to-noise of three components


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Signal, noisy voxels (N, V), σ (N, 1) and axes (V, 3) of a Gaussian model."""
    rng = np.random.default_rng(4)
    axes = np.linalg.qr(rng.normal(size=(20, 3)))[0]
    sigma = rng.uniform(5, 15, (60_000, 1))
    signal = 500 + sigma * (rng.normal(size=(60_000, 3)) * np.sqrt(POWERS)) @ axes.T
    return signal, signal + sigma * rng.normal(size=signal.shape), sigma, axes


def test_the_filter_is_the_posterior_mean_of_the_model(drawn) -> None:
    _, voxels, sigma, axes = drawn
    expected = (axes * (POWERS / (1 + POWERS))) @ axes.T
    wiener = shrinkage(voxels, sigma)
    assert wiener.components == 3
    np.testing.assert_allclose(wiener.matrix, expected, atol=0.02)
    np.testing.assert_allclose(wiener.weights[:3], POWERS / (1 + POWERS), atol=0.01)


def test_it_foretells_its_own_error(drawn) -> None:
    signal, voxels, sigma, _ = drawn
    wiener = shrinkage(voxels, sigma)
    result = wiener.mean + sigma * (((voxels - wiener.mean) / sigma) @ wiener.matrix)
    error = np.sqrt(np.square((result - signal) / sigma).mean())
    assert wiener.expected_error == pytest.approx(error, rel=0.05)
    assert error < 0.45


def test_fewer_components_are_kept_when_told(drawn) -> None:
    _, voxels, sigma, _ = drawn
    assert shrinkage(voxels, sigma, 2).components == 2
    np.testing.assert_array_equal(
        shrinkage(voxels, sigma, 20).weights, shrinkage(voxels, sigma).weights
    )


@pytest.mark.parametrize(("n", "v"), [(60_000, 20), (2_000, 65), (500, 30)])
def test_of_pure_noise_next_to_nothing_stays(n: int, v: int) -> None:
    noise = np.random.default_rng(n).normal(100, 10, (n, v))
    wiener = shrinkage(noise, np.full((n, 1), 10.0))
    out = (noise - wiener.mean) @ wiener.matrix
    assert np.square(out).mean() < 0.01 * noise.var()


def test_noise_below_the_maps_is_measured_and_noise_above_it_is_not_believed(drawn) -> None:
    _, voxels, sigma, _ = drawn
    right, wide, narrow = (shrinkage(voxels, k * sigma) for k in (1.0, 1.5, 0.5))
    np.testing.assert_allclose(wide.matrix, right.matrix, atol=0.01)
    assert wide.noise == pytest.approx(right.noise / 1.5**2, rel=0.02)
    assert narrow.noise == 1.0
    assert np.trace(narrow.matrix) > 10  # too small a σ leaves noise in, and never blurs


@pytest.mark.parametrize("snr", [5.0, 20.0])
def test_a_single_b0_is_not_harmed_and_the_dwis_gain(snr: float, machine) -> None:
    simulation = phantom(shape=(30, 32, 12), shells=((1000.0, 20),), n_b0=1, snr=snr, seed=6)
    result = Subspace().denoise(simulation.scan, machine=machine, seed=0)
    mask, is_b0 = simulation.mask, simulation.scan.gradients.is_b0

    def rmse(data: np.ndarray, kind: np.ndarray) -> float:
        return float(np.sqrt(np.square(data - simulation.truth)[mask][:, kind].mean()))

    noisy = simulation.scan.data
    assert rmse(result.data, is_b0) <= 1.01 * rmse(noisy, is_b0)
    assert rmse(result.data, ~is_b0) < 0.7 * rmse(noisy, ~is_b0)
    assert result.record["volumes_alone_in_their_group"] == np.flatnonzero(is_b0).tolist()


def test_one_corrupted_volume_does_not_spread(small, machine) -> None:
    data = small.scan.data.copy()
    data[:, :, ::2, 5] = 0  # dropped slices
    bad = Subspace().denoise(replace(small.scan, data=data), machine=machine, seed=0).data
    good = Subspace().denoise(small.scan, machine=machine, seed=0).data
    rest = np.arange(data.shape[3]) != 5
    moved = np.sqrt(np.square(bad - good)[small.mask][:, rest].mean())
    assert moved < 0.25 * small.sigma[small.mask].mean()


def test_a_map_with_holes_does_no_harm(small, machine) -> None:
    sigma = small.sigma.astype(np.float32)
    sigma[10:12, 10:12] = 0
    result = Subspace().denoise(replace(small.scan, sigma=sigma), machine=machine, seed=0)
    assert np.isfinite(result.data).all()
    np.testing.assert_allclose(
        result.data[10:12, 10:12], small.scan.data[10:12, 10:12], rtol=0.02, atol=1.0
    )
