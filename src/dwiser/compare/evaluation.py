"""Evaluate a denoised file with the files that are given, and write the results."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from dwiser import __version__
from dwiser.compare.references import References, read_region
from dwiser.defaults import B0_THRESHOLD, BValueScaling
from dwiser.errors import Code, InputError
from dwiser.evaluation.suite import Evaluation, evaluate
from dwiser.io import check_outputs, find_inputs, load, read_on_grid, sidecar
from dwiser.io.outputs import Writer, write_set
from dwiser.io.tsv import tsv_text
from dwiser.machine import find_machine, limited
from dwiser.run.capabilities import with_maps
from dwiser.seeds import check_seed

TSV_HEAD = ("metric", "group", "value", "unit", "reason")


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
    bundle: Path | None = None
    through: Path | None = None
    json: Path | None = None
    tsv: Path | None = None
    b0_threshold: float = B0_THRESHOLD
    bvalue_scaling: BValueScaling = "auto"
    seed: int = 0
    force: bool = False
    threads: int | None = None
    noise_volumes: str | None = None
    grad: Path | None = None
    b_delta: str | None = None

    def sources(self) -> dict[str, list[str]]:
        """Which files were asked to be read, by what they are."""
        paths = {n: getattr(self, n) for n in ("denoised", "raw", "truth", "mask", "sigma")}
        paths |= {n: getattr(self, n) for n in ("bval", "bvec", "grad", "lesions")}
        paths |= {n: getattr(self, n) for n in ("bundle", "through")}
        sources = {name: [str(path)] for name, path in paths.items() if path is not None}
        return sources | ({"tissues": list(map(str, self.tissues))} if self.tissues else {})


def evaluate_files(request: EvaluationRequest) -> Evaluation:
    """Measure all that the given files allow, and write JSON and TSV where they are asked for.

    Raises
    ------
    InputError
        For a file that cannot be read or lies on another grid than RAW, and for a JSON or TSV
        that could not be written; the message names the file.
    """
    check_seed(request.seed)
    machine = find_machine("cpu", request.threads)
    if request.through is not None and request.bundle is None:
        raise InputError(
            "--through belongs to a bundle: give its start with --bundle.",
            code=Code.ARGUMENT_MISSING,
        )
    outputs = [path for path in (request.json, request.tsv) if path is not None]
    references = References(request.truth, request.sigma, request.tissues, request.lesions)
    regions = {"start": request.bundle, "through": request.through}
    named = request.raw, request.bval, request.bvec, request.mask, request.grad
    read = [request.denoised, *references.files(), *regions.values()]
    inputs = [*find_inputs(*named).files, *(path for path in read if path is not None)]
    check_outputs(outputs, inputs, request.force)
    scan = load(
        *named, b0_threshold=request.b0_threshold, bvalue_scaling=request.bvalue_scaling,
        b_delta=request.b_delta,
    )  # fmt: skip
    scan, _ = with_maps(scan, noise_volumes=request.noise_volumes)
    reference_images = references.read(scan)
    bundle = {
        name: read_region(path, scan, f"bundle's {name} mask")
        for name, path in regions.items()
        if path is not None
    }
    denoised = read_on_grid(request.denoised, scan, "denoised image", series=True)
    with limited(machine):
        evaluation = evaluate(
            denoised,
            scan,
            **reference_images,
            crossing=True,
            bundle=bundle or None,
            seed=request.seed,
        )
    texts = {request.json: as_json(evaluation, request), request.tsv: as_tsv(evaluation)}
    writers: dict[Path, Writer] = {
        path: partial(_write_text, text=text) for path, text in texts.items() if path is not None
    }
    write_set(writers, force=request.force)
    return evaluation


def as_json(evaluation: Evaluation, request: EvaluationRequest) -> str:
    """All of it: the verdict, every number, every absence, and what was read."""
    record: dict[str, Any] = {
        "GeneratedBy": [{"Name": "dwiser", "Version": __version__}],
        "Date": datetime.now(UTC).isoformat(timespec="seconds"),
        "Sources": request.sources(),
        "Seed": request.seed,
        **evaluation.to_dict(),
    }
    return sidecar(record)


def as_tsv(evaluation: Evaluation) -> str:
    """A row a number; what is absent has the value n/a and its reason."""
    rows: list[tuple[str | None, ...]] = [
        (metric, group, repr(value), unit or None, None)
        for metric, group, value, unit in evaluation.rows()
    ]
    rows += [(a.metric, a.group, None, None, a.reason) for a in evaluation.absent]
    return tsv_text(TSV_HEAD, rows)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
