"""The σ map against noise of known σ."""

import numpy as np
import pytest

from dwiser.prepare.moments import koay, magnitude_moments, magnitude_sd
from dwiser.prepare.noise import noise_by_volume, sigma_map
from dwiser.prepare.noise_patches import marchenko_pastur, noise_patches
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream
from dwiser.simulation import phantom


def low_rank(shape: tuple[int, int, int], volumes: int, rank: int = 3) -> np.ndarray:
    rng = stream(5, "signal")
    places = 40 + 10 * rng.random((*shape, rank))
    return (places @ (0.5 + rng.random((rank, volumes)))).astype(np.float32)


@pytest.mark.parametrize("volumes", [12, 64, 160])
def test_gaussian_noise_on_a_low_rank_signal_is_measured(volumes: int) -> None:
    clean = low_rank((14, 14, 11), volumes)
    noisy = clean + 3.0 * stream(volumes, "noise").standard_normal(clean.shape)
    patches = noise_patches(noisy.astype(np.float32), np.ones(clean.shape[:3], bool))
    assert np.median(patches.sigma) == pytest.approx(3.0, rel=0.03)


def test_a_thin_object_in_air_shows_its_own_noise() -> None:
    """Air in every patch's corners, whose magnitudes vary by .655 σ, made σ 12 % too low."""
    clean = low_rank((30, 30, 12), 40)
    z = np.indices(clean.shape[:3])[2]
    clean[(z < 4) | (z > 7)] = 0
    wide = (z >= 2) & (z <= 9)
    noise = 3.0 * stream(40, "noise").standard_normal((2, *clean.shape))
    noisy = np.hypot(clean + noise[0], noise[1]).astype(np.float32)
    patches = noise_patches(noisy, wide)
    assert np.average(patches.sigma, weights=patches.trust) == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("thin", ["slice", "two sagittal", "sheet", "scattered"])
def test_a_mask_thinner_than_a_patch_shows_the_noise(thin: str) -> None:
    """It has no patch that is half full: σ was 0, and the scan came back as it was."""
    clean = low_rank((24, 24, 9), 30)
    noisy = clean + 3.0 * stream(30, "noise").standard_normal(clean.shape)
    x, y, z = np.indices(clean.shape[:3])
    mask = {
        "slice": z == 5,
        "two sagittal": (x == 11) | (x == 12),
        "sheet": np.abs(x - y) <= 1,
        "scattered": stream(1, "mask").random(clean.shape[:3]) < 0.08,
    }[thin]
    patches = noise_patches(noisy.astype(np.float32), mask)
    assert np.median(patches.sigma) == pytest.approx(3.0, rel=0.05)


def test_pure_noise_eigenvalues_give_their_variance() -> None:
    x = 2.0 * stream(0, "x").standard_normal((20, 400, 50))
    eigenvalues = np.linalg.eigvalsh(x.transpose(0, 2, 1) @ x)
    variance = marchenko_pastur(eigenvalues, np.full(20, 400.0))
    np.testing.assert_allclose(variance, 4.0, rtol=0.03)


@pytest.mark.parametrize("theta", [0.0, 0.5, 1.5, 4.0, 20.0])
def test_koay_undoes_the_rician_floor(theta: float) -> None:
    noise = 5.0 * stream(1, "koay").standard_normal((2, 400_000))
    magnitude = np.hypot(5.0 * theta + noise[0], noise[1])
    mean, variance = (float(m[0]) for m in magnitude_moments(np.array([theta])))
    assert magnitude.mean() == pytest.approx(5 * mean, rel=0.01)
    assert magnitude.var() == pytest.approx(25 * variance, rel=0.01)
    got = koay(np.array([25 * variance]), np.array([[5 * mean]]))
    # at the floor the mean no longer depends on θ to first order: the inverse is steep there
    assert got[0] == pytest.approx(5.0, rel=0.001 if theta > 1 else 0.05)
    sd = magnitude_sd(np.array([5.0]), np.array([5 * mean]))
    assert sd[0] == pytest.approx(5 * variance**0.5, rel=0.01)


