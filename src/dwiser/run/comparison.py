"""Several methods on one scan: denoised, measured, tabled and drawn; a failing one is told of."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dwiser.errors import InputError
from dwiser.evaluate.heldout import paired_bootstrap
from dwiser.evaluate.records import CannotMeasure
from dwiser.evaluate.suite import Evaluation, evaluate
from dwiser.io import load, read_on_grid, sidecar
from dwiser.io.outputs import Writer, write_set
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.report.figures import middle_dwi, save_montage
from dwiser.report.side_by_side import side_by_side
from dwiser.run.corridor import Request, named_inputs
from dwiser.run.trial import Trial, TrialPlan, noisy_trial, tried
from dwiser.run.variants import Variant
from dwiser.scan import Scan

FILES = ("comparison.json", "comparison.tsv", "montage.png")
RAW = "noisy"
SHELLS = "DWI shells"  # the mean over the shells that have the metric
HEADLINES = {  # column → (metric, group) of the evaluation
    "nrmse": ("fidelity.nrmse", SHELLS),
    "b0_nrmse": ("fidelity.nrmse", "b0"),
    "bias": ("error.bias", SHELLS),
    "fa_rmse": ("fa.rmse", "all"),
    "md_rmse": ("md.rmse", "all"),
    "v1_median": ("v1.angle.median", "all"),
    "residual_sd": ("residual.sd", SHELLS),
}


@dataclass(frozen=True, eq=False)
class Compared:
    """One row: a method, how it ran, and what was measured of it (None where it failed)."""

    label: str
    trial: Trial | None
    evaluation: Evaluation | None

    @property
    def failed(self) -> bool:
        return self.trial is not None and self.trial.error is not None


def compare_files(
    request: Request,
    variants: Sequence[Variant],
    plan: TrialPlan,
    *,
    truth: Path | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> list[Compared]:
    """Run every variant on ``request.dwi`` into the folder ``request.out``.

    Each has a process of its own and leaves its image there; ``comparison.json``, ``.tsv`` and
    ``montage.png`` come last. ``told`` gets a line when a method begins and ends.
    """
    folder = _folder(request.out, variants, request.force)
    scan = load(*named_inputs(request), b0_threshold=request.b0_threshold)
    true = None if truth is None else read_on_grid(truth, scan, "truth", series=True)
    mask = object_mask(scan)
    known = replace(scan, mask=mask, sigma=sigma_map(scan, mask))
    rows = [
        Compared(RAW, noisy_trial(known, request, plan), evaluate(scan.data, known, truth=true))
    ]
    images: dict[str, np.ndarray] = {}
    for variant in variants:
        out = folder / f"{variant.file_name}.nii.gz"
        asked = replace(
            request, out=out, method=variant.method, preset=variant.preset,
            settings=variant.settings, force=True,
        )  # fmt: skip
        told(f"{variant.label}: running")
        trial = tried(variant, asked, plan)
        if trial.error is not None:
            told(f"{variant.label}: failed: {trial.error}")
            rows.append(Compared(variant.label, trial, None))
            continue
        images[variant.label] = read_on_grid(out, scan, "denoised image", series=True)
        rows.append(
            Compared(variant.label, trial, evaluate(images[variant.label], known, truth=true))
        )
        told(f"{variant.label}: {trial.record['WallTimeSeconds']:.0f} s")
    _write(folder, rows, known, images, true, request, plan)
    return rows


def _folder(folder: Path, variants: Sequence[Variant], force: bool) -> Path:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: this is a file: give the name of a folder.")
    names = [*FILES, *(f"{v.file_name}.nii.gz" for v in variants)]
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise InputError(f"{folder / there[0]}: it exists already: name another folder or --force.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: it could not be made a folder: choose another.") from error
    return folder


def table(rows: Sequence[Compared]) -> tuple[list[str], list[list[Any]]]:
    """Heads and cells of the comparison; None where a figure could not be had."""
    heads = ["method", "verdict", *HEADLINES, "heldout_dti", "heldout_sh", "seeds_cv"]
    heads += ["seconds", "peak_mib", "error"]
    return heads, [_cells(row) for row in rows]


def _cells(row: Compared) -> list[Any]:
    found, trial = row.evaluation, row.trial
    verdict = found.verdict.level if found is not None and found.verdict is not None else None
    cells: list[Any] = [row.label, verdict, *(_value(found, *key) for key in HEADLINES.values())]
    held = trial.held_out if trial is not None else {}
    cells += [held[name].excess if name in held else None for name in ("dti", "sh")]
    cells.append(trial.seeds.cv if trial is not None and trial.seeds is not None else None)
    record: Mapping[str, Any] = trial.record if trial is not None else {}
    cells += [record.get("WallTimeSeconds"), record.get("PeakMemoryMiB")]
    return [*cells, trial.error if trial is not None else None]


def _value(found: Evaluation | None, metric: str, group: str) -> float | None:
    if found is None:
        return None
    values = [m.value for m in found.metrics if m.metric == metric and _of(m.group, group)]
    return float(np.mean(values)) if values else None


def _of(group: str, wanted: str) -> bool:
    if wanted != SHELLS:
        return group == wanted
    return group[:1] == "b" and group[1:].isdigit() and group != "b0"


def against_the_first(rows: Sequence[Compared], seed: int) -> list[dict[str, Any]]:
    """Held-out excess of each method against the first that has one: a paired bootstrap."""
    trials = [r.trial for r in rows if r.trial is not None and r.trial.held_out]
    pairs = []
    for other in trials[1:]:
        for name in sorted(set(trials[0].held_out) & set(other.held_out)):
            try:
                paired = paired_bootstrap(other.held_out[name], trials[0].held_out[name], seed=seed)
            except CannotMeasure as reason:
                pairs.append({"method": other.variant.label, "model": name, "absent": str(reason)})
                continue
            pairs.append(
                {"method": other.variant.label, "against": trials[0].variant.label}
                | {"model": name, **asdict(paired)}
            )
    return pairs


def _write(
    folder: Path,
    rows: Sequence[Compared],
    scan: Scan,
    images: Mapping[str, np.ndarray],
    truth: np.ndarray | None,
    request: Request,
    plan: TrialPlan,
) -> None:
    assert scan.mask is not None
    assert scan.sigma is not None
    figure = side_by_side(
        scan, images, mask=scan.mask, sigma=scan.sigma,
        volume=middle_dwi(scan.gradients), truth=truth,
    )  # fmt: skip
    heads, cells = table(rows)
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([["n/a" if c is None else c for c in row] for row in cells])
    record = {
        "Scan": str(request.dwi),
        "Plan": asdict(plan),
        "Methods": [_record(row) for row in rows],
        "HeldOutPaired": against_the_first(rows, plan.seed),
    }
    json_text, tsv_text = sidecar(record), text.getvalue()
    writers: dict[Path, Writer] = {
        folder / FILES[0]: lambda path: _text(path, json_text),
        folder / FILES[1]: lambda path: _text(path, tsv_text),
        folder / FILES[2]: partial(save_montage, figure=figure),
    }
    write_set(writers, force=True)


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _record(row: Compared) -> dict[str, Any]:
    trial = row.trial
    found = row.evaluation.to_dict() if row.evaluation is not None else None
    if trial is None:
        return {"method": row.label, "evaluation": found}
    return {
        "method": row.label,
        "error": trial.error,
        "record": trial.record,
        "held_out": {name: asdict(score) for name, score in trial.held_out.items()},
        "seeds": asdict(trial.seeds) if trial.seeds is not None else None,
        "halves": asdict(trial.halves) if trial.halves is not None else None,
        "absent": trial.absent,
        "evaluation": found,
    }
