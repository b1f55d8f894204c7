"""Series of a dataset that are no scans to denoise: told from header and table, before the work."""

from pathlib import Path

from dwiser.cohort.job import Job
from dwiser.errors import InputError
from dwiser.io.gradients import read_bvals
from dwiser.io.image_shape import read_header_shape
from dwiser.io.names import NIFTI_ENDINGS
from dwiser.methods.registry import build


def why_skipped(job: Job) -> str | None:
    """Why a series is no scan to denoise; None for one that is, or whose files are faulty.

    An image of one volume (a trace image), a series without a gradient table of its own, and
    b0s alone that the method does not take (those of reversed phase encoding, say).
    """
    scan = job.scan
    try:
        shape = read_header_shape(scan.dwi)
    except InputError:
        return None  # the worker says what is wrong with it
    volumes = shape[3] if len(shape) > 3 else 1
    if len(shape) <= 4 and volumes == 1:
        return "it has one volume, a trace image or a single b0"
    if scan.bval is None and scan.bvec is None:
        return "it has neither b-values nor b-vectors"
    if scan.bval is None:
        return None
    try:
        bvals = read_bvals(scan.bval)
    except InputError:
        return None
    if len(bvals) != volumes:
        lent = _is_anothers(scan.bval, scan.dwi)
        return (
            f"it has no b-values of its own ({scan.bval.name} is another series')" if lent else None
        )
    options = job.options
    if (bvals <= options.b0_threshold).all():
        method = build(options.method, options.preset, options.settings)
        words = method.capabilities.shortage(volumes, 0)
        return None if words is None else f"it has {volumes} b0s alone: {method.name} {words}"
    return None


def _is_anothers(table: Path, dwi: Path) -> bool:
    """Whether a table stands beside an image of its own name, which is not ``dwi``."""
    images = [table.with_suffix(ending) for ending in NIFTI_ENDINGS]
    return dwi not in images and any(image.exists() for image in images)
