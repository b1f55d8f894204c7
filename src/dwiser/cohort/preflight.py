"""What can be refused before a scan is read: files that are missing, too little memory or disk."""

import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from dwiser.cohort.job import Job
from dwiser.errors import Code, DwiserError, InputError
from dwiser.io.about import about, check_contents
from dwiser.io.bids import inherited_sidecars
from dwiser.io.image_shape import read_shape
from dwiser.io.json_file import read_object
from dwiser.io.names import companion
from dwiser.io.sidecar import not_carried_over
from dwiser.machine import GIB
from dwiser.memmap import FLOAT32
from dwiser.methods.registry import build
from dwiser.run.memory_needed import bytes_at_least

SIDECARS_SHOWN = 5  # of those that cannot be read
SPARE = 1.5  # of the space that the outputs are expected to take


def check_files(job: Job) -> None:
    """Refuse a scan with a missing file, or one that is there twice."""
    if job.scan.twin is not None:
        raise InputError(
            f"{job.scan.dwi}: the same series is there as {job.scan.twin.name}: remove one of the "
            "two.",
            code=Code.BIDS_INVALID,
        )
    if job.options.phase and job.phase is None:
        raise InputError(
            f"{job.scan.dwi}: there is no part-phase beside it: leave out --phase, or name the "
            "participants that have one (--participant-label).",
            code=Code.FILE_MISSING,
        )
    for path in job.inputs.values():
        with about(path):
            check_contents(path)


def unreadable_sidecars(jobs: Iterable[Job]) -> list[str]:
    """A sentence for each JSON file of these series, own or inherited, that cannot be read.

    The denoising does not need them: their fields are missing in its sidecars. Of many files the
    last sentence tells the number.
    """
    listed: dict[Path, list[Path]] = {}
    paths = (
        path
        for job in jobs
        for path in (
            *inherited_sidecars(job.root, job.scan, listed),
            companion(job.scan.dwi, ".json"),
        )
        if os.path.lexists(path)
    )
    sentences = []
    for path in dict.fromkeys(paths):
        try:
            read_object(path)
        except InputError as error:
            sentences.append(not_carried_over(error))
    more = len(sentences) - SIDECARS_SHOWN
    if more <= 0:
        return sentences
    rest = (
        f"{more} more JSON files of these series cannot be read: each scan's sidecar tells which."
    )
    return [*sentences[:SIDECARS_SHOWN], rest]


def check_memory(job: Job, limit: int | None) -> None:
    """Refuse, from the header alone, a scan that would be killed for its memory."""
    options = job.options
    if limit is None:
        return
    size = FLOAT32.itemsize * math.prod(read_shape(job.scan.dwi))
    size *= 1 + len(job.joined_echoes)
    method = build(options.method, options.preset, options.settings)
    needed = bytes_at_least(method, size, phase=options.phase)
    if needed is not None and needed > limit:
        raise InputError(
            f"{job.scan.dwi}: {options.method} needs about {needed / GIB:.1f} GiB for it, a worker "
            f"may use {limit / GIB:.1f}: give each worker more (--memory, or 'memory' in "
            "jobqueue.yaml), or take a method that needs less.",
            code=Code.MEMORY_LIMIT,
        )


def check_disk_space(job: Job) -> None:
    """Refuse, before minutes of work, what the disk cannot hold; quotas are not seen."""
    copies = 1 + job.options.save_residual + job.options.save_standardised
    needed = SPARE * copies * job.scan.dwi.stat().st_size
    free = shutil.disk_usage(job.out).free
    if free < needed:
        raise DwiserError(
            f"{job.out}: {free / 1e6:.0f} MB are free, and {job.name} may need "
            f"{needed / 1e6:.0f}: make room and run the same command again.",
            code=Code.DISK_SPACE,
        )
