"""Flips: averaged or drawn, they undo themselves."""

import torch

from dwiser.chain.sample import drawn_flip, four_flips


def uneven(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """An F that favours one corner."""
    return x + torch.arange(x[0].numel()).reshape(x.shape[1:]) * level[:, None, None]


def test_four_flips_average_what_each_flip_gives() -> None:
    x, level = torch.rand(2, 3, 4), torch.rand(2)
    draws = [drawn_flip(uneven, x, level, torch.full((2,), k)) for k in range(4)]
    torch.testing.assert_close(four_flips(uneven, x, level), torch.stack(draws).mean(0))


def test_a_drawn_flip_is_each_slices_own() -> None:
    x, level = torch.rand(4, 3, 4), torch.rand(4)
    mixed = drawn_flip(uneven, x, level, torch.arange(4))
    for k in range(4):
        alone = drawn_flip(uneven, x[k : k + 1], level[k : k + 1], torch.tensor([k]))
        torch.testing.assert_close(mixed[k], alone[0])


def test_an_even_f_does_not_notice_flips() -> None:
    x, level = torch.rand(3, 5, 4), torch.ones(3)
    square = drawn_flip(lambda y, s: y**2, x, level, torch.tensor([1, 2, 3]))
    torch.testing.assert_close(square, x**2)
