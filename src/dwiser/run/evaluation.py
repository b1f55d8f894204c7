"""Measure a denoised file with the files that are given, and write what was found."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dwiser import __version__
from dwiser.errors import InputError
from dwiser.evaluate.suite import Evaluation, evaluate
from dwiser.io import check_outputs, companion, find_inputs, load, read_on_grid, sidecar, stem
from dwiser.io.names import NIFTI_ENDINGS
from dwiser.io.outputs import Writer, write_set
from dwiser.machine import usable_cores
from dwiser.run.lesions import read_lesions
from dwiser.scan import B0_THRESHOLD, Scan

TISSUE_PREFIX = "f_"
MOST = 1.001  # of a volume fraction: interpolation may leave a little more than 1
TSV_HEAD = ("metric", "group", "value", "unit", "reason")
NOT_AVAILABLE = "n/a"  # BIDS's word in a TSV


@dataclass(frozen=True)
class EvaluationRequest:
    """One evaluation as a user asks for it; paths only, nothing loaded yet."""

    denoised: Path
    raw: Path
    truth: Path | None = None
    mask: Path | None = None
    sigma: Path | None = None
    bval: Path | None = None
    bvec: Path | None = None
    tissues: tuple[Path, ...] = ()
    lesions: Path | None = None
    json: Path | None = None
    tsv: Path | None = None
    b0_threshold: float = B0_THRESHOLD
    seed: int = 0
    force: bool = False

    def sources(self) -> dict[str, list[str]]:
        """Which files were asked to be read, by what they are."""
        some = {n: getattr(self, n) for n in ("denoised", "raw", "truth", "mask", "sigma")}
        some |= {n: getattr(self, n) for n in ("bval", "bvec", "lesions")}
        found = {name: [str(path)] for name, path in some.items() if path is not None}
        return found | ({"tissues": list(map(str, self.tissues))} if self.tissues else {})


def evaluate_files(request: EvaluationRequest) -> Evaluation:
    """Measure all that the given files allow, and write JSON and TSV where they are asked for.

    Raises
    ------
    InputError
        For a file that cannot be read or lies on another grid than RAW, and for a JSON or TSV
        that could not be written; the message names the file.
    """
    if request.seed < 0:
        raise InputError(f"--seed must not be negative: {request.seed} is.")
    outputs = [path for path in (request.json, request.tsv) if path is not None]
    tissues = tissue_files(request.tissues)
    read = [request.denoised, request.truth, request.sigma, request.lesions, *tissues.values()]
    if request.lesions is not None:
        read.append(companion(request.lesions, ".json"))
    named = request.raw, request.bval, request.bvec, request.mask
    inputs = [*find_inputs(*named).files, *(path for path in read if path is not None)]
    check_outputs(outputs, inputs, request.force)
    scan = load(*named, b0_threshold=request.b0_threshold)
    labels, volumes = read_lesions(request.lesions, scan)
    denoised = read_on_grid(request.denoised, scan, "denoised image", series=True)
    with threadpool_limits(usable_cores()):
        found = evaluate(
            denoised,
            scan,
            truth=_truth(request.truth, scan),
            sigma=_sigma(request.sigma, scan),
            tissues={name: _fraction(path, scan) for name, path in tissues.items()} or None,
            lesions=labels,
            lesion_volumes=volumes,
            crossing=True,
            seed=request.seed,
        )
    texts = {request.json: as_json(found, request), request.tsv: as_tsv(found)}
    writers: dict[Path, Writer] = {
        path: partial(_write_text, text=text) for path, text in texts.items() if path is not None
    }
    write_set(writers, force=request.force)
    return found


def tissue_files(given: Iterable[Path]) -> dict[str, Path]:
    """Tissue name → file: each file given, and every f_<tissue> image of each folder given.

    Raises
    ------
    InputError
        For a folder without such an image, and a tissue that comes twice.
    """
    found: dict[str, Path] = {}
    for path in given:
        some = [path]
        if path.is_dir():
            some = sorted(p for e in NIFTI_ENDINGS for p in path.glob(f"{TISSUE_PREFIX}*{e}"))
            if not some:
                raise InputError(f"{path}: it holds no f_<tissue>.nii.gz: name the files.")
        for file in some:
            name = stem(file).name.removeprefix(TISSUE_PREFIX)
            if name in found:
                raise InputError(f"{file}: tissue '{name}' was given before: give each once.")
            found[name] = file
    return found


def as_json(found: Evaluation, request: EvaluationRequest) -> str:
    """All of it: the verdict, every number, every absence, and what was read."""
    told: dict[str, Any] = {
        "GeneratedBy": [{"Name": "dwiser", "Version": __version__}],
        "Date": datetime.now(UTC).isoformat(timespec="seconds"),
        "Sources": request.sources(),
        "Seed": request.seed,
        **found.to_dict(),
    }
    return sidecar(told)


def as_tsv(found: Evaluation) -> str:
    """A row a number; what is absent has the value n/a and its reason."""
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(TSV_HEAD)
    for metric, group, value, unit in found.rows():
        table.writerow((metric, group, repr(value), unit or NOT_AVAILABLE, NOT_AVAILABLE))
    for a in found.absent:
        table.writerow((a.metric, a.group, NOT_AVAILABLE, NOT_AVAILABLE, a.reason))
    return text.getvalue()


def _truth(path: Path | None, scan: Scan) -> np.ndarray | None:
    if path is None:
        return None
    truth = read_on_grid(path, scan, "truth", series=True)
    if not np.isfinite(truth).all():
        raise InputError(f"{path}: the truth holds NaN or infinite values: replace them first.")
    return truth


def _sigma(path: Path | None, scan: Scan) -> np.ndarray | None:
    if path is None:
        return None
    sigma = read_on_grid(path, scan, "σ map")
    if (sigma < 0).any():
        raise InputError(f"{path}: the σ map holds negative values: give the noise's sd.")
    return sigma


def _fraction(path: Path, scan: Scan) -> np.ndarray:
    share = read_on_grid(path, scan, "tissue fraction")
    if (share < 0).any() or (share > MOST).any():
        raise InputError(f"{path}: a tissue's volume fraction is from 0 to 1: this is no such map.")
    return share


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
