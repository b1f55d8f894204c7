"""The paper's U-Net: its size, its freedom of shape, what reaches what."""

import numpy as np
import pytest
import torch

from dwiser.chain.schedule import Schedule
from dwiser.nets.compact import Compact
from dwiser.nets.unet import UNet

SMALL = {"base": 8, "groups": 4}  # two channels a group or more, at every level


@pytest.fixture(scope="module")
def small() -> UNet:
    return UNet(**SMALL).eval()


def images(batch: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 1, height, width, generator=generator) * 2 - 1


@pytest.fixture(scope="module")
def papers() -> UNet:
    return UNet().eval()


def test_the_papers_network_has_24_472_161_parameters(papers):
    assert sum(p.numel() for p in papers.parameters()) == 24_472_161


def test_without_a_level_only_the_embeddings_layers_are_gone(papers):
    plain = UNet(**SMALL, conditioned=False)
    conditioned = UNet(**SMALL)
    layers = {n for n, _ in conditioned.named_parameters()} - {
        n for n, _ in plain.named_parameters()
    }
    assert layers
    assert all("embed." in name or ".level." in name for name in layers)
    assert plain(images(1, 9, 12)).shape == (1, 1, 9, 12)


@pytest.mark.parametrize("conditioned", [True, False])
def test_a_level_is_never_silently_missing_or_ignored(conditioned):
    network = UNet(**SMALL, multipliers=(1,), conditioned=conditioned)
    with pytest.raises(ValueError, match="level"):
        network(images(1, 8, 8), None if conditioned else torch.tensor([0.9]))


@torch.no_grad()
def test_the_papers_network_takes_81_by_106(papers):
    assert papers(images(1, 81, 106), torch.tensor([0.99])).shape == (1, 1, 81, 106)


@torch.no_grad()
@pytest.mark.parametrize("size", [(81, 106), (37, 51), (16, 16), (5, 3), (1, 1)])
def test_any_size_comes_back_as_it_was(small, size):
    assert small(images(2, *size), torch.tensor([0.99, 0.9])).shape == (2, 1, *size)


@torch.no_grad()
def test_the_output_depends_on_the_level(small):
    x = images(1, 24, 24)
    near, far = (small(x, torch.tensor([level])) for level in (0.999, 0.9))
    assert (near - far).abs().max() > 1e-3 * near.std()


@torch.no_grad()
def test_an_image_does_not_see_its_batch_mates(small):
    x, level = images(3, 37, 51), torch.tensor([0.999, 0.99, 0.9])
    together = small(x, level)
    for i in range(3):
        alone = small(x[i : i + 1], level[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_channels_last_changes_the_layout_not_the_result(small):
    x, level = images(2, 37, 51), torch.tensor([0.999, 0.9])
    plain = small(x, level)
    turned = UNet(**SMALL).to(memory_format=torch.channels_last).eval()
    result = turned(x.to(memory_format=torch.channels_last), level)
    torch.testing.assert_close(result, plain, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_bf16_autocast_is_a_rounding_away(small):
    x, level = images(2, 24, 24), torch.tensor([0.999, 0.9])
    exact = small(x, level)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = small(x, level)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).norm() < 0.1 * exact.norm()


@torch.no_grad()
@pytest.mark.parametrize("net", [UNet(multipliers=(1, 2)), Compact(32)], ids=["unet", "compact"])
def test_under_bf16_the_301_levels_stay_301_embeddings_for_every_block(net):
    """Autocast alone would leave 7: the whole range of levels is 0.0075 wide."""
    levels = torch.from_numpy(Schedule().level(np.arange(301))).float()
    embeddings, shifts = [], []
    embedding = net.embed if isinstance(net, UNet) else net.embedding
    embedding.register_forward_hook(lambda *at: embeddings.append(at[2]))
    for name, layer in net.named_modules():
        if name.endswith((".level", ".shift")):
            layer.register_forward_hook(lambda *at: shifts.append(at[2]))
    with torch.autocast("cpu", torch.bfloat16):
        net(torch.zeros(301, 1, 8, 8), levels)
    assert len(shifts) > 2
    for vectors in (*embeddings, *shifts):
        assert vectors.dtype == torch.float32
        assert len(vectors.unique(dim=0)) == 301


@torch.no_grad()
@pytest.mark.parametrize("net", [UNet(**SMALL), Compact(8)], ids=["unet", "compact"])
def test_under_bf16_stem_and_head_are_float32_and_what_is_between_is_not(net):
    kinds = {}
    for name, layer in net.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(
                lambda _, x, y, n=name: kinds.update({n: (x[0].dtype, y.dtype)})
            )
    with torch.autocast("cpu", torch.bfloat16):
        out = net(images(1, 16, 16), torch.tensor([0.999]))
    assert out.dtype == torch.float32
    assert kinds.pop("stem") == (torch.float32, torch.float32)
    assert kinds.pop("head", (torch.float32,) * 2) == (torch.float32, torch.float32)
    assert {out for _, out in kinds.values()} == {torch.bfloat16}


def test_weights_start_orthogonal_and_biases_at_zero(small):
    weights = {n: p.detach().flatten(1) for n, p in small.named_parameters() if p.ndim > 1}
    for name, w in weights.items():
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-4, rtol=0, msg=name)
    biases = [p for n, p in small.named_parameters() if n.endswith("bias")]
    assert biases
    assert not any(b.any() for b in biases)


def test_the_seed_alone_decides_the_start():
    torch.manual_seed(5)
    first = UNet(**SMALL, seed=1)
    torch.manual_seed(6)
    same, other = UNet(**SMALL, seed=1), UNet(**SMALL, seed=2)
    assert torch.equal(first.head.weight, same.head.weight)
    assert not torch.allclose(first.head.weight, other.head.weight)


def gradients(network: UNet) -> dict[str, float]:
    x = images(2, 37, 51)
    loss = (network(x, torch.tensor([0.999, 0.9])) - x.flip(0)).square().mean()
    loss.backward()
    return {n: float(p.grad.abs().max()) for n, p in network.named_parameters()}


def test_the_loss_reaches_every_parameter():
    assert min(gradients(UNet(**SMALL)).values()) > 1e-7


def test_a_norm_of_one_channel_a_group_is_deaf_to_the_level():
    """With the paper's 32 groups of 32 channels, so is its full-resolution level."""
    reached = gradients(UNet(base=8, groups=8))
    of_level = {n: g for n, g in reached.items() if ".level." in n}
    finest = ("down.0.", "down.1.", "up.16.", "up.17.", "up.18.")
    deaf = [g for name, g in of_level.items() if name.startswith(finest)]
    assert len(deaf) == 2 * len(finest)
    assert max(deaf) < 1e-6 < max(of_level.values())
