"""The memory of a job on Slurm, in the words of three programs.

Dask reads the ``memory`` of jobqueue.yaml with GB as 10⁹ bytes and GiB as 2³⁰, and its workers keep
to that; Slurm's G is 2³⁰ (M is 2²⁰), and dask-jobqueue rounds up to a whole one. So ``memory: 8GB``
is a worker of 7.45 GiB in a job of 8 GiB. dwiser's own ``--memory`` is in powers of 1024, and is
what the job is granted.
"""

from dataclasses import dataclass
from typing import Any

import dask
from dask.utils import parse_bytes

from dwiser.errors import Code, InputError
from dwiser.machine import GIB

MIB = 2**20
HOME = "jobqueue.slurm"  # of the settings in jobqueue.yaml
YAML = "~/.config/dask/jobqueue.yaml"


@dataclass(frozen=True)
class JobMemory:
    """Of each job: bytes that its workers hold together, its workers, what Slurm is asked for.

    ``granted`` is in Slurm's form, and None where Slurm is not asked; ``written`` is what
    jobqueue.yaml says, None where ``--memory`` decides; ``options`` are ``SLURMCluster``'s.
    """

    held: int
    workers: int
    granted: str | None
    written: str | None
    options: dict[str, Any]

    def sentence(self, count: int) -> str:
        """What each of so many workers gets, and what Slurm grants to a job."""
        share = self.held / self.workers
        asked = f"{count} asked of Slurm, {share / GIB:.2f} GiB for each"
        if self.granted is None:
            return (
                f"{asked}, or Slurm's own default if that is less: the jobs ask for no memory "
                "('job-directives-skip')"
            )
        job = f"a job is granted {self.granted}, in Slurm's units of 1024"
        if self.written is None:
            return f"{asked}; {job}"
        return f"{asked} (memory {self.written} in jobqueue.yaml, where GB is 10⁹ bytes); {job}"


def of_jobs(asked: int | None) -> JobMemory:
    """The memory of each job.

    Parameters
    ----------
    asked : bytes of ``--memory``, rounded up to Slurm's MiB; None for what jobqueue.yaml says.

    Raises
    ------
    InputError
        Where neither says how much memory, or jobqueue.yaml no amount that Dask can read.
    """
    workers = int(_setting("processes") or 1)
    written = _setting("memory")
    if asked is not None:
        mib = -(-asked // MIB)
        options = {"memory": f"{mib} MiB", "job_mem": f"{mib}M"}
        return JobMemory(mib * MIB, workers, _granted(f"{mib}M"), None, options)
    if written is None:
        raise not_set_up("it says no memory of a job")
    try:
        held = int(parse_bytes(written))
    except ValueError as error:
        raise not_set_up(f"its memory is {written!r}, which is no amount") from error
    granted = _granted(_setting("job-mem") or _rounded_up(held))
    return JobMemory(held, workers, granted, str(written), {})


def not_set_up(fault: str) -> InputError:
    """The refusal of a jobqueue.yaml that Dask cannot use."""
    return InputError(
        f"Slurm is not set up for Dask ({fault}): write 'cores' and 'memory' under "
        f"'jobqueue: slurm:' in {YAML}.",
        code=Code.CLUSTER_SETUP,
    )


def _setting(name: str) -> Any:
    return dask.config.get(f"{HOME}.{name}", None)


def _rounded_up(size: int) -> str:
    """As dask-jobqueue asks Slurm for it."""
    from dask_jobqueue.slurm import slurm_format_bytes_ceil

    return str(slurm_format_bytes_ceil(size))


def _granted(amount: str) -> str | None:
    """The amount, unless the user's settings drop the line that asks Slurm for it."""
    skipped = _setting("job-directives-skip") or []
    line = f"#SBATCH --mem={amount}"  # a word anywhere in a line drops it
    return None if any(word in line for word in skipped) else str(amount)
