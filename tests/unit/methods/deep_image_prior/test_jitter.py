"""The code's jitter: the device draws by the law of NumPy's, and without any nothing changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from dwiser.learn.step import Batch
from dwiser.learn.where_drawn import ON_DEVICE
from dwiser.methods.deep_image_prior.jitter import JitterDraw, device_jitter, on_device
from dwiser.methods.deep_image_prior.method import DeepImagePrior, Fit
from dwiser.methods.registry import build
from tests.waits import waits_of

SD = 1 / 30


def draw_of(sd: float = SD, seed: int = 3, place: int = 5) -> JitterDraw:
    image, weights = torch.rand(2, 1, 4, 14, 18).unbind(0)
    still = Batch(torch.zeros(1, 8, 7, 9), None, image, weights)
    return JitterDraw(still, sd, seed, place)


@pytest.mark.parametrize("on", [on_device, device_jitter], ids=["NumPy's", "the device's"])
def test_it_is_gaussian_and_keyed_by_seed_slice_and_iteration(on) -> None:
    draw = on(draw_of())
    noise = torch.cat([draw(i).inputs for i in range(40)]).numpy()
    assert noise.shape == (40, 8, 7, 9)
    assert kstest(noise.ravel() / SD, "norm").pvalue > 1e-3
    neighbours = np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]
    assert abs(neighbours) < 0.025  # of two iterations; 3.5 sd
    assert torch.equal(draw(7).inputs, draw(7).inputs)
    for other in (replace(draw_of(), seed=4), replace(draw_of(), place=6)):
        assert not torch.equal(on(other)(7).inputs, draw(7).inputs)


@pytest.mark.parametrize("on", [on_device, device_jitter], ids=["NumPy's", "the device's"])
def test_slice_and_weights_stay_and_without_jitter_the_batch_is_one(on) -> None:
    numpys = draw_of()
    batch = on(numpys)(2)
    assert batch.targets is numpys.still.targets
    assert batch.weights is numpys.still.weights
    still = draw_of(0.0)
    draw = on(still)
    assert draw(0) is draw(1) is still.still


def test_the_devices_draw_does_not_wait_for_it() -> None:
    draw = device_jitter(draw_of())
    assert waits_of(lambda: draw(1)) == []


def test_the_fit_learns_from_the_devices_batches(tiny, machine, monkeypatch) -> None:
    """As on a GPU but for the place: as near the slice as with NumPy's, with other numbers."""
    method = build("deep_image_prior", "smoke", {"jitter": str(SD), "stop": "never"})
    assert isinstance(method, DeepImagePrior)
    stack = method._prepare(tiny.scan).stack

    def fitted() -> tuple[float, torch.Tensor]:
        fit = Fit(method, stack, int(stack.items[0, 1]), 0, machine.device)
        fit.run(30)
        notes.append(fit.notes)
        return float((fit.output() - fit.target).square().mean().sqrt()), fit.output()

    notes: list[dict[str, str]] = []
    numpys, first = fitted()
    monkeypatch.setattr("dwiser.learn.where_drawn.on_gpu", lambda _: True)
    devices, second = fitted()
    assert notes == [{}, {"batches": ON_DEVICE}]
    assert not torch.equal(first, second)
    assert abs(devices - numpys) < 0.1 * numpys
