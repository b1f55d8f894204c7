"""``dwiser bids``: a BIDS App, one scan after another in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dwiser.cli.cohort_options import DEFAULTS, BidsDir, Cohort, Level, OutDir, carried_out
from dwiser.cli.options import Memory
from dwiser.machine import memory_of

if TYPE_CHECKING:
    from dwiser.cohort.engine import Hands
    from dwiser.cohort.plan import Plan


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
    def here(plan: "Plan") -> Iterator["Hands"]:
        from dwiser.cohort.serial_executor import ThisProcess

        yield ThisProcess()

    if memory is not None:
        memory_of(memory)  # refused now, not with each scan
    return carried_out(bids_dir, out, options, here, memory=memory)
