"""What the chain obeys whatever the network: the check values, and the theorems."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dwiser.chain.fusion import forward, fuse, fusion_weights, leaked_share, shuffle_noise
from dwiser.chain.posterior import (
    jump,
    jump_spread,
    jump_weights,
    released_arrival,
    released_weights,
)
from dwiser.chain.sample import sample
from dwiser.chain.schedule import Schedule
from dwiser.chain.transition import Transition
from dwiser.chain.walk import jumps, run, run_walk, walk
from dwiser.seeds import stream

S = Schedule()
STEP_LISTS = [run_walk(300, 50, 10), walk(300), run(300, 10), (300,), (300, 7), (300, 299, 2, 0)]


@pytest.mark.parametrize(("t", "value"), [(299, 0.985112), (499, 0.7345), (999, 0.0289), (-1, 1.0)])
def test_alpha_bar_has_the_published_values(t: int, value: float) -> None:
    assert S.alpha_bar(t) == pytest.approx(value, abs=5e-5 if t > 300 else 5e-7)


def test_level_is_the_root_of_alpha_bar_one_step_before() -> None:
    t = np.arange(-1, 1000)
    np.testing.assert_allclose(S.level(t + 1) ** 2, S.alpha_bar(t), rtol=1e-14)


def test_beta_is_flat_then_linear_to_its_last_value() -> None:
    assert (S.beta[:300] == 5e-5).all()
    assert S.beta[-1] == 1e-2
    np.testing.assert_allclose(np.diff(S.beta[300:]), np.diff(S.beta[300:])[0], rtol=1e-9)


def test_fusion_weights_have_the_published_values() -> None:
    lambda1, lambda2 = fusion_weights(S, np.arange(1, 301))
    assert lambda1[0] == pytest.approx(0.5000, abs=5e-5)
    assert lambda1[299] == pytest.approx(0.00332, abs=5e-6)
    np.testing.assert_allclose(lambda1 + lambda2, 1.0, atol=5e-6)
    np.testing.assert_allclose(lambda1[:299], 1 / (np.arange(1, 300) + 1), rtol=0.01)


def test_the_targets_own_noise_leaks_near_the_end_of_the_walk() -> None:
    share = leaked_share(S, np.array([1, 2, 4, 9, 49]))
    np.testing.assert_allclose(share, [0.50, 0.2, 0.06, 0.012, 0.0004], rtol=0.25)
    noise = stream(0, "leak").standard_normal((3, 200_000))
    for t in (1, 4):
        lambda1, lambda2 = (float(w) for w in fusion_weights(S, t))
        bar = float(S.alpha_bar(t))
        xi = noise[0] * 0 + np.sqrt(2) * noise[2]  # Di- noise: of the difference of two
        state = forward(fuse(noise[0], noise[1], lambda1, lambda2), xi, bar**0.5)
        measured = np.corrcoef(state, noise[0])[0, 1] ** 2
        assert measured == pytest.approx(float(leaked_share(S, t)), abs=0.01)


def test_run_walk_takes_76_evaluations_and_50_to_49_is_a_walk_step() -> None:
    steps = run_walk(300, 50, 10)
    assert len(steps) == 76
    assert steps[:3] == (300, 290, 280)
    assert steps[24:28] == (60, 50, 49, 48)
    assert steps[-1] == 0
    assert len(walk(300)) == 301
    assert jumps(steps)[-1] == (0, -1)


@given(st.integers(0, 999), st.data())
def test_each_jump_takes_a_scaled_constant_to_a_scaled_constant(
    t: int, data: st.DataObject
) -> None:
    r = data.draw(st.integers(-1, t - 1))
    c = data.draw(st.floats(-1, 1))
    arrived = jump(S, c, float(S.alpha_bar(t)) ** 0.5 * c, t, r)
    assert arrived == pytest.approx(float(S.alpha_bar(r)) ** 0.5 * c, abs=1e-12)


@given(st.integers(2, 999), st.data())
def test_two_jumps_equal_one(t: int, data: st.DataObject) -> None:
    r = data.draw(st.integers(-1, t - 2))
    between = data.draw(st.integers(r + 1, t - 1))
    x0, xt = data.draw(st.floats(-1, 1)), data.draw(st.floats(-1, 1))
    two = jump(S, x0, jump(S, x0, xt, t, between), between, r)
    assert two == pytest.approx(jump(S, x0, xt, t, r), abs=1e-12)


@given(st.integers(2, 999), st.data())
def test_two_stochastic_jumps_have_the_variance_of_one(t: int, data: st.DataObject) -> None:
    r = data.draw(st.integers(-1, t - 2))
    between = data.draw(st.integers(r + 1, t - 1))
    _, of_xt = jump_weights(S, between, r)
    two = (of_xt * jump_spread(S, t, between)) ** 2 + jump_spread(S, between, r) ** 2
    assert two == pytest.approx(jump_spread(S, t, r) ** 2, rel=1e-9, abs=1e-15)


@given(st.integers(0, 999), st.data())
def test_a_stochastic_jump_takes_the_forward_process_to_itself(t: int, data: st.DataObject) -> None:
    r = data.draw(st.integers(-1, t - 1))
    _, of_xt = jump_weights(S, t, r)
    arrived = of_xt**2 * (1 - float(S.alpha_bar(t))) + jump_spread(S, t, r) ** 2
    assert arrived == pytest.approx(1 - float(S.alpha_bar(r)), rel=1e-9, abs=1e-12)
    assert jump_spread(S, t, -1) == 0


def test_stochastic_sampling_spreads_by_the_posterior_and_by_nothing_else() -> None:
    states: list[torch.Tensor] = []

    def nothing(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        states.append(x)
        return torch.zeros_like(x)

    start = torch.zeros(1, 400, 400, dtype=torch.float64)
    rng = stream(0, "posterior")

    def noise(places: torch.Tensor, evaluation: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal((len(places), 400, 400)))

    draws = torch.zeros(1, 3, dtype=torch.long)
    sample(
        nothing, start, start, torch.ones_like(start),
        schedule=S, steps=(400, 250, 100), noise=noise, draws=draws,
        transition=Transition(S, noise="posterior"),
    )  # fmt: skip
    spreads = [float(s.std()) for s in states]
    assert spreads[0] == 0
    assert spreads[1:] == pytest.approx([jump_spread(S, 400, r) for r in (250, 100)], rel=0.01)


def test_a_jump_goes_down_only() -> None:
    with pytest.raises(ValueError, match="goes down"):
        jump_weights(S, 5, 5)
    with pytest.raises(ValueError, match="goes down"):
        jump_spread(S, 5, 5)


MEAN, VARIANCE = 0.1, 0.004


def gaussian_mean(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """E[x0 | x_t] for x0 ~ N(MEAN, VARIANCE)."""
    s = level[:, None, None]
    return MEAN + s * VARIANCE / (s**2 * VARIANCE + 1 - s**2) * (x - s * MEAN)


def start_of(kind: str) -> torch.Tensor:
    rng = stream(1, kind)
    s = float(S.level(301))
    x = s * (MEAN + VARIANCE**0.5 * rng.standard_normal((3, 5, 4)))
    return torch.from_numpy(x + (1 - s**2) ** 0.5 * rng.standard_normal(x.shape))


def walked(steps: tuple[int, ...], start: torch.Tensor, f=gaussian_mean, **more) -> torch.Tensor:
    sigma = torch.ones_like(start)
    return sample(f, start, start, sigma, schedule=S, steps=steps, **more).image


@pytest.mark.parametrize("steps", STEP_LISTS, ids=lambda s: f"{len(s)}-steps")
def test_with_a_gaussian_denoiser_every_step_list_gives_the_posterior_mean(steps) -> None:
    start = start_of("gaussian")
    expected = gaussian_mean(start, start.new_full((3,), float(S.level(301))))
    torch.testing.assert_close(walked(steps, start), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("steps", STEP_LISTS, ids=lambda s: f"{len(s)}-steps")
def test_channels_of_any_unit_obey_the_law_alike(steps) -> None:
    """Images of K channels far beyond [−1, 1], not clipped."""
    start = 40 * start_of("channels")[None]

    def mean(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return 40 * gaussian_mean(x[0] / 40, level.expand(x.shape[1]))[None]

    unturned = torch.zeros(1, len(steps), dtype=torch.long)
    got = walked(steps, start, mean, clip=False, draws=unturned)
    expected = mean(start, start.new_full((1,), float(S.level(301))))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-9)


def test_what_a_network_loses_at_each_evaluation_run_walk_compounds() -> None:
    """A scale that F keeps 99 % of is 94 % after all of Run-Walk, 90 % of it 53 %."""

    def lossy(share: float, evaluations: int | None) -> float:
        ones = torch.ones(1, 1, 1, dtype=torch.float64)
        out = walked(
            run_walk()[:evaluations], float(S.level(301)) * ones,
            lambda x, level: share * x / level[:, None, None], clip=False,
        )  # fmt: skip
        return out.item()

    assert lossy(1, None) == pytest.approx(1)
    assert lossy(0.99, 1) == pytest.approx(0.99)
    assert lossy(0.99, 12) == pytest.approx(0.986, abs=5e-4)
    assert lossy(0.99, None) == pytest.approx(0.94, abs=5e-4)
    assert lossy(0.9, None) == pytest.approx(0.532, abs=5e-4)
    assert lossy(1.1, None) == pytest.approx(1.847, abs=5e-4)


@given(st.integers(0, 999))
def test_the_released_weights_are_the_posteriors_for_a_single_step(t: int) -> None:
    assert released_weights(S, t, t - 1) == pytest.approx(jump_weights(S, t, t - 1), rel=1e-9)


@pytest.mark.parametrize(("t", "r", "total"), [(300, 290, 0.970), (50, 40, 0.824)])
def test_the_released_weights_of_a_longer_jump_fade(t: int, r: int, total: float) -> None:
    of_x0, of_xt = released_weights(S, t, r)
    assert of_x0 + of_xt == pytest.approx(total, abs=5e-4)
    exact = jump_weights(S, t, r)
    assert of_x0 < exact[0] / 5
    assert of_xt == pytest.approx(exact[1], rel=1e-3)


def test_the_released_jump_from_the_turn_overshoots_by_a_stride() -> None:
    arrivals = {t: released_arrival(t, r, 50, 10) for t, r in jumps(run_walk(300, 50, 10))}
    assert [arrivals[t] for t in (300, 60, 50, 49, 1, 0)] == [290, 50, 40, 48, 0, -1]
    rule = Transition(S, "released")
    assert rule.clean(1.0, 0.0, None, 50, 49) == released_weights(S, 50, 40)[0]
    assert rule.noise_weights(50, 49) == (released_weights(S, 50, 40)[1], 0)


def test_the_released_jumps_miss_the_posterior_mean() -> None:
    start = start_of("gaussian")
    expected = gaussian_mean(start, start.new_full((3,), float(S.level(301))))

    got = walked(run_walk(300, 50, 10), start, transition=Transition(S, "released"))
    assert (got - expected).abs().max() > 1e-3


def test_with_a_two_point_mixture_more_steps_go_to_a_sharper_limit_that_is_not_the_mean() -> None:
    a = 0.1

    def mixture(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        s = level[:, None, None]
        return a * torch.tanh(s * a * x / (1 - s**2))

    start = torch.linspace(-0.15, 0.15, 10, dtype=torch.float64).reshape(1, 2, 5)
    mean = mixture(start, start.new_full((1,), float(S.level(301))))
    strides = (200, 100, 40, 10, 2, 1)  # down to t = 100, where ±a still overlap
    results = [walked(tuple(range(300, 99, -p)), start, mixture) for p in strides]
    gaps = [float((r - results[-1]).abs().max()) for r in results]
    assert gaps == sorted(gaps, reverse=True)  # they converge
    assert gaps[-2] < 0.05 * gaps[0]
    limit = results[-1]
    assert (limit - mean).abs().max() > 0.1 * a  # to something that is not the mean
    assert (limit.abs() >= mean.abs() - 1e-9).all()  # and is nearer to ±a: sharper


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 12))
def test_a_permutation_keeps_the_noises_histogram(seed: int, h: int, w: int) -> None:
    difference = stream(seed, "difference").standard_normal((h, w)).astype(np.float32)
    shuffled = shuffle_noise(difference, stream(seed, "mess"))
    centred = difference - difference.mean()
    np.testing.assert_array_equal(np.sort(shuffled, None), np.sort(centred, None))


def test_shuffling_inside_a_mask_uses_what_is_inside_and_nothing_else() -> None:
    rng = stream(0, "mask")
    where = rng.random((20, 20)) < 0.5
    difference = np.where(where, rng.standard_normal((20, 20)), 1000.0).astype(np.float32)
    shuffled = shuffle_noise(difference, rng, where)
    inside = difference[where] - difference[where].mean()
    np.testing.assert_array_equal(np.sort(shuffled[where]), np.sort(inside))
    assert np.isin(shuffled, inside).all()
    assert shuffled.std() < 2


def test_a_permutation_destroys_the_order() -> None:
    ramp = np.linspace(-1, 1, 400, dtype=np.float32).reshape(20, 20)
    assert abs(np.corrcoef(shuffle_noise(ramp, stream(0, "a")).ravel(), ramp.ravel())[0, 1]) < 0.2
