"""The loop: what weights and an early end do to it."""

import torch

from dwiser.learn.loop import Batch, train

X = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def fitted(targets: torch.Tensor, weights: torch.Tensor | None, **settings) -> torch.nn.Module:
    torch.manual_seed(0)

    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.by = torch.nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor, level: torch.Tensor | None) -> torch.Tensor:
            return self.by * x

    net = Scaled()
    settings = {"iterations": 150, "learning_rate": 0.1, **settings}
    net.trained = train(net, lambda i: Batch(X, None, targets, weights), **settings)
    return net


def test_what_has_no_weight_teaches_nothing() -> None:
    keep = (torch.arange(6) < 3).float().expand(4, 1, 6, 6)
    wrong = torch.where(keep > 0, 3 * X, torch.full_like(X, 1e3))
    torch.testing.assert_close(fitted(wrong, keep).by.data, torch.tensor([3.0]), atol=1e-3, rtol=0)


def test_equal_weights_change_nothing() -> None:
    a, b = fitted(2 * X, None, iterations=9), fitted(2 * X, torch.ones_like(X), iterations=9)
    torch.testing.assert_close(a.by, b.by)


def test_it_ends_when_it_is_told_and_says_so() -> None:
    net = fitted(2 * X, None, finished=lambda done: done == 7)
    assert net.trained.iterations == 7
    torch.testing.assert_close(net.by, fitted(2 * X, None, iterations=7).by)


def test_the_curve_tells_the_loss_along_the_way() -> None:
    curve = fitted(3 * X, None).trained.curve
    done = [int(i) for i in curve]
    assert done == list(range(3, 151, 3))  # 50 points of 150 iterations
    loss = list(curve.values())
    assert loss[0] > 10 * loss[-1] > 0
