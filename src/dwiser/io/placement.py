"""Where the voxels of a series lie: in memory, or in a file that is mapped."""

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

from dwiser.memmap import FLOAT32, LETS_GO, MOST_IN_MEMORY, is_tmpfs

MAPPED_SHARE = 0.25  # of the memory; a larger series is read from a file as it is needed
# bytes: so is one of this size, where a disk has room for what is made of it
LARGE = 2**26 if LETS_GO else 2**29
SCRATCH = 8  # times the series: it, the result and lists of the mask's voxels


@dataclass(frozen=True)
class Placement:
    """Where the voxels of a series lie.

    Parameters
    ----------
    mapped : in a file: to spare memory, not to move them.
    in_place : in the image's own file where that is possible: a copy would be too much.
    too_large : for the memory that there is, so that nothing but a file will do.
    """

    mapped: bool
    in_place: bool
    too_large: bool


def placement(shape: tuple[int, ...], memory: int | None) -> Placement:
    """Where to put a series.

    Parameters
    ----------
    shape : (X, Y, Z, V).
    memory : in bytes; None: in memory, whatever the size.
    """
    size = math.prod(shape) * FLOAT32.itemsize
    too_large = memory is not None and size > MAPPED_SHARE * memory
    return Placement(
        mapped=memory is not None and (too_large or (size > LARGE and _disk_has_room(size))),
        in_place=too_large or size > MOST_IN_MEMORY,
        too_large=too_large,
    )


def _disk_has_room(size: int) -> bool:
    """Whether the temporary folder is on a disk with space for what is made of ``size`` bytes."""
    folder = Path(tempfile.gettempdir())
    return not is_tmpfs(folder) and disk_usage(folder).free > SCRATCH * size
