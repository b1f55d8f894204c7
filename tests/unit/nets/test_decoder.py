"""The decoder: its sizes, its work, and what it gives before it is fitted."""

import pytest
import torch

from dwiser.nets.decoder import Decoder, flops_per_pixel, sizes_of


def decoder(height: int, width: int, levels: int, images: int = 3, channels: int = 8) -> Decoder:
    code = torch.rand(5, *sizes_of(height, width, levels)[0])
    centre = torch.arange(images, dtype=torch.float32)
    return Decoder(code, (height, width), levels, channels, centre, torch.ones(images))


@pytest.mark.parametrize(("height", "width"), [(81, 106), (1, 1), (7, 12), (64, 3)])
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_it_gives_images_of_any_size(height: int, width: int, levels: int) -> None:
    net = decoder(height, width, levels)
    assert net(torch.zeros_like(net.code)[None]).shape == (1, 3, height, width)


def test_each_size_is_half_the_next_rounded_up() -> None:
    assert sizes_of(65, 78, 3) == ((9, 10), (17, 20), (33, 39), (65, 78))
    assert sizes_of(3, 40, 3) == ((2, 5), (2, 10), (2, 20), (3, 40))


def test_the_images_means_need_no_learning() -> None:
    net = decoder(16, 16, 2)
    torch.nn.init.zeros_(net.head.weight)
    torch.nn.init.zeros_(net.head.bias)
    out = net(torch.zeros_like(net.code)[None])[0]
    torch.testing.assert_close(out, torch.arange(3.0)[:, None, None].expand(3, 16, 16))


@pytest.mark.parametrize("levels", [1, 3])
def test_the_work_is_counted_right(levels: int) -> None:
    net, counted = decoder(64, 64, levels, images=7), 0

    def count(module: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal counted
        counted += 2 * module.weight[0].numel() * output.numel()

    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    net(torch.zeros_like(net.code)[None])
    assert counted / 64**2 == pytest.approx(flops_per_pixel(8, levels, 5, 7))


def test_under_bf16_the_first_and_the_last_layer_are_float32() -> None:
    net, kinds = decoder(16, 16, 2), {}
    for name, layer in net.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _, x, y, n=name: kinds.update({n: y.dtype}))
    exact = net(torch.zeros_like(net.code)[None])
    with torch.autocast("cpu", torch.bfloat16):
        out = net(torch.zeros_like(net.code)[None])
    assert out.dtype == torch.float32
    assert 0 < (out - exact).norm() < 0.05 * exact.norm()
    assert {n for n, kind in kinds.items() if kind == torch.float32} == {"layers.0", "head"}
    assert {kinds[f"layers.{k}"] for k in (1, 2)} == {torch.bfloat16}
