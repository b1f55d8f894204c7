"""Progress on stderr: bars with the time left in a terminal, plain lines in a log file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from time import monotonic
from typing import Any

from dwiser import lazy
from dwiser.watch import Progress, Watch, silent

console = lazy.module("rich.console")
bars = lazy.module("rich.progress")

SECONDS_BETWEEN_LINES = 10.0
SHORT = 0.3  # seconds: a step that ends sooner is not shown, so that a refusal stays one line


@contextmanager
def progress(quiet: bool = False) -> Iterator[Watch]:
    """A watcher that shows progress for as long as the context is open."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as live:
            shown = _Bars(live)
            try:
                yield shown
            finally:
                shown.close()
    else:
        lines = _Lines()
        try:
            yield lines
        finally:
            lines.close()


def _bars() -> Any:
    """Rich's ``Progress``."""
    return bars.Progress(
        bars.TextColumn("{task.description:<10}"),
        bars.BarColumn(),
        bars.TextColumn("{task.fields[count]}"),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[note]}"),
        console=console.Console(stderr=True),
    )


class _Bars:
    """One bar a task; a moving one for a step, which is gone again if it was short."""

    def __init__(self, bars: Any) -> None:
        self.bars = bars
        self.known: dict[str, Any] = {}
        self.begun: dict[str, float] = {}  # of steps that have not ended

    def __call__(self, p: Progress) -> None:
        begins, ends = p.total == 1 and p.done == 0, p.total == 1 and p.task in self.begun
        count = "" if begins or ends else f"{p.done}/{p.total}"
        if p.task not in self.known:
            self.known[p.task] = self.bars.add_task(p.task, total=None, note="", count="")
        if begins:
            self.begun[p.task] = monotonic()
            return
        begun = self.begun.pop(p.task, None)
        if begun is not None and monotonic() - begun < SHORT:
            self.bars.remove_task(self.known.pop(p.task))
            return
        self.bars.update(
            self.known[p.task], completed=p.done, total=p.total, note=p.note, count=count
        )

    def close(self) -> None:
        """Take away the bars of steps that did not end."""
        for task in self.begun:
            self.bars.remove_task(self.known[task])


class _Lines:
    """A line when a task begins or ends, and every ten seconds between; one a longer step."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}
        self.last = 0.0
        self.waiting: dict[str, Timer] = {}

    def __call__(self, p: Progress) -> None:
        if p.total == 1 and p.done == 0:
            self._begin(p.task)
            return
        waiting = self.waiting.pop(p.task, None)
        if waiting is not None:
            waiting.cancel()
            return
        now = monotonic()
        begun = self.begun.setdefault(p.task, now)
        if now - self.last < SECONDS_BETWEEN_LINES and p.done < p.total:
            return
        self.last = now
        elapsed = now - begun
        remaining = elapsed / max(1, p.done) * (p.total - p.done)
        remaining_text = f", {remaining:.0f} s left" if 0 < p.done < p.total and elapsed > 0 else ""
        note = f" ({p.note})" if p.note else ""
        _print(f"{p.task}: {p.done}/{p.total}{remaining_text}{note}")

    def _begin(self, task: str) -> None:
        """Name a step once it has lasted for a while."""
        timer = Timer(SHORT, _print, (f"{task} …",))
        timer.daemon = True
        self.waiting[task] = timer
        timer.start()

    def close(self) -> None:
        """Name no step any more."""
        for timer in self.waiting.values():
            timer.cancel()


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
