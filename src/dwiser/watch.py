"""Progress reports: long work calls a watcher with its progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Progress:
    """One report from a running task.

    ``task`` names it ("training", "sampling"), ``done`` of ``total`` units are finished,
    ``note`` is a short remark such as the present loss. A task of one unit is a step whose
    progress nobody knows: it is reported as it begins (0 of 1) and as it ends (1 of 1).
    """

    task: str
    done: int
    total: int
    note: str = ""


Watch: TypeAlias = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """A watcher that ignores every report."""


@contextmanager
def step(watch: Watch, task: str) -> Iterator[None]:
    """Report a task of one unit: that it begins and, unless it fails, that it ends."""
    watch(Progress(task, 0, 1))
    yield
    watch(Progress(task, 1, 1))
