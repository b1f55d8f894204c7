"""The loop: what weights and an early end do to it."""

import threading

import pytest
import torch

from dwiser.errors import Code, InputError
from dwiser.learn.checkpointing import Course
from dwiser.learn.loop import train
from dwiser.learn.step import Batch
from dwiser.nets.compact import Compact

X = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))


class Scaled(torch.nn.Module):
    """x times one number, which is all it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.by = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor, level: torch.Tensor | None) -> torch.Tensor:
        return self.by * x


def fitted(targets: torch.Tensor, weights: torch.Tensor | None, **settings) -> torch.nn.Module:
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


def weights_after(threads: int, **settings) -> torch.Tensor:
    """The compact network's weights after a few steps on so many threads."""
    before = torch.get_num_threads()
    torch.manual_seed(0)
    net = Compact(8, 0.0, 0.1).to(memory_format=torch.channels_last)
    x, level = torch.randn(5, 1, 24, 24), torch.linspace(0.99, 0.999, 5)
    torch.set_num_threads(threads)
    try:
        train(
            net, lambda i: Batch(x + i / 10, level, x.flip(2)), iterations=4,
            learning_rate=1e-2, **settings,
        )  # fmt: skip
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    return torch.cat([p.detach().ravel() for p in net.parameters()])


def test_a_step_in_halves_on_two_threads_is_the_step_of_the_whole_batch() -> None:
    halves = weights_after(2)
    torch.testing.assert_close(halves, weights_after(1), rtol=1e-3, atol=1e-5)
    assert torch.equal(halves, weights_after(2))  # whichever thread is first


def test_no_thread_outlives_a_draw_or_a_network_that_fails() -> None:
    before = set(threading.enumerate()), torch.get_num_threads()
    torch.set_num_threads(2)

    class Broken(Scaled):
        def forward(self, x: torch.Tensor, level: torch.Tensor | None) -> torch.Tensor:
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        train(Broken(), lambda i: Batch(X, None, X), iterations=3, learning_rate=0.1)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before[1])
    assert set(threading.enumerate()) == before[0]


def test_a_lack_of_memory_splits_the_batch_and_changes_no_step(monkeypatch) -> None:
    whole, sizes = fitted(2 * X, None, iterations=3).by, []

    class Small(Scaled):
        def forward(self, x: torch.Tensor, level: torch.Tensor | None) -> torch.Tensor:
            sizes.append(len(x))
            if len(x) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return self.by * x

    net = Small()
    train(net, lambda i: Batch(X, None, 2 * X), iterations=3, learning_rate=0.1)
    torch.testing.assert_close(net.by, whole)
    assert sizes[-12:] == [1] * 12


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_ends_it_in_one_sentence_and_the_checkpoint_stays(wrong) -> None:
    written = []

    def draw(iteration: int) -> Batch:
        return Batch(X, None, X if iteration < 2 else torch.full_like(X, wrong))

    course = Course(write=lambda course: written.append(course.snapshots["training"]), every=0.0)
    with pytest.raises(InputError) as refused:
        train(Scaled(), draw, iterations=9, learning_rate=0.003, course=course)
    assert refused.value.code == Code.METHOD_DIVERGED
    assert refused.value.exit_code == 2
    assert "at iteration 3 of 9" in str(refused.value)
    assert "learning_rate below 0.003" in str(refused.value)
    assert [s.metadata["done"] for s in written] == [1, 2]
    assert all(t.isfinite().all() for s in written for t in s.tensors.values())
