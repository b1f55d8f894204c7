"""What a GPU's training is set up with, on pretended CUDA tensors: no GPU is needed."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dwiser.learn.capture import CapturedStep
from dwiser.learn.checkpointing import TrainingState
from dwiser.learn.precision import Precision, convolutions
from dwiser.learn.stepping import LONG, TRIED, Eager, adam, set_rate, steps
from dwiser.nets.layers import full_precision

cudnn = torch.backends.cudnn


class Noted(torch.optim.Adam):
    """Adam as it is asked for; its own checks would read the rate from the device."""

    def __init__(self, parameters: list[nn.Parameter], **settings: object) -> None:
        super().__init__(parameters)
        self.settings = settings
        self.param_groups[0]["lr"] = settings["lr"]


def there() -> nn.Module:
    """A network with its parameters on the pretended GPU."""
    net = nn.Module()
    net.weight = nn.Parameter(torch.empty(3, device="cuda"))
    return net


def test_adam_is_fused_and_on_a_gpu_ready_to_be_captured(monkeypatch) -> None:
    near = adam(nn.Linear(2, 2), 0.1)
    set_rate(near, 0.05)
    assert near.defaults["fused"]
    assert not near.defaults["capturable"]
    assert near.param_groups[0]["lr"] == 0.05
    monkeypatch.setattr(torch.optim, "Adam", Noted)
    with FakeTensorMode():
        far = adam(there(), 0.1)
        rate = far.param_groups[0]["lr"]
        assert rate.device.type == "cuda"
        assert far.settings == {"lr": rate, "fused": True, "capturable": True}
        set_rate(far, 0.05)
        assert far.param_groups[0]["lr"] is rate  # in place: a captured step reads it there


@pytest.mark.parametrize("iterations", [LONG - 1, LONG])
def test_a_gpus_steps_are_captured_and_a_long_trainings_algorithms_tried(iterations: int) -> None:
    before = cudnn.benchmark, cudnn.benchmark_limit
    with FakeTensorMode():
        net = there()
        with steps(
            net, torch.optim.SGD(net.parameters()), "float32", TrainingState(), iterations, 8
        ) as step:
            assert isinstance(step, CapturedStep)
            assert isinstance(step.eager, Eager)
            assert cudnn.benchmark is (iterations >= LONG)
            assert cudnn.benchmark_limit == TRIED
    assert (cudnn.benchmark, cudnn.benchmark_limit) == before


@pytest.mark.parametrize(
    ("precision", "allowed"), [("float32", False), ("tf32", True), ("bf16", True)]
)
def test_only_strict_float32_forbids_tf32_and_first_and_last_layers_always_do(
    precision: Precision, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = torch.device("cuda")
    monkeypatch.setattr("dwiser.nets.layers.torch.autocast", lambda *_, **__: torch.no_grad())
    for before in (True, False):
        monkeypatch.setattr(cudnn, "allow_tf32", before)
        with convolutions(precision, device):
            assert cudnn.allow_tf32 is allowed
            with full_precision(device):
                assert cudnn.allow_tf32 is False
            assert cudnn.allow_tf32 is allowed
        assert cudnn.allow_tf32 is before