def test_a_spatially_varying_rician_sigma_is_recovered() -> None:
    s = phantom(shape=(40, 44, 14), shells=((1000.0, 32),), n_b0=3, snr=15, sigma_map="gfactor")
    found = sigma_map(s.scan, s.mask)[s.mask] / s.sigma[s.mask]
    assert np.median(found) == pytest.approx(1.0, abs=0.04)
    assert np.percentile(np.abs(found - 1), 90) < 0.2


def test_sigma_is_the_same_on_any_number_of_threads() -> None:
    s = phantom(shape=(34, 36, 24), shells=((1000.0, 12),), n_b0=2, snr=15)
    one, three = (noise_patches(s.scan.data, s.mask, threads=n) for n in (1, 3))
    assert len(one.sigma) > 256  # more than a batch
    np.testing.assert_array_equal(one.sigma, three.sigma)
    np.testing.assert_array_equal(one.trust, three.trust)


def test_half_fluid_half_brain_is_no_tissue_of_half_their_signal() -> None:
    """σ by pieces errs less where a patch's own mean signal, which no voxel has, misleads."""
    theta = np.zeros((20, 20, 20, 40))
    theta[:8] = 8
    noise = stream(4, "mixed").standard_normal((2, *theta.shape))
    data = (5 * np.hypot(theta + noise[0], noise[1])).astype(np.float32)
    found = noise_patches(data, np.ones(theta.shape[:3], bool))
    across = found.centres[:, 0] == 8  # voxels 6 to 10: two of brain, three of fluid
    variance = 25 * magnitude_moments(theta[6:11])[1].mean()
    by_mean = koay(np.array([variance]), data[6:11].mean((0, 1, 2))[None])[0]
    assert by_mean < 0.83 * 5
    assert abs(np.median(found.sigma[across]) - 5) < 0.5 * abs(by_mean - 5)


def test_patches_at_the_floor_are_trusted_least() -> None:
    theta = np.full((10, 24, 10, 30), 12.0)
    theta[:, 12:] = 0
    noise = stream(5, "trust").standard_normal((2, *theta.shape))
    found = noise_patches(
        np.hypot(theta + noise[0], noise[1]).astype(np.float32), np.ones((10, 24, 10), bool)
    )
    bright, dark = found.centres[:, 1] < 9, found.centres[:, 1] > 14
    assert found.trust[bright].min() > 0.8
    assert found.trust[dark].max() < 0.02


def test_a_given_map_is_used_and_a_noiseless_scan_is_told() -> None:
    s = phantom(shape=(16, 16, 6), shells=((1000.0, 8),), n_b0=1, noise="none")
    assert sigma_map(s.scan, s.mask).max() < 0.05 * s.scan.data.max()
    known = np.full(s.mask.shape, 7.0, np.float32)
    told = Scan(s.scan.data, s.scan.affine, s.scan.gradients, sigma=known)
    np.testing.assert_array_equal(sigma_map(told, s.mask), known)


@pytest.mark.parametrize("coils", [1, 4])
def test_each_volume_has_the_noise_of_its_own_signal(coils: int) -> None:
    """Half of the volumes show strong signal, half the floor: sd 1 and less, as measured there."""
    theta = np.repeat([30.0, 0.0], 48)
    shape = (12, 12, 4, len(theta))
    noise = stream(coils, "volumes").standard_normal((2 * coils, *shape), np.float32)
    noise[0] += theta
    data = 5 * np.sqrt(np.square(noise).sum(0))
    bvecs = stream(1, "bvecs").standard_normal((len(theta), 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    scan = Scan(data, np.eye(4), Gradients(np.repeat([1000.0, 3000.0], 48), bvecs))
    mask, sigma = np.ones(shape[:3], bool), np.full(shape[:3], 5.0, np.float32)
    found = noise_by_volume(scan, mask, sigma, coils)
    measured = (data.std((0, 1, 2)) / 5).reshape(2, 48).mean(1)
    np.testing.assert_allclose(found[[0, -1]], measured, rtol=0.04)
    assert found[-1] < 0.72
