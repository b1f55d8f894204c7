"""GroupNorm and SiLU: what the network computes, and which of the two ways it takes.

Where Triton is installed the kernel is run: on a GPU as it is, else by Triton's interpreter on the
CPU, which does the same arithmetic. What decides is an environment variable that Triton reads when
it is first imported.
"""

import os
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.nn import functional as F

from dwiser.nets import norm
from dwiser.nets.norm import FUSED, NormSiLU, normalisation, why_plain
from dwiser.nets.unet import UNet

KERNEL = "dwiser.nets.fused_norm"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu" and "triton" not in sys.modules:
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture
def as_on_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every tensor passes for one on a GPU."""
    monkeypatch.setattr(norm, "on_gpu", lambda _: True)
    why_plain.cache_clear()
    yield
    why_plain.cache_clear()


@pytest.fixture
def without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, KERNEL, raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The kernel's module, loaded by its file, past the hook that checks shapes.

    The hook would wrap each kernel in a function, and Triton looks where that is at home.
    """
    triton = pytest.importorskip("triton", reason="Triton, which runs the kernel, is not installed")
    if DEVICE == "cpu" and isinstance(triton.language.sum, triton.JITFunction):
        pytest.skip("there is no GPU, and Triton was imported without TRITON_INTERPRET=1")
    spec = spec_from_file_location(KERNEL, Path(norm.__file__).with_name("fused_norm.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, KERNEL, module)
    spec.loader.exec_module(module)
    return module


def layer_and_images(
    channels: int, groups: int, *size: int
) -> tuple[NormSiLU, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(channels)
    layer = NormSiLU(groups, channels)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(generator=generator)
    x = torch.randn(2, channels, *size, generator=generator) * 3 + 2
    shift = torch.randn(2, channels, generator=generator)
    return layer, x.contiguous(memory_format=torch.channels_last), shift


def test_on_a_cpu_it_is_pytorchs_two_operations_to_the_bit() -> None:
    layer, x, shift = layer_and_images(12, 3, 5, 4)
    expected = F.silu(
        F.group_norm(x + shift[:, :, None, None], 3, layer.weight, layer.bias, layer.eps)
    )
    assert torch.equal(layer(x, shift), expected)
    assert torch.equal(layer(x), F.silu(F.group_norm(x, 3, layer.weight, layer.bias, layer.eps)))
    assert layer.note == ""


def test_its_weights_are_named_as_those_of_a_group_norm() -> None:
    assert set(NormSiLU(2, 4).state_dict()) == {"weight", "bias"}


@pytest.mark.usefixtures("as_on_gpu", "without_triton")
def test_without_triton_the_result_is_plain_and_the_note_says_why() -> None:
    layer, x, shift = layer_and_images(8, 4, 3, 5)
    assert torch.equal(layer(x, shift), layer.plain(x, shift))
    assert normalisation(layer) == "GroupNorm and SiLU not fused: Triton is not installed"


@pytest.mark.usefixtures("as_on_gpu")
def test_a_kernel_that_fails_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> torch.Tensor:
        raise RuntimeError("0 active drivers\nand more")

    monkeypatch.setattr(NormSiLU, "fused", fails)
    layer, x, _ = layer_and_images(8, 4, 3, 5)
    assert torch.equal(layer(x), layer.plain(x))
    assert layer.note.endswith("not fused: its kernel failed (RuntimeError: 0 active drivers)")


@pytest.mark.usefixtures("as_on_gpu")
@pytest.mark.parametrize("share", [0.99, float("nan")])
def test_a_kernel_with_another_result_is_not_used(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        NormSiLU, "fused", lambda self, x, shift, dtype: self.plain(x, shift) * share
    )
    layer, x, shift = layer_and_images(8, 4, 3, 5)
    assert torch.equal(layer(x, shift), layer.plain(x, shift))
    assert "differs" in layer.note


@pytest.mark.usefixtures("as_on_gpu")
def test_a_kernel_with_the_same_result_is_used_and_random_numbers_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(NormSiLU, "fused", lambda self, x, shift, dtype: self.plain(x, shift) + 0)
    layer, x, _ = layer_and_images(8, 4, 3, 5)
    state = torch.get_rng_state()
    with torch.inference_mode():
        layer(x)
    assert torch.equal(torch.get_rng_state(), state)
    assert layer.note == FUSED


@pytest.mark.usefixtures("as_on_gpu")
@pytest.mark.parametrize("groups", [4, 8])  # with one channel a group nothing depends on the shift
def test_other_last_digits_are_the_same_result(
    groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_float64(
        self: NormSiLU, x: torch.Tensor, shift: torch.Tensor, dtype: torch.dtype
    ) -> torch.Tensor:
        shifted = (x + shift[:, :, None, None]).double()
        weights = self.weight.double(), self.bias.double()
        return F.silu(F.group_norm(shifted, self.num_groups, *weights, self.eps)).to(dtype)

    monkeypatch.setattr(NormSiLU, "fused", in_float64)
    layer, x, shift = layer_and_images(8, groups, 3, 5)
    layer(x, shift)
    assert layer.note == FUSED


@pytest.mark.usefixtures("as_on_gpu")
def test_float64_is_never_given_to_the_kernel() -> None:
    layer, x, _ = layer_and_images(8, 4, 3, 5)
    assert torch.equal(layer.double()(x.double()), layer.plain(x.double()))
    assert layer.note.endswith("it takes no float64")


CASES = [  # channels, groups, height, width, whether each channel is shifted
    (32, 32, 9, 7, False),  # one channel a group, as at full resolution
    (96, 32, 5, 6, True),  # three, in tiles of 64
    (192, 32, 3, 4, False),
    (512, 32, 2, 3, True),  # the most
    (8, 4, 33, 31, True),  # several chunks of pixels, and a narrow network
    (12, 3, 70, 60, True),
    (6, 2, 1, 1, False),
]


@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")
@pytest.mark.parametrize(("channels", "groups", "height", "width", "shifted"), CASES)
def test_the_kernel_and_its_gradients_are_those_of_float64(
    channels: int, groups: int, height: int, width: int, shifted: bool, kernel: ModuleType
) -> None:
    layer, x, shift = layer_and_images(channels, groups, height, width)
    dy = torch.sin(x)
    results = []
    for cast in (torch.Tensor.float, torch.Tensor.double):
        image, add, *weights = (
            cast(t.detach()).to(DEVICE).requires_grad_() for t in (x, shift, *layer.parameters())
        )
        if cast is torch.Tensor.float:
            y = kernel.silu_of_norm(
                image, *weights, groups, layer.eps, shift=add if shifted else None
            )
        else:
            summed = image + add[:, :, None, None] if shifted else image
            y = F.silu(F.group_norm(summed, groups, *weights, layer.eps))
        by = [image, *weights, *([add] if shifted else [])]
        results.append([y.detach(), *torch.autograd.grad(y, by, cast(dy).to(DEVICE))])
    for mine, exact in zip(*results, strict=True):
        torch.testing.assert_close(
            mine.double(), exact, rtol=2e-6, atol=2e-6 * max(1.0, float(exact.abs().max()))
        )


@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")
def test_in_bfloat16_it_is_float32_inside_and_rounded_once(kernel: ModuleType) -> None:
    layer, x, shift = layer_and_images(16, 4, 6, 5)
    layer, shift = layer.to(DEVICE), shift.to(DEVICE)
    image = x.bfloat16().to(DEVICE).requires_grad_()
    y = kernel.silu_of_norm(image, layer.weight, layer.bias, 4, layer.eps, shift=shift)
    exact = layer.plain(image.float(), shift)
    assert y.dtype == torch.bfloat16
    dy = torch.cos(exact.detach()).bfloat16()
    (by_image,) = torch.autograd.grad(y, image, dy)
    single = image.detach().float().requires_grad_()
    (expected,) = torch.autograd.grad(layer.plain(single, shift), single, dy.float())
    assert by_image.dtype == torch.bfloat16
    for mine, reference in ((y, exact.detach()), (by_image, expected.float())):
        once = rounded(reference)
        same = (mine == once).float().mean()  # but where float32 differs by its last bit
        assert same > 0.98
        torch.testing.assert_close(mine, once, rtol=2**-7, atol=1e-6)


def rounded(values: torch.Tensor) -> torch.Tensor:
    """To bfloat16 as the kernel does it: to the nearest; Triton's interpreter cuts the bits off."""
    if DEVICE == "cpu":
        values = (values.view(torch.int32) & -(2**16)).view(torch.float32)
    return values.bfloat16()


@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")
@pytest.mark.usefixtures("as_on_gpu", "kernel")
@pytest.mark.parametrize("kinds", [(torch.float32,) * 2, (torch.bfloat16,) * 2])
@pytest.mark.parametrize(("channels", "groups"), [(32, 32), (8, 4)])
def test_it_passes_the_check_that_comes_before_its_use(
    kinds: tuple[torch.dtype, torch.dtype], channels: int, groups: int
) -> None:
    assert why_plain(channels, groups, *kinds, True, torch.device(DEVICE)) == ""


@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")
@pytest.mark.usefixtures("as_on_gpu", "kernel")
def test_a_whole_network_has_the_same_output_and_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = UNet(base=4, groups=2, multipliers=(1, 2), blocks=1).to(DEVICE)
    x = torch.rand(2, 1, 6, 5, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    level = torch.tensor([0.99, 0.97], device=DEVICE)
    weights = list(network.parameters())

    def results() -> list[torch.Tensor]:
        y = network(x, level)
        return [y.detach(), *torch.autograd.grad(y.square().sum(), weights)]

    fused = results()
    assert normalisation(network) == FUSED
    monkeypatch.setattr(norm, "on_gpu", lambda _: False)
    for mine, reference in zip(fused, results(), strict=True):
        scale = max(1.0, float(reference.abs().max()))
        torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-5 * scale)
