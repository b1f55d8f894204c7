"""Non-local means: the Rician floor, a local σ, and the searches that find nothing."""

import numpy as np
from dipy.denoise.nlmeans import nlmeans

from dwiser.errors import Code
from dwiser.methods.peers.nlmeans import NLMeans, non_local_mean
from dwiser.methods.registry import build
from tests.refusals import refused

SETTINGS = {"patch_radius": 1, "block_radius": 2, "algorithm": "classic", "threads": 1}


def rician(signal: np.ndarray, sigma: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    real, imaginary = rng.normal(0, sigma, (2, *signal.shape))
    return np.hypot(signal + real, imaginary)


def test_the_rician_bias_is_taken_away() -> None:
    truth, sigma = np.full((16, 16, 16), 30.0), 10.0
    noisy, mask = rician(truth, sigma), np.ones(truth.shape, bool)
    means = [
        non_local_mean(
            noisy, np.full(truth.shape, sigma, np.float32), mask, rician=with_it, **SETTINGS
        ).mean()
        for with_it in (True, False)
    ]
    assert noisy.mean() - 30 > 1.5
    assert means[1] - 30 > 1.5
    assert abs(means[0] - 30) < 0.5


def test_sigma_counts_where_it_stands() -> None:
    noise = np.random.default_rng(1).normal(0, 10, (20, 16, 16))
    sigma = np.full(noise.shape, 10.0, np.float32)
    sigma[10:] = 0.1
    out = non_local_mean(100 + noise, sigma, np.ones(noise.shape, bool), rician=False, **SETTINGS)
    assert (out - 100)[:8].std() < 5
    np.testing.assert_allclose((out - 100)[13:], noise[13:], atol=0.5)


def test_outside_the_mask_the_image_stands() -> None:
    image = 100 + np.random.default_rng(2).normal(0, 5, (12, 12, 12))
    mask = np.zeros(image.shape, bool)
    mask[3:9] = True
    sigma = np.full(image.shape, 5.0, np.float32)
    out = non_local_mean(image, sigma, mask, rician=False, **SETTINGS)
    np.testing.assert_array_equal(out[~mask], image[~mask])


def test_dipys_classic_search_finds_nothing_within_the_patch_and_is_refused() -> None:
    image = 100 + np.random.default_rng(3).normal(0, 5, (12, 12, 12))
    idle = nlmeans(
        image, np.full(image.shape, 5.0), patch_radius=2, block_radius=2, rician=False,
        num_threads=1, method="classic",
    )  # fmt: skip
    np.testing.assert_allclose(idle, image)
    with refused(Code.SETTING_VALUE, "must be above its patch_radius 2", "set algorithm=blockwise"):
        NLMeans(patch_radius=2, block_radius=2)
    with refused(Code.SETTING_VALUE, "of ascm must be above"):
        build("ascm", "laptop", {"block_radius": 2})
    assert NLMeans(patch_radius=2, block_radius=1, algorithm="blockwise").block_radius == 1
