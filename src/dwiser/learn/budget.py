"""Turning minutes into work: a short warm-up measures, the rest is counted."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import nn

from dwiser.learn.loop import train
from dwiser.learn.step import Batch

WARM, TIMED = 3, 8  # iterations before the clock, and on it
WARM_ON_GPU = 6  # there a step is captured after a few
SAMPLING_SHARE = 0.3  # of the remaining time, at most, for the walks
SLACK = 0.93  # of the remaining time is planned; the rest covers what was not measured


@dataclass(frozen=True)
class Pace:
    """Seconds a training iteration and seconds an evaluation of every slice."""

    iteration: float
    evaluation: float


@dataclass(frozen=True)
class Work:
    """What a budget buys: training iterations and evaluations a slice."""

    iterations: int
    evaluations: int


@dataclass(frozen=True)
class TrainingPlan:
    """What a training and the sampling after it come to, before they are begun.

    ``words`` say it in parts, ``evaluations`` are the most of a slice, and ``minutes`` is the
    bound that the user set, if any.
    """

    words: tuple[str, ...]
    iterations: int
    evaluations: int
    minutes: float | None
    pace: Pace


def measure(
    net: nn.Module, draw: Callable[[int], Batch], evaluate: Callable[[], float], **training: object
) -> Pace:
    """Time a throwaway copy of the net; the net and its seed stay as they were.

    ``evaluate`` gives the seconds of one evaluation of every slice.
    """
    trial = deepcopy(net)
    warm = WARM_ON_GPU if next(net.parameters()).is_cuda else WARM
    begun = 0.0

    def timed(iteration: int) -> Batch:
        nonlocal begun
        if iteration == warm:
            _settle()
            begun = perf_counter()
        return draw(iteration)

    settings = {"learning_rate": 1e-6, **training}
    train(trial, timed, iterations=warm + TIMED, **settings)  # type: ignore[arg-type]
    _settle()
    return Pace((perf_counter() - begun) / TIMED, evaluate())


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def plan_work(seconds: float, pace: Pace, most_evaluations: int) -> Work:
    """Split the remaining time of a budget: the walks' worst case first, training gets the rest."""
    planned = max(0.0, seconds) * SLACK
    fitting = int(planned * SAMPLING_SHARE / max(pace.evaluation, 1e-9))
    evaluations = max(1, min(most_evaluations, fitting))
    rest = planned - evaluations * pace.evaluation
    return Work(max(1, int(rest / max(pace.iteration, 1e-9))), evaluations)
