"""The denoised series under the names of the raw ones, beside everything else of their dataset.

For programs that take raw data alone, as QSIPrep does: a derivative has neither anatomy nor field
maps, and every ``*_dwi.nii.gz`` in it, a residual too, would be taken for a series.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from dwiser.cohort.pages import DESCRIPTION, dataset_link, raw_description, replace_text
from dwiser.cohort.summary import Row
from dwiser.errors import Code, InputError
from dwiser.io.bids import SUFFIX, dataset_description, entities, is_hidden
from dwiser.io.json_file import read_object
from dwiser.io.names import NIFTI_ENDINGS
from dwiser.io.outputs import unwritten
from dwiser.io.sidecar import sidecar

KIND = "denoised diffusion series under the names of the raw ones"
NOT_DATA = ("derivatives", "sourcedata", "code")  # of a BIDS dataset
ENDINGS = (".nii.gz", ".bval", ".bvec", ".json")
README = """The diffusion series of this dataset were denoised by dwiser; all else is as it was.

For programs that take raw data alone: switch their own denoising off. Written anew by each
`dwiser bids … --as-raw`, so keep nothing here. The phase of a denoised series is left out.
"""


def check_raw_names(root: Path, out: Path, folder: Path) -> None:
    """Refuse a folder that cannot be written anew.

    Raises
    ------
    InputError
        For a folder that is, holds or lies in a subject of the dataset or the output folder, or
        that exists and was not written by `write_raw_names`.
    """
    place = folder.resolve()
    for taken in (root.resolve(), out.resolve()):
        inside = taken in place.parents and taken / "derivatives" not in place.parents
        if place == taken or place in taken.parents or inside:
            raise InputError(
                f"{folder}: it would mix with {taken}: choose a folder beside it.",
                code=Code.OUTPUT_FOREIGN,
            )
    if folder.exists() and not _is_ours(folder):
        raise InputError(
            f"{folder}: it was not written by --as-raw: choose a folder that does not exist.",
            code=Code.OUTPUT_FOREIGN,
        )


def _is_ours(folder: Path) -> bool:
    path = folder / DESCRIPTION
    if not path.exists():
        return False
    steps = read_object(path).get("GeneratedBy")
    return isinstance(steps, list) and any(step.get("Description") == KIND for step in steps)


def write_raw_names(root: Path, out: Path, folder: Path, rows: Sequence[Row]) -> None:
    """Write the dataset of the scans of a run: images as hard links where the disk allows it.

    Parameters
    ----------
    root, out : the raw dataset and its derivative.
    folder : written anew; see `check_raw_names`.
    rows : the scans of the run, all done or skipped. Skipped series stay as they were.

    Raises
    ------
    DwiserError
        Where it cannot be written; nothing of it remains.
    """
    unfinished = folder.with_name(f".{folder.name}-{uuid4().hex[:8]}")
    try:
        for path in _raw_files(root, rows, (out.resolve(), folder.resolve())):
            _place(path, unfinished / path.relative_to(root))
        for row in rows:
            if row.status == "done":
                job = row.job
                for ending in ENDINGS:
                    name = f"{job.scan.name}_{SUFFIX}{ending}"
                    denoised = job.out / job.scan.derived("denoised", SUFFIX, ending)
                    _place(denoised, unfinished / job.scan.place / name)
        unfinished.mkdir(parents=True, exist_ok=True)
        replace_text(unfinished / DESCRIPTION, sidecar(_description(root, folder)))
        (unfinished / "README").unlink(missing_ok=True)
        replace_text(unfinished / "README", README)
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise unwritten(folder, error) from error


def _description(root: Path, folder: Path) -> dict[str, Any]:
    from dwiser import __version__

    raw = raw_description(root)
    fields = dataset_description(raw, __version__, dataset_link(root, folder))
    fields["GeneratedBy"][0]["Description"] = KIND
    return fields | {"DatasetType": "raw"}


def _raw_files(root: Path, rows: Sequence[Row], not_these: Sequence[Path]) -> Iterator[Path]:
    """All files of the dataset's top and of the rows' subjects but what was denoised.

    Of the diffusion series only those that a row skipped: another session's, which nobody asked
    for, would be raw among denoised ones.
    """
    subjects = {f"sub-{row.job.scan.subject}" for row in rows}
    skipped = {(row.job.scan.place, row.job.scan.name) for row in rows if row.status == "skipped"}
    for folder, below, names in os.walk(root, followlinks=True):
        here = Path(folder)
        place = here.relative_to(root)
        below[:] = sorted(
            name for name in below
            if not name.startswith(".") and (here / name).resolve() not in not_these
            and (here != root or _is_wanted(name, subjects))
        )  # fmt: skip
        for name in sorted(names):
            path = here / name
            if here.name == SUFFIX and name.split(".")[0].endswith(f"_{SUFFIX}"):
                head = name.split(".")[0].removesuffix(f"_{SUFFIX}")
                own = {key: v for key, v in entities(head).items() if key != "part"}
                if not any(p == place and own == _without_part(n) for p, n in skipped):
                    continue
            if not is_hidden(path) or name == ".bidsignore":
                yield path


def _is_wanted(name: str, subjects: set[str]) -> bool:
    return name in subjects if name.startswith("sub-") else name not in NOT_DATA


def _without_part(name: str) -> dict[str, str]:
    return {key: value for key, value in entities(name).items() if key != "part"}


def _place(source: Path, target: Path) -> None:
    """Images as hard links, which containers follow as symbolic links are not; the rest copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    real = source.resolve()  # DataLad's files are links into its store
    if source.name.endswith(NIFTI_ENDINGS):
        try:
            os.link(real, target)
        except OSError:
            shutil.copyfile(real, target)
    else:
        shutil.copyfile(real, target)
