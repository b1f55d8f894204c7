"""The terminal's view of a cohort: the plan, the state of the run, the result."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from dwiser.cohort.engine import RunStatus
    from dwiser.cohort.plan import CohortPlan, Step
    from dwiser.cohort.summary import Row

SHOWN = 12  # rows of a table that may have thousands
FIRST = 5  # of those to look at
LOG_WIDTH = 160


def print_plan(
    plan: "CohortPlan", list_scans: bool, remark: str | None, workers: str | None
) -> None:
    """The counts, the reasons, the cost, the workers; with ``list_scans`` a line a scan."""
    to_do, skipped = plan.to_do, plan.skipped
    done = len(plan.steps) - len(to_do) - len(skipped)
    people = len({step.job.scan.subject for step in plan.steps})
    why = ", ".join(f"{count} {words}" for words, count in plan.why().most_common())
    lines = [
        f"scans found  {len(plan.steps)} of {people} participants",
        f"done         {done}",
        f"to do        {len(to_do)}" + (f": {why}" if to_do else ""),
    ]
    if skipped:
        lines.append(f"skipped      {len(skipped)}, no scans to denoise")
        lines += [f"  {step.job.name}: {step.state.why}" for step in _shown(skipped, list_scans)]
        if not list_scans and skipped[SHOWN:]:
            lines.append(f"  and {len(skipped) - SHOWN} more")
    if to_do:
        total, most = plan.seconds, plan.largest_mib
        took = "time not known" if total is None else f"about {duration(total)} one by one"
        memory = "memory not known" if most is None else f"up to {most / 1024:.1f} GiB a scan"
        lines.append(f"expected     {took}, {memory} ({to_do[0].cost.source})")
    if workers:
        lines.append(f"workers      {workers}")
    if remark:
        lines.append(f"note         {remark}")
    print("\n".join(lines))
    if list_scans and to_do:
        _console().print(_steps(plan))


def _shown(steps: Sequence["Step"], every: bool) -> Sequence["Step"]:
    return steps if every else steps[:SHOWN]


def _steps(plan: "CohortPlan") -> Table:
    table = Table(box=None, pad_edge=False)
    for head in ("scan", "why", "shape", "time", "memory"):
        table.add_column(head, justify="right" if head in ("time", "memory") else "left")
    for step in plan.to_do:
        seconds, mib = step.cost.seconds, step.cost.mib
        table.add_row(
            Text(step.job.name), Text(step.state.why),
            "not readable" if step.shape is None else " × ".join(map(str, step.shape)),
            "–" if seconds is None else duration(seconds),
            "–" if mib is None else f"{mib / 1024:.1f} GiB",
        )  # fmt: skip
    return table


@contextmanager
def live_status(quiet: bool) -> Iterator[Callable[["RunStatus"], None]]:
    """A callback that shows the state of a run: a live table in a terminal, lines in a log."""
    if quiet:
        yield lambda status: None
    elif sys.stderr.isatty():
        latest: list["RunStatus"] = []

        def on_status(status: "RunStatus") -> None:
            latest[:] = [status]

        def render() -> Group:
            return status_table(latest[0]) if latest else Group()

        with Live(console=Console(stderr=True), refresh_per_second=2, get_renderable=render):
            yield on_status
    else:
        yield _Lines()


def status_table(status: "RunStatus") -> Group:
    """Counts and remaining time; the running scans; the last failures."""
    ended = len(status.outcomes)
    remaining = status.seconds_remaining
    table = Table(box=None, pad_edge=False)
    heads = {
        "done": status.count("done") + status.count("up to date"),
        "running": len(status.running),
        "failed": status.count("failed"),
        "waiting": status.waiting,
        "workers": status.workers,
        "time left": "–" if remaining is None else duration(remaining),
    }
    for head in heads:
        table.add_column(head, justify="right")
    table.add_row(*map(str, heads.values()))
    now = monotonic()
    longest = sorted(status.running.items(), key=lambda pair: pair[1])[:SHOWN]
    lines = [Text(f"  {name}  {duration(now - since)}") for name, since in longest]
    failed = [o for o in status.outcomes.values() if o.status == "failed"][-3:]
    lines += [Text(f"  {o.name}: {o.reason}", style="red") for o in failed]
    if not status.workers:
        lines.append(Text("  waiting for workers"))
    return Group(ProgressBar(max(1, status.total), ended, width=60), table, *lines)


class _Lines:
    """A line when a scan ends."""

    def __init__(self) -> None:
        self.printed: set[str] = set()

    def __call__(self, status: "RunStatus") -> None:
        for name in [n for n in status.outcomes if n not in self.printed]:
            self.printed.add(name)
            outcome = status.outcomes[name]
            took = f", {outcome.seconds:.1f} s" if outcome.seconds else ""
            why = f": {outcome.reason}" if outcome.reason else ""
            remaining = status.seconds_remaining
            rest = (
                "" if remaining is None or not status.waiting else f", {duration(remaining)} left"
            )
            count = f"{len(self.printed)}/{status.total}"
            print(f"{count} {name}: {outcome.status}{took}{rest}{why}", file=sys.stderr, flush=True)


def print_result(rows: Sequence["Row"], out: Path, quiet: bool, interrupted: bool) -> None:
    """What to look at first, and where the rest is."""
    failed = [row for row in rows if row.status == "failed"]
    for row in failed:
        print(f"dwiser: {row.job.name} failed: {row.reason}", file=sys.stderr)
    done = sum(row.status == "done" for row in rows)
    if interrupted:
        print(
            f"dwiser: Interrupted: {done} of {len(rows)} scans are done; the same command goes on.",
            file=sys.stderr,
        )
    if quiet:
        return
    apart = [row for row in rows if row.rank == 1]
    if apart:
        table = Table(box=None, pad_edge=False)
        for head in ("look at", "verdict", "why"):
            table.add_column(head)
        for row in apart[:FIRST]:
            why = ", ".join(row.apart) or row.reason.partition("; ")[0]
            table.add_row(Text(row.job.name), row.verdict or "–", Text(why))
        if apart[FIRST:]:
            table.add_row(f"and {len(apart) - FIRST} more", "", "")
        _console().print(table)
    skipped = sum(row.status == "skipped" for row in rows)
    counts = f"{done} of {len(rows) - skipped} scans done, {len(failed)} failed"
    counts += f", {skipped} skipped" if skipped else ""
    print(f"{counts}; see {out / 'cohort.html'}")


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _console() -> Console:
    wide = None if sys.stdout.isatty() else LOG_WIDTH
    return Console(width=wide, highlight=False)
