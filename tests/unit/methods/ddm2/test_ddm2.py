"""DDM2: its neighbours, its states, and what its descent obeys."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dwiser.chain.schedule import Schedule
from dwiser.learn.patches import Cut
from dwiser.methods.ddm2.method import DDM2, beside
from dwiser.methods.ddm2.stages import Descent, Matched, StateExample, match_states
from dwiser.methods.registry import build
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.stack import Stack, build_stack
from dwiser.seeds import stream

S = Schedule()
WHOLE = (slice(None), slice(None))


@pytest.fixture(scope="module")
def stack(small) -> Stack:
    return build_stack(
        small.scan, small.mask, sigma_map(small.scan, small.mask),
        pairing="adjacent", neighbour="shell", fewest_b0s=4, crop=True,
    )  # fmt: skip


def descent(**settings: object) -> Descent:
    values = {"evaluations": None, "flips": "four", "stochastic": False, "batch": 8, "seed": 0}
    return Descent(S, **(values | settings))  # type: ignore[arg-type]


def test_the_papers_preset_holds_the_papers_numbers() -> None:
    paper = build("ddm2", "paper")
    assert (paper.batch, paper.learning_rate, paper.decay) == (32, 1e-4, "constant")
    assert (paper.latter, paper.posterior, paper.flips) == (1000, "stochastic", "four")
    assert (paper.network, paper.evaluations, paper.patch) == ("unet", None, None)
    assert paper.target == "noisy"


def test_before_and_after_are_inverse_and_wrap_around(stack: Stack) -> None:
    before, after = beside(stack)
    places = np.arange(len(before))
    np.testing.assert_array_equal(after[before], places)
    np.testing.assert_array_equal(before[after], places)
    np.testing.assert_array_equal(stack.target[before], stack.neighbour)
    assert before[0] == places[-1]
    assert after[0] == 1


def test_stage_one_sees_both_neighbours_and_never_x(stack: Stack, machine) -> None:
    marked = replace(
        stack, target=np.broadcast_to(
            np.arange(len(stack.target), dtype=np.float32)[:, None, None, None],
            stack.target.shape,
        ),
    )  # fmt: skip
    batch = DDM2(batch=20, patch=None)._draw(marked, machine, 0)(0)
    x = batch.targets[:, 0, 0, 0].long()
    count = len(stack.target)
    torch.testing.assert_close(batch.inputs[:, 0, 0, 0].long(), (x - 1) % count)
    torch.testing.assert_close(batch.inputs[:, 1, 0, 0].long(), (x + 1) % count)


@pytest.mark.parametrize("sd", [0.03, 0.1])
def test_stage_two_finds_the_state_of_known_noise(stack: Stack, sd: float) -> None:
    rng = stream(0, "ddm2")
    clean = stack.target
    noisy = (clean + sd * rng.standard_normal(clean.shape)).astype(np.float32)
    matched = match_states(S, replace(stack, target=noisy), clean, within=True)
    states = matched.state[stack.items[:, 0], stack.items[:, 1]]
    matched_sd = np.sqrt(1 - S.level(states) ** 2)
    assert np.median(matched_sd) == pytest.approx(sd, rel=0.05)
    assert np.abs(matched_sd / sd - 1).max() < 0.35  # the smallest slice has few pixels


def test_stage_threes_input_is_the_guess_and_shuffled_noise_of_sd_one(stack: Stack) -> None:
    rng = stream(1, "ddm2")
    clean = np.broadcast_to(stack.target[:1], stack.target.shape)
    noisy = (clean + 0.1 * rng.standard_normal(clean.shape)).astype(np.float32)
    noisy_stack = replace(stack, target=noisy)
    matched = match_states(S, noisy_stack, clean, within=True)
    example = StateExample(S, noisy_stack, matched, 400, True)
    cut = Cut(3, 4, WHOLE, WHOLE)
    inside = stack.inside[4]
    residual = noisy[3, 4] - float(S.level(matched.state[3, 4])) * clean[3, 4]
    mean = residual[inside].mean()
    for _ in range(5):
        drawn = example(cut, rng)
        assert drawn.level is not None
        assert float(S.level(400)) <= drawn.level <= 1
        shifted = clean[3, 4] + mean
        xi = (drawn.inputs[0] - drawn.level * shifted) / np.sqrt(1 - drawn.level**2)
        assert xi[inside].std() == pytest.approx(1, rel=0.05)
        added_noise = (noisy - clean)[3, 4][inside]
        assert abs(np.corrcoef(xi[inside], added_noise)[0, 1]) < 0.2
        np.testing.assert_array_equal(drawn.target[0], noisy[3, 4])
    guess = replace(example, target="guess")(cut, rng)
    np.testing.assert_array_equal(guess.target[0], clean[3, 4] + mean)


@pytest.mark.parametrize("within", [True, False])
def test_stage_threes_input_has_the_mean_of_the_guess_and_of_the_residual(
    stack: Stack, within: bool
) -> None:
    """mean(s·x̂' + √(1−s²)·ξ) = s·(mean x̂ + mean residual), for any s; at t* nearly mean x."""
    state, (k, z) = 200, stack.items[5].tolist()
    matched = Matched(stack.target - 0.25, np.full(stack.target.shape[:2], state))
    example = StateExample(S, stack, matched, 400, within)
    where = stack.inside[z] if within else np.ones_like(stack.inside[z])
    x, guess = stack.target[k, z][where], matched.clean[k, z][where]
    level = float(S.level(state))
    residual = (x - level * guess).mean()
    assert residual > 0.2, "the guess is far too low"
    for seed in range(3):
        drawn = example(Cut(k, z, WHOLE, WHOLE), stream(seed, "ddm2"))
        expected = drawn.level * (guess.mean() + residual)
        assert drawn.inputs[0][where].mean() == pytest.approx(expected, abs=1e-4)
    off = level * (guess.mean() + residual) - x.mean()
    assert abs(off) == pytest.approx((1 - level) * residual, rel=1e-3)


@pytest.mark.parametrize("evaluations", [1, 2, 7, 76])
@pytest.mark.parametrize("state", [1, 2, 8, 76, 77, 383, 1000])
def test_the_descent_begins_at_the_state_and_keeps_to_its_bound(state, evaluations) -> None:
    steps = descent(evaluations=evaluations).steps(state)
    assert steps[0] == state - 1
    assert len(steps) <= evaluations
    assert list(steps) == sorted(set(steps), reverse=True)
    assert evaluations == 1 or steps[-1] == 0


def test_without_a_bound_every_step_is_taken() -> None:
    assert descent().steps(383) == tuple(range(382, -1, -1))


@pytest.mark.parametrize("evaluations", [None, 5])
def test_with_a_gaussian_denoiser_the_mean_descent_gives_the_posterior_mean(
    stack: Stack, evaluations: int | None
) -> None:
    mean, variance, state = 0.1, 0.004, 40

    def exact(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        s = level[:, None, None]
        return mean + s * variance / (s**2 * variance + 1 - s**2) * (x - s * mean)

    x = 0.2 * stream(2, "ddm2").standard_normal(stack.target.shape)
    noisy_stack = replace(stack, target=x.astype(np.float32))
    matched_sd = descent(evaluations=evaluations).items(exact, noisy_stack, stack.items[:4], state)
    start = torch.from_numpy(noisy_stack.target[stack.items[:4, 0], stack.items[:4, 1]])
    expected = exact(start, start.new_full((4,), float(S.level(state))))
    np.testing.assert_allclose(matched_sd, expected, atol=5e-5)


def test_the_stochastic_descent_differs_by_seed_and_not_by_grouping(stack: Stack) -> None:
    def shrinking(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return 0.5 * x

    states = np.where(np.arange(stack.target.shape[1]) % 2, 30, 20)
    matched = Matched(stack.target, np.broadcast_to(states, stack.target.shape[:2]))
    one, many, other = (
        descent(stochastic=True, evaluations=4, batch=batch, seed=seed).stack(
            shrinking, stack, matched
        )
        for batch, seed in ((1, 0), (8, 0), (8, 1))
    )
    np.testing.assert_allclose(one, many, atol=1e-6)
    assert np.abs(other - many).max() > 1e-3


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
def test_only_states_that_are_visited_are_trained_unless_told_otherwise(small, machine) -> None:
    for latter, expected in ((None, None), (700, 700)):
        method = DDM2(iterations=4, width=4, batch=2, patch=16, evaluations=1, latter=latter)
        record = method.denoise(small.scan, machine=machine, seed=0).record
        highest = record["sampling"]["matched_state"][-1]
        assert record["training"]["stage_3"]["latter"] == (expected or highest)
