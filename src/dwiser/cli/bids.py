"""``dwiser bids``: a BIDS App, one scan after another in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dwiser.cli.cohort_options import DEFAULTS, BidsDir, Cohort, Level, OutDir, run_cohort
from dwiser.cli.options import Memory
from dwiser.machine import CUDA, find_machine, parse_memory

if TYPE_CHECKING:
    from dwiser.cohort.engine import Executor
    from dwiser.cohort.plan import CohortPlan


def bids(
    bids_dir: BidsDir,
    out: OutDir,
    analysis_level: Level,
    /,
    *,
    memory: Memory = None,
    options: Cohort = DEFAULTS,
) -> int:
    """Denoise every diffusion series of a BIDS dataset, one after another; skips what is done."""

    @contextmanager
    def open_executor(plan: "CohortPlan") -> Iterator["Executor"]:
        from dwiser.cohort.serial_executor import SerialExecutor

        yield SerialExecutor()

    if options.device == CUDA:
        find_machine(CUDA)  # refused now, not with each scan
    if memory is not None:
        parse_memory(memory)
    return run_cohort(bids_dir, out, options, open_executor, memory=memory)
