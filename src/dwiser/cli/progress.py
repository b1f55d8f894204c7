"""Progress on stderr: bars with the time left in a terminal, plain lines in a log file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from dwiser.watch import Progress, Watch, silent

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress(quiet: bool = False) -> Iterator[Watch]:
    """A watcher that shows progress for as long as the context is open."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _Bars(bars)
    else:
        yield _Lines()


def _bars() -> Bars:
    return Bars(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )


class _Bars:
    """One bar a task."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.known: dict[str, object] = {}

    def __call__(self, p: Progress) -> None:
        if p.task not in self.known:
            self.known[p.task] = self.bars.add_task(p.task, total=p.total, note="")
        self.bars.update(self.known[p.task], completed=p.done, total=p.total, note=p.note)  # type: ignore[arg-type]


class _Lines:
    """A line when a task begins or ends, and every ten seconds between."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}
        self.last = 0.0

    def __call__(self, p: Progress) -> None:
        now = monotonic()
        begun = self.begun.setdefault(p.task, now)
        if now - self.last < SECONDS_BETWEEN_LINES and p.done < p.total:
            return
        self.last = now
        elapsed = now - begun
        remaining = elapsed / max(1, p.done) * (p.total - p.done)
        remaining_text = f", {remaining:.0f} s left" if 0 < p.done < p.total and elapsed > 0 else ""
        note = f" ({p.note})" if p.note else ""
        print(f"{p.task}: {p.done}/{p.total}{remaining_text}{note}", file=sys.stderr, flush=True)
