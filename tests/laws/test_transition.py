"""What a walk's next state is, whatever the network: of training's kind, or not."""

from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch

from dwiser.chain.fusion import Fusion, forward, fuse, fusion_weights
from dwiser.chain.posterior import jump_weights
from dwiser.chain.sample import sample
from dwiser.chain.schedule import Schedule
from dwiser.chain.transition import State, StateNoise, Transition, noise_share
from dwiser.chain.walk import jumps, run_walk
from dwiser.seeds import stream

S = Schedule()
STEPS = run_walk()
RULES = [
    Transition(S, state, noise)
    for state, noise in product(get_args(State), get_args(StateNoise))
    if state != "released"
]
NAMES = [f"{rule.state}-{rule.noise}" for rule in RULES]


def images(count: int, purpose: str = "images", shape: tuple[int, ...] = (1, 6, 5)) -> list:
    rng = stream(0, purpose)
    return [torch.from_numpy(rng.standard_normal(shape)) for _ in range(count)]


@pytest.mark.parametrize("noise", ["held", "drawn"])
@pytest.mark.parametrize("fusion", get_args(Fusion))
def test_with_the_target_as_answer_a_fused_state_is_trainings_own(
    fusion: Fusion, noise: StateNoise
) -> None:
    """x_out = x: the state at r is x_r of Eq. 6 and 7 at s = level(r + 1), with the same ξ."""
    x, partner, xi, before = images(4)
    rule = Transition(S, "fused", noise, fusion)
    for r in range(300):
        of_before, of_new = rule.noise_weights(r + 1, r)
        noise_before = float(1 - S.alpha_bar(r + 1)) ** 0.5 * xi
        state = rule.clean(x, before, partner, r + 1, r) + of_before * noise_before + of_new * xi
        lambda1, lambda2 = (float(w) for w in fusion_weights(S, r))
        training = forward(fuse(x, partner, lambda1, lambda2, fusion), xi, float(S.level(r + 1)))
        torch.testing.assert_close(state, training, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_constant_stays_the_constant_at_its_level(rule: Transition) -> None:
    """ξ = 0, and F, x and x' are all c: the state at r is level(r + 1)·c."""
    c = torch.full((1, 2, 2), 0.3, dtype=torch.float64)
    clean = float(S.level(STEPS[0] + 1)) * c
    for t, r in jumps(STEPS)[:-1]:
        clean = rule.clean(c, clean, c, t, r)
        torch.testing.assert_close(clean, float(S.level(r + 1)) * c, rtol=0, atol=1e-4)


@pytest.mark.parametrize("noise", ["posterior", "held", "drawn"])
def test_as_much_noise_is_in_the_state_as_f_is_told(noise: StateNoise) -> None:
    rule, variance = Transition(S, noise=noise), float(1 - S.alpha_bar(300))
    for t, r in jumps(STEPS)[:-1]:
        of_before, of_new = rule.noise_weights(t, r)
        variance = of_before**2 * variance + of_new**2
        assert variance == pytest.approx(float(1 - S.alpha_bar(r)), rel=1e-9)


def test_without_its_noise_the_posterior_holds_less_than_f_is_told() -> None:
    """A second cause of a walk's harm: 41 % of the noise at t = 50, 24 % at t = 16."""
    rule, sd = Transition(S, noise="mean"), float(1 - S.alpha_bar(300)) ** 0.5
    for t, r in jumps(STEPS)[:-1]:
        sd *= rule.noise_weights(t, r)[0]
        assert sd / float(1 - S.alpha_bar(r)) ** 0.5 == pytest.approx(noise_share(S, 300, r))
    assert noise_share(S, 300, 300) == 1
    assert noise_share(S, 300, 50) == pytest.approx(0.41, abs=0.005)
    assert noise_share(S, 300, 16) == pytest.approx(0.24, abs=0.005)


def test_the_posterior_shows_f_its_own_answer_where_training_showed_the_partner() -> None:
    """x_out's share of the clean part: 1 − (t + 1)/301 in the walk, 1/(t + 1) in training."""
    for t in (200, 50, 16):
        of_out = jump_weights(S, 300, t)[0]
        assert of_out == pytest.approx(1 - (t + 1) / 301, abs=0.003)
        assert float(fusion_weights(S, t)[0]) == pytest.approx(1 / (t + 1), rel=0.01)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_sampling_takes_the_rules_state(rule: Transition) -> None:
    """Every state that F sees, against one made here from all of what was before it."""
    x, partner, xi, *answers = images(3 + len(STEPS))
    new = images(len(STEPS), "drawn anew")
    s = float(S.level(301))
    start_noise = (1 - s**2) ** 0.5 * xi
    seen: list[torch.Tensor] = []

    def answer(state: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        seen.append(state)
        return answers[len(seen) - 1]

    sample(
        answer, s * partner + start_noise, x, torch.ones_like(x), schedule=S, steps=STEPS,
        draws=torch.zeros(1, len(STEPS), dtype=torch.long), clip=False, transition=rule,
        partner=partner, start_noise=start_noise, noise=lambda places, k: new[k],
    )  # fmt: skip
    clean, noise = s * partner, start_noise
    for k, (t, r) in enumerate(jumps(STEPS)):
        torch.testing.assert_close(seen[k], clean + noise, rtol=0, atol=1e-12)
        if r >= 0:
            clean = rule.clean(answers[k], clean, partner, t, r)
            of_before, of_new = rule.noise_weights(t, r)
            noise = of_before * noise + of_new * new[k]
    assert len(seen) == len(STEPS)


def test_a_slice_that_has_stopped_takes_its_parts_along() -> None:
    """The second of three slices stops at once; the others' states are as if it had not been."""

    class Second:
        threshold = 0.5

        def distance(self, x, x_out, sigma):
            return x[:, 0, 0]

    x = torch.zeros(3, 4, 4, dtype=torch.float64)
    x[1] = 1
    (partner, xi), new = images(2, "three", (3, 4, 4)), images(1, "new", (3, 4, 4))[0]
    rule = Transition(S, "fused", "drawn")

    def ended(keep: list[int], stop) -> torch.Tensor:
        seen: list[torch.Tensor] = []

        def identity(state: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
            seen.append(state)
            return state

        sample(
            identity, partner[keep] + xi[keep], x[keep], x[keep], schedule=S, steps=(300, 200, 9),
            draws=torch.zeros(len(keep), 3, dtype=torch.long), transition=rule, stop=stop,
            partner=partner[keep], start_noise=xi[keep],
            noise=lambda places, k: new[keep][places] * (k + 1),
        )  # fmt: skip
        return seen[-1]

    np.testing.assert_allclose(ended([0, 1, 2], Second()), ended([0, 2], None), atol=1e-12)


def test_a_fused_state_needs_its_partner_and_a_drawn_one_its_noise() -> None:
    x = torch.zeros(1, 2, 2)
    for rule, word in (
        (Transition(S, "fused"), "partner"),
        (Transition(S, noise="drawn"), "noise"),
    ):
        with pytest.raises(ValueError, match=word):
            sample(lambda x, level: x, x, x, x, schedule=S, steps=(3, 1), transition=rule)
