"""Early stopping: both criteria on fits whose course is known in closed form."""

import pytest
import torch

from dwiser.learn.early_stopping import EVERY, DiscrepancyStopping, HeldOutStopping

N = 40_000


class Course(torch.nn.Module):
    """Something whose output goes from nothing over the signal to signal and noise."""

    def __init__(self) -> None:
        super().__init__()
        self.at = torch.nn.Parameter(torch.zeros(1))


def data(sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(1, 1, N, generator=generator)
    return signal, sigma * torch.randn(1, 1, N, generator=generator)


def test_noise_reached_stops_where_the_residual_is_sigma() -> None:
    sigma = 0.3
    signal, noise = data(sigma)
    progress = 0.0

    def output() -> torch.Tensor:
        return progress * (signal + noise)  # residual RMS: (1 − progress)·√(1 + σ²)

    rule = DiscrepancyStopping(output, signal + noise, torch.full_like(signal, sigma))
    done = 0
    while not rule(done := done + EVERY):
        progress += 0.01
    assert (1 - progress) * (1 + sigma**2) ** 0.5 == pytest.approx(sigma, abs=0.012)


def test_where_sigma_is_unknown_noise_reached_never_stops() -> None:
    signal, noise = data(0.3)
    rule = DiscrepancyStopping(lambda: signal + noise, signal + noise, torch.zeros_like(signal))
    assert not rule(EVERY)


def test_held_out_keeps_the_fit_before_it_turned_to_noise() -> None:
    signal, noise = data(0.5)
    net = Course()
    held = torch.zeros_like(signal)
    held[..., ::2] = 1
    learned = torch.randn(1, 1, N, generator=torch.Generator().manual_seed(1))

    def output() -> torch.Tensor:
        t = net.at.detach()
        return t.clamp(max=1) * signal + (t - 1).clamp(min=0) * learned

    rule = HeldOutStopping(net, output, signal + noise, held, patience=3)
    for step in range(1, 100):
        net.at.data.fill_(step / 20)  # the signal is learned at 20 looks, then noise
        if rule(step * EVERY):
            break
    assert step == 23
    assert rule.settle(step * EVERY) == 20 * EVERY
    assert net.at.item() == 1.0
    assert rule.best == pytest.approx(0.25, rel=0.03)  # the error plus σ²
