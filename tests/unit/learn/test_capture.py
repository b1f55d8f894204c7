"""Which steps and evaluations are replayed, and what happens where no graph can be had.

No GPU is needed: a pretended graph computes again what was computed while it was captured.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch

from dwiser.learn import capture
from dwiser.learn.capture import CAPTURED, MOST_SHAPES, WARM_UP, CapturedForward, CapturedStep
from dwiser.learn.memory import BatchedNetwork
from dwiser.learn.step import Batch
from dwiser.nets.unet import UNet


def batch_of(value: float, size: int = 4) -> Batch:
    image = torch.full((size, 1, 2, 2), float(value))
    return Batch(image, None, image)


class Steps:
    """Steps that note their batch's value; eager ones and captured ones apart."""

    def __init__(self) -> None:
        self.eager: list[float] = []
        self.whole: list[float] = []

    def take(self, batch: Batch) -> torch.Tensor:
        self.eager.append(float(batch.inputs.mean()))
        return batch.inputs.mean()

    def capture(self, batch: Batch) -> torch.Tensor:
        self.whole.append(float(batch.inputs.mean()))
        return batch.inputs.mean()


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """Graphs whose replays call what a test puts into the list."""
    replays: list[Callable[[], None]] = []

    class Graph:
        def replay(self) -> None:
            for replay in replays:
                replay()

    @contextmanager
    def graph(_: Graph) -> Iterator[None]:
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(capture, "aside", nullcontext)
    return replays


@pytest.fixture
def refused(pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def graph(_: object) -> Iterator[None]:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")
        yield

    monkeypatch.setattr(torch.cuda, "graph", graph)


def test_after_the_warm_up_each_batch_is_replayed_and_none_is_lost(pretended) -> None:
    steps, seen = Steps(), []
    step = CapturedStep(steps.capture, steps.take)

    def replay() -> None:
        seen.append(float(step.static.inputs.mean()))
        step.loss.copy_(step.static.inputs.mean())

    pretended.append(replay)
    losses = [step(batch_of(i)) for i in range(WARM_UP + 4)]
    assert steps.eager == list(range(WARM_UP))
    assert seen == [WARM_UP + i for i in range(4)]
    assert [float(loss) for loss in losses] == list(range(WARM_UP + 4))  # none overwritten
    assert step.note == CAPTURED
    assert float(step(batch_of(9, size=3))) == 9  # a batch of another shape: eagerly
    assert steps.eager[-1] == 9


def test_where_the_capture_fails_every_step_is_eager_and_the_record_says_why(refused) -> None:
    steps = Steps()
    step = CapturedStep(steps.capture, steps.take)
    for i in range(WARM_UP + 4):
        assert float(step(batch_of(i))) == i
    assert steps.eager == list(range(WARM_UP + 4))
    assert step.note == (
        "not captured as a CUDA graph: operation not permitted when stream is capturing"
    )


def test_a_shape_that_comes_often_is_evaluated_by_a_graph_and_only_so_many(pretended) -> None:
    calls = []

    def forward(inputs: torch.Tensor, level: torch.Tensor | None) -> torch.Tensor:
        calls.append(inputs.shape)
        return 2 * inputs

    f = CapturedForward(forward)
    pretended.append(lambda: [out.copy_(2 * static[0]) for _, static, out in f.graphs.values()])
    for n in range(1, 7):
        torch.testing.assert_close(
            f(torch.full((2, 3), float(n)), None), torch.full((2, 3), 2.0 * n)
        )
    assert len(calls) == 4  # twice eagerly, a warm-up, the capture
    assert f.note == CAPTURED
    for size in range(3, 10):
        for n in range(4):
            assert (f(torch.full((size, 3), float(n)), None) == 2 * n).all()
    assert len(f.graphs) == MOST_SHAPES


def test_where_no_graph_can_be_had_evaluations_go_on(refused) -> None:
    f = CapturedForward(lambda inputs, level: 2 * inputs)
    for n in range(6):
        torch.testing.assert_close(
            f(torch.full((2, 3), float(n)), None), torch.full((2, 3), 2.0 * n)
        )
    assert f.failed
    assert not f.graphs
    assert f.note == (
        "not captured as a CUDA graph: operation not permitted when stream is capturing"
    )


def test_a_networks_record_says_how_it_was_evaluated(pretended, refused) -> None:
    f = BatchedNetwork(UNet(base=4, groups=2, multipliers=(1,), blocks=1, conditioned=False), 4)
    assert f.record == {}
    for _ in range(4):
        f.evaluation.captured(torch.ones(2, 1, 3, 3), None)
    assert f.record == {"network_evaluations": f.evaluation.captured.note}
    assert f.record["network_evaluations"].startswith(
        "not captured as a CUDA graph: operation not permitted"
    )
