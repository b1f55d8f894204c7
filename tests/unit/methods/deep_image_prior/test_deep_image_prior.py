"""Deep image prior: what it keeps, and where it stops."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.methods.deep_image_prior.method import DeepImagePrior, Fit
from dwiser.methods.registry import build
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.stack import Stack, build_stack
from dwiser.seeds import stream

SIGMA = 0.2


@pytest.fixture(scope="module")
def stack(small) -> Stack:
    """Two smooth images a slice, mixed into each volume, in noise of known σ."""
    built = build_stack(
        small.scan, small.mask, sigma_map(small.scan, small.mask),
        pairing="itself", neighbour="shell", fewest_b0s=4, crop=True,
    )  # fmt: skip
    unit = (built.scale.maxima / 2)[built.plan.volumes]
    maxima = np.full_like(built.scale.maxima, 2.0)
    assert unit.min() > 0
    return replace(
        built, scale=type(built.scale)(maxima), sigma=np.full_like(built.sigma, SIGMA),
        inside=np.ones_like(built.inside),
    )  # fmt: skip


def mixed(stack: Stack, sigma: float) -> tuple[Stack, np.ndarray]:
    k, z, h, w = stack.target.shape
    y, x = np.mgrid[0:h, 0:w]
    smooth = np.stack([np.sin(x / 4) * np.cos(y / 5), np.cos(x / 6)])
    clean = np.einsum("kb,bhw->khw", stream(0, "mix").uniform(-0.4, 0.4, (k, 2)), smooth)
    clean = np.broadcast_to(clean[:, None], (k, z, h, w)).astype(np.float32)
    noise = sigma * stream(0, "dip").standard_normal(clean.shape, np.float32)
    noisy = clean + noise
    return replace(stack, target=noisy, neighbour=np.full_like(noisy, 10.0)), clean


def fit(stack: Stack, iterations: int, **settings: object) -> tuple[Fit, int, int]:
    fitted = Fit(DeepImagePrior(width=16, **settings), stack, 4, 0, "cpu")  # type: ignore[arg-type]
    return fitted, *fitted.run(iterations)


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


def test_constant_images_stay(stack: Stack) -> None:
    values = np.linspace(-0.8, 0.8, len(stack.target), dtype=np.float32)
    flat = np.broadcast_to(values[:, None, None, None], stack.target.shape)
    for stop in ("heldout", "noise", "never"):
        fitted, *_ = fit(replace(stack, target=flat), 30, stop=stop)
        np.testing.assert_allclose(fitted.output().numpy(), flat[:, 4], atol=5e-5)


def test_noise_stops_where_the_residual_reaches_sigma(stack: Stack) -> None:
    noisy_stack, _ = mixed(stack, SIGMA)
    fitted, ended, best = fit(noisy_stack, 400, stop="noise", learning_rate=0.01)
    assert 10 <= ended < 400
    assert best == ended
    assert rmse(fitted.output().numpy(), noisy_stack.target[:, 4]) == pytest.approx(SIGMA, rel=0.07)


def test_a_higher_bound_stops_earlier(stack: Stack) -> None:
    noisy_stack, _ = mixed(stack, SIGMA)
    ends = [fit(noisy_stack, 400, stop="noise", threshold=b)[1] for b in (1.0, 1.2)]
    assert ends[1] < ends[0]


def test_held_out_voxels_stop_the_fit_before_it_learns_the_noise(stack: Stack) -> None:
    noisy_stack, clean = mixed(stack, SIGMA)
    settings = {"learning_rate": 0.02, "decay": "constant", "patience": 5}
    stopped, ended, best = fit(noisy_stack, 400, stop="heldout", **settings)
    never, *_ = fit(noisy_stack, 400, stop="never", **settings)
    assert best <= ended < 400
    early, late = (rmse(f.output().numpy(), clean[:, 4]) for f in (stopped, never))
    assert early < 0.6 * SIGMA
    assert early < 0.8 * late


def test_what_is_held_out_teaches_nothing(stack: Stack) -> None:
    noisy_stack, _ = mixed(stack, SIGMA)
    fitted = Fit(DeepImagePrior(held_out=0.2), noisy_stack, 4, 0, "cpu")
    held = fitted.held.numpy() > 0
    assert held.mean() == pytest.approx(0.2, abs=0.02)
    weights = fitted.batch(0).weights
    assert weights is not None
    assert (weights[0].numpy()[held] == 0).all()
    assert float(weights.mean()) == pytest.approx(1, rel=1e-5)


def test_a_volume_counts_by_its_noise_or_all_alike(stack: Stack) -> None:
    """The scale of volume 0 is half the others': in units of its own its noise is twice theirs."""
    maxima = stack.scale.maxima.copy()
    maxima[stack.plan.volumes[0]] /= 2
    noisy_stack = replace(mixed(stack, SIGMA)[0], scale=type(stack.scale)(maxima))
    for weight, ratio in (("noise", 0.25), ("equal", 1.0)):
        fitted = Fit(DeepImagePrior(held_out=0.2, weight=weight), noisy_stack, 4, 0, "cpu")
        first, second = fitted.batch(0).weights[0].numpy()[:2]
        assert first[first > 0].mean() == pytest.approx(ratio * second[second > 0].mean(), rel=0.02)
        first, second = fitted.held.numpy()[:2]
        assert first[first > 0].mean() == pytest.approx(ratio * second[second > 0].mean(), rel=0.02)


def test_the_budget_is_shared_by_the_slices(stack: Stack) -> None:
    area = stack.target.shape[1] * np.prod(stack.target.shape[2:])
    method = DeepImagePrior(iterations=100, pixels=int(area) // 2)
    assert method._of_a_slice(stack) == 49 + (area % 2 == 0)
    assert replace(method, pixels=None)._of_a_slice(stack) == 100


def test_the_record_tells_where_each_fit_stopped(small, machine) -> None:
    method = build("deep_image_prior", "smoke", {"pixels": "none", "iterations": 20})
    record = method.denoise(small.scan, machine=machine, seed=0).record["training"]
    assert record["iterations_a_slice"] == 20
    assert record["stop"] == "heldout"
    assert all(10 <= n <= 20 for n in record["kept_iteration"])
