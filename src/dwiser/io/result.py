"""Write a result as one set: image, sidecar and gradient table."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num, Shaped

from dwiser.io.about import FilePath
from dwiser.io.gradients import write_bvals, write_bvecs
from dwiser.io.outputs import Writer, companions, planned, write_set
from dwiser.io.sidecar import sidecar
from dwiser.io.writing import image_writers
from dwiser.memmap import writable_copy
from dwiser.scan import Scan


def save(
    data: Num[np.ndarray, "x y z v"],
    out: FilePath,
    scan: Scan,
    *,
    record: Mapping[str, Any] | None = None,
    extras: Mapping[Path, Shaped[np.ndarray, "x y z *v"]] | None = None,
    pages: Mapping[Path, str] | None = None,
    weights: Mapping[Path, bytes] | None = None,
    inputs: Iterable[FilePath] = (),
    command: str | None = None,
    force: bool = False,
    threads: int = 1,
) -> None:
    """Write OUT with its sidecar and gradient table, its ``extras`` and the rest as one set.

    Parameters
    ----------
    data : (X, Y, Z, V) in the scan's units and volume order; stored as float32.
    out : the image's path; its ending says the format. OUT.json, OUT.bval and OUT.bvec come with
        it, the table not with a format that holds it inside.
    scan : the input; its geometry and its gradient table as read are written.
    record : the contents of the sidecar.
    extras : further images by path: maps (X, Y, Z), masks (bool) or series (X, Y, Z, V).
    pages : HTML pages by path, each its whole text.
    weights : files of weights by path, each its bytes.
    inputs : files that may not be overwritten, not even with ``force``.
    command : what made it, for the history that MRtrix images keep.
    force : replace files that exist.
    threads : that compress an image, beside the one that writes.

    Raises
    ------
    InputError, DwiserError
        As ``planned`` and ``write_set`` do; then nothing was written.

    Examples
    --------
    >>> from dwiser.io import load, save
    >>> from dwiser.io.sample import sample_paths
    >>> scan = load(sample_paths().dwi)
    >>> save(scan.data, "copy.nii.gz", scan, record={"Method": "none"})
    >>> load("copy.nii.gz").shape  # with copy.bval and copy.bvec
    (68, 64, 20, 41)
    """
    extras, pages, weights = extras or {}, pages or {}, weights or {}
    planned(out, *extras, pages=pages, weights=weights, inputs=inputs, force=force)
    text = sidecar(record or {})
    json, *table = companions(out)
    writers: dict[Path, Writer] = {
        json: lambda path: _write_text(path, text),
        **dict(zip(table, _table_writers(scan), strict=False)),
        **{path: partial(_write_text, text=page) for path, page in pages.items()},
        **{path: partial(_write_bytes, content=content) for path, content in weights.items()},
    }
    if scan.absent is not None:
        data = writable_copy(data)
        data[scan.absent] = np.nan
    for path, array in (*extras.items(), (Path(out), data)):
        writers |= image_writers(array, path, scan, command, threads)
    write_set(writers, force=force)


def _table_writers(scan: Scan) -> tuple[Writer, Writer]:
    """For .bval and .bvec."""
    return partial(write_bvals, scan.gradients), partial(write_bvecs, scan.gradients)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
