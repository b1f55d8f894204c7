"""``dwiser cohort``: a BIDS dataset on a laptop's cores or a cluster's nodes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dwiser.cli.cohort_options import DEFAULTS, BidsDir, Cohort, Level, OutDir, carried_out

if TYPE_CHECKING:
    from dwiser.cohort.engine import Hands
    from dwiser.cohort.plan import Plan


def cohort(
    bids_dir: BidsDir,
    out: OutDir,
    analysis_level: Level,
    /,
    *,
    cluster: Annotated[
        str,
        Parameter(help="local, slurm (set up in jobqueue.yaml), or a Dask scheduler's address."),
    ] = "local",
    workers: Annotated[
        int | None,
        Parameter(help="How many (default: local as many as cores and memory allow; slurm 1)."),
    ] = None,
    memory: Annotated[
        str | None,
        Parameter(help="Local: what a worker may hold, say 4GiB (default: its share of all)."),
    ] = None,
    retries: Annotated[
        int, Parameter(help="How often a scan is tried again when its worker dies or breaks.")
    ] = 2,
    options: Cohort = DEFAULTS,
) -> int:
    """Denoise every diffusion series of a BIDS dataset, many at once; skips what is done."""

    @contextmanager
    def opened(plan: "Plan") -> Iterator["Hands"]:
        from dwiser.cohort.clusters import Wanted, opened

        wanted = Wanted(
            cluster, workers, _bytes(memory), retries, options.device, options.threads,
            options.work_dir, plan.largest_mib, len(plan.to_do),
        )  # fmt: skip
        with opened(wanted, lambda line: _say(line, options.quiet)) as hands:
            yield hands

    _check(workers, retries)
    _bytes(memory)
    return carried_out(bids_dir, out, options, opened)


def _say(line: str, quiet: bool) -> None:
    if not quiet:
        print(line, file=sys.stderr)


def _check(workers: int | None, retries: int) -> None:
    from dwiser.errors import InputError

    if workers is not None and workers < 1:
        raise InputError(f"--workers must be at least 1, not {workers}.")
    if retries < 0:
        raise InputError(f"--retries must not be negative: {retries} is.")


def _bytes(text: str | None) -> int | None:
    from dwiser.errors import InputError

    if text is None:
        return None
    from dask.utils import parse_bytes

    try:
        return int(parse_bytes(text))
    except ValueError as error:
        raise InputError(f"'{text}' is no size: write --memory 4GiB.") from error
