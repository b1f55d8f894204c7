"""Progress reports: long work calls a watcher with its progress."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Progress:
    """One report from a running task.

    ``task`` names it ("training", "sampling"), ``done`` of ``total`` units are finished,
    ``note`` is a short remark such as the present loss.
    """

    task: str
    done: int
    total: int
    note: str = ""


Watch: TypeAlias = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """A watcher that ignores every report."""
