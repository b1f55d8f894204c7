"""Several methods on one scan: denoised, measured, tabled and drawn; a failure is reported."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dwiser.compare.references import References
from dwiser.compare.scoreboard import Compared, against_the_first, pairs_by_fa, table
from dwiser.compare.trial import TrialPlan, noisy_trial, tried
from dwiser.compare.variants import Variant
from dwiser.errors import Code, InputError
from dwiser.evaluation.groups import tissue_masks
from dwiser.evaluation.kfold import kfold_rows, regions
from dwiser.evaluation.records import Absent
from dwiser.evaluation.suite import Evaluation, evaluate
from dwiser.io import load, read_on_grid, sidecar
from dwiser.io.outputs import Writer, created_folder, write_set
from dwiser.io.tsv import tsv_text
from dwiser.methods.registry import build
from dwiser.prepare.mask import object_mask
from dwiser.prepare.measured_scan import measured_scan, selected, take
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.volumes import volume_roles
from dwiser.reports.figures import middle_dwi, save_montage
from dwiser.reports.side_by_side import side_by_side
from dwiser.run.capabilities import with_maps
from dwiser.run.request import Request, named_inputs, table_options
from dwiser.scan import Scan

FILES = ("comparison.json", "comparison.tsv", "montage.png")
RAW = "noisy"
NOTHING = References()


def compare_files(
    request: Request,
    variants: Sequence[Variant],
    plan: TrialPlan,
    *,
    references: References = NOTHING,
    print_line: Callable[[str], None] = lambda line: None,
) -> list[Compared]:
    """Run every variant on ``request.dwi`` into the folder ``request.out``.

    Each has a process of its own and writes its image there; ``comparison.json``, ``.tsv`` and
    ``montage.png`` come last. ``print_line`` gets a line when a method begins and ends. A method
    gets the request's σ map and phase if it can use them; ``references`` are for measuring only.

    Raises
    ------
    InputError
        For files that cannot be read or lie on another grid, and a folder that is in use.
    """
    if plan.folds < 0 or plan.folds == 1:
        raise InputError(
            f"--folds must be 0 (none) or at least 2, not {plan.folds}.", code=Code.ARGUMENT_VALUE
        )
    folder = _free(request.out, variants, request.force)
    scan = load(*named_inputs(request), **table_options(request))
    if plan.rescan is not None:
        plan.rescan.read(scan, **table_options(request))  # refused now, not after the first method
    scan, _ = with_maps(scan, noise_volumes=request.noise_volumes)
    with_maps(scan, noise_map=request.noise_map, phase=request.phase)
    reference_images = references.read(scan)
    with created_folder(folder):  # only now: what is refused above leaves nothing behind
        roles = volume_roles(scan)
        measurements = measured_scan(scan, roles)
        mask = object_mask(measurements)
        sigma = reference_images["sigma"]
        sigma = sigma if sigma is not None else sigma_map(measurements, mask)
        known_scan = replace(scan, mask=mask, sigma=sigma)
        measure = measuring(known_scan, reference_images, plan)
        noisy = noisy_trial(selected(known_scan, roles.complete), request, plan)
        rows = [Compared(RAW, noisy, measure(scan.data))]
        images: dict[str, np.ndarray] = {}
        for variant in variants:
            out = folder / f"{variant.file_name}.nii.gz"
            variant_request = replace(
                request, out=out, method=variant.method, preset=variant.preset,
                settings=variant.settings, force=True,
            )  # fmt: skip
            variant_request, unused = _usable(variant_request, variant)
            print_line(f"{variant.label}: running{unused}")
            trial = tried(variant, variant_request, plan)
            if trial.error is not None:
                print_line(f"{variant.label}: failed: {trial.error}")
                rows.append(Compared(variant.label, trial, None))
                continue
            images[variant.label] = read_on_grid(out, scan, "denoised image", series=True)
            rows.append(Compared(variant.label, trial, measure(images[variant.label])))
            if trial.summary is not None:
                print_line(f"{variant.label}: {trial.summary.cost.seconds:.0f} s")
        _write(
            folder, rows, known_scan, images, reference_images["truth"], request, references, plan
        )
    return rows


def _usable(request: Request, variant: Variant) -> tuple[Request, str]:
    """The request without the maps that the method has no use for, and which these are."""
    can = build(variant.method, variant.preset, variant.settings).capabilities
    uses = {"noise_map": can.takes_noise_map, "phase": can.takes_phase}
    unused = [
        name for name, used in uses.items() if not used and getattr(request, name) is not None
    ]
    words = " and ".join(name.replace("_", " ") for name in unused)
    without: dict[str, Any] = dict.fromkeys(unused)
    return replace(request, **without), f" (it has no use for the {words})" * bool(unused)


def measuring(
    scan: Scan, reference_images: Mapping[str, Any], plan: TrialPlan
) -> Callable[[np.ndarray], Evaluation]:
    """All that can be measured on one image: the evaluation with the references, and k-fold R²."""
    assert scan.mask is not None
    where: dict[str, np.ndarray] = {}
    absent = [Absent("kfold", "all", "no folds were asked for")]
    volumes = volume_roles(scan).complete
    part = selected(scan, volumes)
    if plan.folds:
        white = tissue_masks(reference_images["tissues"], scan.mask).get("wm")
        where, absent = regions(part, scan.mask, white)

    def measure(image: np.ndarray) -> Evaluation:
        evaluation = evaluate(image, scan, **reference_images, crossing=True, seed=plan.seed)
        folds = take(image, volumes), part, where
        rows = [*kfold_rows(*folds, count=plan.folds, seed=plan.seed), *absent]
        return evaluation.extended(rows)

    return measure


def _free(folder: Path, variants: Sequence[Variant], force: bool) -> Path:
    """The folder, if nothing in it would be written over."""
    if folder.exists() and not folder.is_dir():
        raise InputError(
            f"{folder}: this is a file: give the name of a folder.", code=Code.FILE_KIND
        )
    names = [*FILES, *(f"{v.file_name}.nii.gz" for v in variants)]
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise InputError(
            f"{folder / there[0]}: it exists already: name another folder or --force.",
            code=Code.OUTPUT_EXISTS,
        )
    return folder


def _write(
    folder: Path,
    rows: Sequence[Compared],
    scan: Scan,
    images: Mapping[str, np.ndarray],
    truth: np.ndarray | None,
    request: Request,
    references: References,
    plan: TrialPlan,
) -> None:
    assert scan.mask is not None
    assert scan.sigma is not None
    figure = side_by_side(
        scan, images, mask=scan.mask, sigma=scan.sigma,
        volume=middle_dwi(scan.gradients), truth=truth,
    )  # fmt: skip
    heads, cells = table(rows)
    record = {
        "Scan": str(request.dwi),
        "Plan": plan,
        "References": references,
        "Methods": [_record(row) for row in rows],
        "HeldOutPaired": against_the_first(rows, plan.seed),
        "HeldOutByFaPaired": pairs_by_fa(rows, plan.seed),
    }
    record_text, table_text = sidecar(record), tsv_text(heads, cells)
    writers: dict[Path, Writer] = {
        folder / FILES[0]: lambda path: _text(path, record_text),
        folder / FILES[1]: lambda path: _text(path, table_text),
        folder / FILES[2]: partial(save_montage, figure=figure),
    }
    write_set(writers, force=True)


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _record(row: Compared) -> dict[str, Any]:
    trial = row.trial
    evaluation = row.evaluation.to_dict() if row.evaluation is not None else None
    if trial is None:
        return {"method": row.label, "evaluation": evaluation}
    return {
        "method": row.label,
        "error": trial.error,
        "record": {} if trial.summary is None else trial.summary.record,
        "held_out": {name: asdict(score) for name, score in trial.held_out.items()},
        "held_out_by_fa": {
            model: {group: asdict(score) for group, score in bins.items()}
            for model, bins in trial.held_out_by_fa.items()
        },
        "seeds": asdict(trial.seeds) if trial.seeds is not None else None,
        "halves": asdict(trial.halves) if trial.halves is not None else None,
        "rescan": {name: asdict(score) for name, score in trial.rescan.items()},
        "absent": trial.absent,
        "evaluation": evaluation,
    }
