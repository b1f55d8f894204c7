"""Noisier2Noise: the noise it adds, and its correction where everything is Gaussian."""

import numpy as np
import pytest
import torch

from dwiser.methods.noisier2noise import Noisier, Noisier2Noise, corrected
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.stack import Stack, build_stack
from dwiser.seeds import stream

MEAN, SIGNAL, NOISE = -0.3, 0.25, 0.1


@pytest.fixture(scope="module")
def stack(small) -> Stack:
    return build_stack(
        small.scan, small.mask, sigma_map(small.scan, small.mask),
        pairing="itself", neighbour="shell", fewest_b0s=4, crop=True,
    )  # fmt: skip


def exact(z: np.ndarray, ratio: float) -> np.ndarray:
    """E[s + n | z] for Gaussian signal s, noise n and added noise m of sd ratio·σ."""
    x = SIGNAL**2 + NOISE**2
    return MEAN + x / (x + (ratio * NOISE) ** 2) * (z - MEAN)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_with_the_exact_f_the_corrected_output_is_the_mean_of_the_signal(ratio: float) -> None:
    z = np.linspace(-1, 1, 50)
    total = SIGNAL**2 + NOISE**2 * (1 + ratio**2)
    expected = MEAN + SIGNAL**2 / total * (z - MEAN)
    np.testing.assert_allclose(corrected(exact(z, ratio), z, ratio), expected, atol=1e-12)


def test_with_the_exact_f_the_corrected_output_is_unbiased_and_the_direct_is_noisier() -> None:
    ratio, rng = 1.0, stream(0, "noisier")
    s, n, m = rng.standard_normal((3, 400_000))
    signal = MEAN + SIGNAL * s
    x = signal + NOISE * n
    z = x + ratio * NOISE * m
    error = corrected(exact(z, ratio), z, ratio) - signal
    assert error.mean() == pytest.approx(0, abs=4 * error.std() / 632)
    # an unbiased estimate given z: its error has nothing left that z could tell
    assert np.corrcoef(error, z)[0, 1] == pytest.approx(0, abs=0.01)
    assert np.corrcoef(exact(z, ratio) - signal, z)[0, 1] > 0.1


def test_averaging_over_draws_of_m_lowers_the_error() -> None:
    rng = stream(1, "noisier")
    s, n = rng.standard_normal((2, 100_000))
    signal = MEAN + SIGNAL * s
    x, errors = signal + NOISE * n, []
    for draws in (1, 16):
        z = x + NOISE * rng.standard_normal((draws, len(x)))
        errors.append(np.square(corrected(exact(z, 1.0), z, 1.0).mean(0) - signal).mean())
    assert errors[1] < errors[0]
    assert errors[1] < NOISE**2


def test_in_training_the_added_sd_is_uniform_up_to_its_bound(stack: Stack, machine) -> None:
    batch = Noisier2Noise(batch=400, patch=None, added=0.5)._draw(stack, machine, 0)(0)
    sds = (batch.inputs - batch.targets).std((1, 2, 3)).numpy()
    assert sds.max() < 0.55
    np.testing.assert_allclose(np.quantile(sds, [0.25, 0.5, 0.75]), [0.125, 0.25, 0.375], atol=0.05)


def test_the_corrected_outputs_training_adds_what_its_application_will(stack, machine) -> None:
    method = Noisier2Noise(batch=400, patch=None, output="corrected", ratio=2.0)
    batch = method._draw(stack, machine, 0)(0)
    added = (batch.inputs - batch.targets).numpy()
    k, z = stack.items.T
    sigma = np.stack([stack.sigma_of(int(a), int(b)) for a, b in zip(k, z, strict=True)])
    assert np.square(added).mean() == pytest.approx(4 * np.square(sigma).mean(), rel=0.05)
    assert np.unique(added == 0).tolist() == [False, True]  # nothing outside the mask


def test_m_has_a_times_the_scans_noise_and_is_the_same_for_any_grouping(stack: Stack) -> None:
    noisier = Noisier(stack, seed=0, draw=0, ratio=2.0)
    items = stack.items
    x = stack.target[items[:, 0], items[:, 1]]
    added = noisier(items) - x
    sigma = np.stack([stack.sigma_of(int(k), int(z)) for k, z in items])
    assert (added[sigma > 0] / sigma[sigma > 0]).std() == pytest.approx(2.0, rel=0.02)
    assert (added[sigma == 0] == 0).all()
    np.testing.assert_array_equal(noisier(items[5:7]), noisier(items)[5:7])
    other = Noisier(stack, seed=0, draw=1, ratio=2.0)(items)
    assert not np.array_equal(other, noisier(items))


def test_the_corrected_result_is_that_of_its_draws_averaged(small, machine) -> None:
    settings = {"iterations": 2, "width": 4, "batch": 2, "patch": 16, "output": "corrected"}
    method = Noisier2Noise(**settings, draws=3)
    weights = method.fit(small.scan, machine=machine, seed=0)
    ready = method._prepare(small.scan)
    net = method._network(ready.stack, 0)
    net.load_state_dict(weights.state)
    estimate = method._denoise_stack(weights, ready.stack, machine, 0, lambda progress: None)
    k, z = (int(i) for i in ready.stack.items[4])
    parts = []
    for draw in range(3):
        noisier = Noisier(ready.stack, 0, draw, method.ratio)(ready.stack.items[4:5])
        with torch.no_grad():
            out = net(torch.from_numpy(noisier)[:, None]).clamp(-1, 1)[0, 0].numpy()
        parts.append(corrected(out, noisier[0], method.ratio))
    np.testing.assert_allclose(estimate.unit[k, z], np.mean(parts, 0).clip(-1, 1), atol=1e-5)
