"""The fast network's starting point, which is a formula for each of its uses."""

import pytest
import torch

from dwiser.nets.compact import Compact


@pytest.mark.parametrize("size", [(81, 106), (1, 1), (7, 12)])
def test_with_several_images_it_starts_as_their_mean(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(Compact(8, 0.1, 0.05, channels=3)(x), x.mean(1, keepdim=True))


def test_it_sees_each_image_and_not_only_their_mean() -> None:
    torch.manual_seed(0)
    net = Compact(8, channels=2)
    torch.nn.init.normal_(net.head.weight)
    x = torch.randn(1, 2, 16, 16)
    assert not torch.allclose(net(x), net(x.flip(1)))


def test_with_noise_on_the_chain_it_starts_as_the_gaussian_posterior_mean() -> None:
    centre, images = -0.4, 0.3
    net = Compact(8, centre, 0.0, noise=1.0, images=images)
    level = torch.tensor([0.999, 0.9, 0.2])
    x0 = centre + images * torch.randn(3, 1, 200, 200)
    s = level[:, None, None, None]
    x = s * x0 + (1 - s**2).sqrt() * torch.randn_like(x0)
    expected = centre + s * images**2 / (s**2 * images**2 + 1 - s**2) * (x - s * centre)
    torch.testing.assert_close(net(x, level), expected, rtol=1e-4, atol=1e-5)


def test_told_no_level_it_takes_its_input_for_the_image() -> None:
    x = torch.randn(1, 1, 8, 8)
    torch.testing.assert_close(Compact(8)(x), x)
