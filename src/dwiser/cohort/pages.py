"""The HTML pages of a cohort, and the files that make its folder a BIDS dataset."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from jinja2 import Environment, PackageLoader, select_autoescape

from dwiser import __version__
from dwiser.cohort import ledger, summary
from dwiser.cohort.job import HIDDEN, Job
from dwiser.cohort.run_record import read_run_record
from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.io.bids import dataset_description
from dwiser.io.json_file import read_object
from dwiser.io.outputs import unwritten
from dwiser.io.provenance import PROGRAM, generators
from dwiser.io.sidecar import sidecar

DESCRIPTION = "dataset_description.json"
IGNORED = f"""# What BIDS's schema has no name for, written by dwiser.
*.html
cohort.tsv
logs/
{HIDDEN}/
figures
*_dwimap.nii.gz
*_dwimap.json
# gradient tables of derivatives
*_dwi.bval
*_dwi.bvec
"""
OLD_MASK = "*_desc-brain_mask.nii.gz     voxels that were denoised; the rest is the input's\n"
NEW_MASK = "*_desc-denoised_mask.nii.gz  voxels that were denoised: no brain mask\n"
README = f"""Diffusion series denoised by dwiser.

*_desc-denoised_dwi.nii.gz   the series, in the units and geometry of the input; its .json says how
*_desc-sigma_dwimap.nii.gz   standard deviation of the noise
{NEW_MASK}*_desc-residual_dwi.nii.gz   input minus denoised, if it was asked for
*_desc-standardised_dwi.nii.gz   the same in units of its noise, likewise
sub-*.html, cohort.html      what to look at; cohort.tsv is a table of all scans
sub-*/figures/*.html         interactive reports, if they were asked for
"""


def render_template(name: str, **values: Any) -> str:
    """A template of this package, filled in; every value is escaped."""
    loader = PackageLoader("dwiser.cohort", "templates")
    return Environment(loader=loader, autoescape=select_autoescape()).get_template(name).render(
        version=__version__, **values
    )  # fmt: skip


def replace_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, then rename it; DwiserError where that fails."""
    temporary = path.with_name(f".{path.name}-{uuid4().hex[:8]}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritten(path, error) from error


def begin_dataset(root: Path, out: Path) -> None:
    """Make the output folder a BIDS derivative, if it is not one yet.

    Raises
    ------
    InputError
        Where the folder cannot be created, or holds another program's dataset.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{out}: the folder cannot be created: choose another.", code=Code.OUTPUT_FOLDER
        ) from error
    description_path = out / DESCRIPTION
    if description_path.exists():
        steps = generators(read_object(description_path))
        if not any(step.get("Name") == PROGRAM for step in steps):
            raise InputError(
                f"{out}: it holds another program's dataset: choose another folder.",
                code=Code.OUTPUT_FOREIGN,
            )
    fields = dataset_description(raw_description(root), __version__, dataset_link(root, out))
    replace_text(description_path, sidecar(fields))
    replace_text(out / ".bidsignore", IGNORED)
    _write_readme(out / "README")


def _write_readme(path: Path) -> None:
    """The README, where there is none; in that of 0.2.0 the mask gets its present name."""
    if not path.exists():
        replace_text(path, README)
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    if OLD_MASK in text:
        replace_text(path, text.replace(OLD_MASK, NEW_MASK))


def raw_description(root: Path) -> dict[str, Any]:
    """Of the dataset; empty where there is none that can be read, which validation refuses."""
    path = root / DESCRIPTION
    if not os.path.lexists(path):
        return {}
    try:
        return read_object(path)
    except InputError as error:
        sentence = f"{str(error).removesuffix('.')}; its name and authors are not carried over."
        warnings.warn(sentence, DwiserWarning, stacklevel=3)
        return {}


def dataset_link(root: Path, out: Path) -> str:
    """Relative where the output lies inside the dataset, so that both can be moved."""
    output, dataset = out.resolve(), root.resolve()
    return os.path.relpath(dataset, output) if dataset in output.parents else dataset.as_uri()


def write_summary(out: Path, rows: Sequence[summary.Row], title: str) -> None:
    """``cohort.tsv`` and ``cohort.html``."""
    replace_text(out / "cohort.tsv", summary.tsv(rows))
    counts = {
        status: sum(row.status == status for row in rows)
        for status in dict.fromkeys(row.status for row in rows)
    }
    verdicts = {
        level: sum(row.verdict == level for row in rows) for level in ("PASS", "WARN", "FAIL")
    }
    text = render_template("cohort.html", title=title, rows=rows, counts=counts, verdicts=verdicts)
    replace_text(out / "cohort.html", text)


def write_subject(job: Job) -> None:
    """Write ``sub-X.html`` from the sidecars of all of the subject's series that are done."""
    scans = [
        {
            "name": other.name,
            "record": record.fields,
            "figure": other.figure.relative_to(job.out).as_posix(),
            "sidecar": other.sidecar.relative_to(job.out).as_posix(),
            "report": other.report.relative_to(job.out).as_posix()
            if other.report.exists()
            else None,
        }
        for other in ledger.denoised_jobs(job.out / f"sub-{job.scan.subject}", job)
        if (record := read_run_record(other.sidecar)) is not None
    ]
    title = f"sub-{job.scan.subject}"
    replace_text(job.page, render_template("subject.html", title=title, scans=scans))
