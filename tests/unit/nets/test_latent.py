"""splitnet's network: where it starts, and what stays float32 under bfloat16."""

import torch

from dwiser.nets.latent import Expanded, Latent


def test_it_starts_as_the_identity() -> None:
    z, level = torch.randn(2, 3, 8, 9), torch.rand(2, 3) + 0.1
    torch.testing.assert_close(Latent(3, 8)(z, level), z)


def test_under_bf16_level_first_and_last_layer_and_the_volumes_are_float32() -> None:
    torch.manual_seed(0)
    net = Expanded(Latent(3, 8), torch.linalg.qr(torch.randn(12, 3))[0])
    torch.nn.init.normal_(net.latent.leave.weight, std=0.1)
    kinds = {}
    for name, layer in net.latent.named_modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(lambda _, x, y, n=name: kinds.update({n: y.dtype}))
    z, level = 100 * torch.randn(2, 3, 8, 9), torch.rand(2, 3) + 0.1
    exact = net(z, level)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(z, level)
    assert out.dtype == torch.float32
    assert 0 < (out - exact).norm() < 0.05 * exact.norm()
    assert {kinds.pop(n) for n in ("tell", "enter", "leave")} == {torch.float32}
    assert set(kinds.values()) == {torch.bfloat16}
