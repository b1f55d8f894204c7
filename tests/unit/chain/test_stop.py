"""When slices stop, and that stopping touches nobody else."""

import math

import torch

from dwiser.chain.sample import sample
from dwiser.chain.schedule import Schedule
from dwiser.chain.stop import Adaptive, NoiseBound, body_factor
from dwiser.chain.walk import run_walk

S = Schedule()
STEPS = run_walk(300, 50, 10)


def test_body_factor_is_the_formula() -> None:
    x = torch.full((1, 10, 10), -1.0)
    x[0, :4] = -0.94  # 40 pixels above −0.95, none above −0.93
    x[0, :2] = 0.0  # 20 of them above −0.93
    expected = math.sqrt(0.5 * 100 / 40 + 0.5 * 100 / 20)
    assert body_factor(x).item() == torch.tensor(expected).item()


def test_an_empty_slice_is_finite_and_stops_at_once() -> None:
    empty = torch.full((1, 8, 8), -1.0)
    assert torch.isfinite(body_factor(empty)).all()
    none = torch.zeros(1, 8, 8)
    assert NoiseBound().distance(empty, empty, none).item() == math.inf


def test_adaptive_distance_is_rmse_times_the_body_factor() -> None:
    x = torch.zeros(2, 6, 6)
    out = torch.stack([torch.full((6, 6), 0.03), torch.full((6, 6), -0.5)])
    torch.testing.assert_close(Adaptive().distance(x, out, x), torch.tensor([0.03, 0.5]))


def test_noise_bound_is_one_when_just_the_noise_was_removed() -> None:
    torch.manual_seed(0)
    sigma = torch.rand(4, 64, 64) + 0.5
    truth = torch.rand(4, 64, 64)
    noisy = truth + sigma * torch.randn(4, 64, 64)
    sigma[:, :8] = 0  # outside the mask: not counted, whatever is there
    noisy[:, :8] = 99
    got = NoiseBound().distance(noisy, truth, sigma)
    torch.testing.assert_close(got, torch.ones(4), atol=0.03, rtol=0)


def drifting(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """An F that drifts away as the walk goes on, a slice at its own pace."""
    return x / level[:, None, None] * 0.9


def test_slices_stop_at_their_own_step_and_leave_the_others_alone() -> None:
    torch.manual_seed(1)
    start = 0.5 * torch.rand(6, 9, 7) * torch.arange(1, 7)[:, None, None] / 6
    sigma = torch.full_like(start, 0.05)
    settings = {"schedule": S, "steps": STEPS, "stop": NoiseBound(1.0)}
    together = sample(drifting, start, start, sigma, **settings)
    assert len(together.evaluations.unique()) > 2
    for i in range(6):
        alone = sample(drifting, start[i : i + 1], start[i : i + 1], sigma[i : i + 1], **settings)
        torch.testing.assert_close(alone.image[0], together.image[i])
        assert alone.evaluations[0] == together.evaluations[i]


def test_a_larger_threshold_means_more_steps() -> None:
    torch.manual_seed(2)
    start = 0.5 * torch.rand(5, 9, 7)
    sigma = torch.full_like(start, 0.05)
    counts = [
        sample(
            drifting, start, start, sigma, schedule=S, steps=STEPS, stop=NoiseBound(threshold)
        ).evaluations.sum()
        for threshold in (0.1, 1.0, 3.0)
    ]
    assert counts[0] < counts[1] < counts[2]


def test_stopped_slices_leave_the_batch() -> None:
    sizes: list[int] = []

    def counted(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        return drifting(x, level)

    start = 0.5 * torch.rand(5, 9, 7) * torch.arange(1, 6)[:, None, None]
    sigma = torch.full_like(start, 0.05)
    draws = torch.zeros(5, len(STEPS), dtype=torch.long)
    done = sample(
        counted, start, start, sigma, schedule=S, steps=STEPS, stop=NoiseBound(), draws=draws
    )
    assert sum(sizes) == int(done.evaluations.sum())
    assert sizes == sorted(sizes, reverse=True)


def test_a_clean_guess_outside_the_range_is_clipped() -> None:
    start = torch.zeros(1, 4, 4)
    done = sample(lambda x, level: x + 7, start, start, start, schedule=S, steps=(300, 0))
    assert done.image.max() == 1
