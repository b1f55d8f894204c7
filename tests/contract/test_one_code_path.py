"""Every method that can use a GPU runs on a device that is not the CPU, and finds the same."""

import numpy as np
import pytest
import torch

from dwiser.machine import Machine
from dwiser.methods.registry import build
from dwiser.simulation import phantom
from tests.contract.elsewhere import NAME

LEARNED = (
    "splitq", "splitnet", "difusion", "ddm2", "noise2noise", "noisier2noise", "deep_image_prior",
)  # fmt: skip


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose device is no CPU; wrapped tensors know no inference mode."""
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)
    return Machine(NAME, 1)


def test_the_pretended_device_refuses_what_a_gpu_refuses() -> None:
    far, near = torch.ones(3, 2).to(NAME), torch.ones(2, 3)
    assert far.device.type == NAME
    assert (far @ near.to(NAME)).cpu().tolist() == [[2.0] * 3] * 3
    with pytest.raises(RuntimeError, match="two devices"):
        far @ near
    with pytest.raises((RuntimeError, TypeError)):
        far.numpy()


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
@pytest.mark.parametrize("name", LEARNED)
def test_no_tensor_is_on_the_wrong_device(name: str, there: Machine) -> None:
    simulated = phantom((20, 22, 6), shells=((1000.0, 24),), n_b0=4, snr=20.0, seed=3)
    method = build(name, "smoke")
    on_cpu = method.denoise(simulated.scan, machine=Machine("cpu", 1), seed=0)
    far = method.denoise(simulated.scan, machine=there, seed=0)
    last_digits = 0.02 * simulated.sigma.max() if name == "splitq" else 0  # NumPy here, torch there
    assert np.abs(far.data - on_cpu.data).max() <= last_digits


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("splitq", {"uncertainty": "yes"}),
        ("splitnet", {"chain": "yes", "evaluations": "2"}),
        ("difusion", {"network": "unet", "iterations": "1", "evaluations": "2"}),
    ],
)
def test_nor_with_other_settings(name: str, settings: dict[str, str], there: Machine) -> None:
    simulated = phantom((12, 12, 5), shells=((1000.0, 24),), n_b0=4, snr=20.0, seed=4)
    method = build(name, "smoke", settings)
    on_cpu = method.denoise(simulated.scan, machine=Machine("cpu", 1), seed=0)
    far = method.denoise(simulated.scan, machine=there, seed=0)
    # attention has a kernel of its own on the CPU: last digits, as on any other device
    assert np.abs(far.data - on_cpu.data).max() < 0.02 * simulated.sigma.max()
