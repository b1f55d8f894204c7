"""A scan from its file, and whether that file was written to while the scan was denoised."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dwiser.errors import DwiserWarning
from dwiser.io import carried_over, load
from dwiser.io.read_ahead import ReadAhead
from dwiser.run.record import recorded_warnings
from dwiser.run.request import Request, named_inputs, table_options
from dwiser.scan import Scan


@dataclass(frozen=True, eq=False)
class ReadScan:
    """A scan from its file, its sidecar's fields, and what was warned of while they were read."""

    scan: Scan
    warnings: list[str]
    fields: dict[str, Any] = field(default_factory=dict)


def read_scan(
    request: Request,
    memory: int | None = None,
    inherited: Sequence[Path] = (),
    ahead: ReadAhead | None = None,
) -> ReadScan:
    """Read the series that a request names.

    Parameters
    ----------
    request : its files and how to read the gradient table.
    memory : bytes; above a part of them the series is mapped. None: never.
    inherited : the JSON files above the image that speak for it, the nearest last.
    ahead : the voxels, where their reading was begun before.

    Raises
    ------
    InputError
        As with `dwiser.load`.
    """
    with recorded_warnings() as heard:
        fields = carried_over(request.dwi, inherited)
        options = table_options(request) | {"memory": memory, "fields": fields, "ahead": ahead}
        scan = load(*named_inputs(request), **options)
    return ReadScan(scan, heard, fields)


def file_state(path: Path) -> tuple[int, int, int] | None:
    """Which file it is, its size and when it was written; None where that cannot be known."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def warn_of_change(path: Path, before: tuple[int, int, int] | None) -> None:
    """Warn of an input that was written to since ``before``; removed or replaced it is another."""
    now = file_state(path)
    if before is not None and now is not None and now[0] == before[0] and now != before:
        sentence = (
            f"{path} was written to meanwhile: the result may be of neither, denoise it again."
        )
        warnings.warn(sentence, DwiserWarning, stacklevel=3)
