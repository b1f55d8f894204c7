"""Noise2Noise: what it draws, and that its optimum is that of clean targets."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dwiser.learn.loop import train
from dwiser.methods.noise2noise import Noise2Noise
from dwiser.methods.registry import build
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.stack import Stack, build_stack
from dwiser.seeds import stream


@pytest.fixture(scope="module")
def stack(small) -> Stack:
    return build_stack(
        small.scan, small.mask, sigma_map(small.scan, small.mask),
        pairing="adjacent", neighbour="shell", fewest_b0s=4, crop=True,
    )  # fmt: skip


def test_the_input_is_the_partner_and_the_target_is_x(stack: Stack, machine) -> None:
    batch = Noise2Noise(batch=4, patch=None)._draw(stack, machine, 0)(0)
    assert batch.level is None
    targets = {
        (k, z)
        for x, y in zip(batch.targets.numpy(), batch.inputs.numpy(), strict=True)
        for k, z in stack.items
        for flip in ((1, 1), (1, -1), (-1, 1), (-1, -1))
        if np.array_equal(x[0][:: flip[0], :: flip[1]], stack.target[k, z])
        and np.array_equal(y[0][:: flip[0], :: flip[1]], stack.neighbour[k, z])
    }
    assert 1 <= len(targets) <= 4


def test_with_independent_noise_the_optimum_is_the_one_of_clean_targets(stack, machine) -> None:
    signal, noise = 0.3, 0.2
    rng = stream(0, "noise2noise")
    shape = (*stack.target.shape[:2], 40, 40)
    clean = signal * rng.standard_normal(shape)
    x, partner = ((clean + noise * rng.standard_normal(shape)).astype(np.float32) for _ in range(2))
    inside = np.ones(shape[1:], bool)
    sigma = np.zeros(shape[1:], np.float32)
    pairs = replace(stack, target=x, neighbour=partner, inside=inside, sigma=sigma)

    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.by = torch.nn.Parameter(torch.ones(1))

        def forward(self, image: torch.Tensor, level: None) -> torch.Tensor:
            return self.by * image

    net = Linear()
    draw = Noise2Noise(batch=32, patch=None)._draw(pairs, machine, 0)
    train(net, draw, iterations=120, learning_rate=0.02, decay="cosine")
    assert net.by.item() == pytest.approx(signal**2 / (signal**2 + noise**2), rel=0.01)


def test_the_papers_network_is_told_no_level(stack: Stack) -> None:
    net = build("noise2noise", "paper", {"width": 8})._network(stack, 0)
    assert not any("embed" in name for name, _ in net.named_parameters())
