"""The rows of a comparison and its tables: which figure stands in which column."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dwiser.compare.trial import Trial
from dwiser.evaluation.bins import FA_BINS
from dwiser.evaluation.heldout import BY_FA, DRAWS, paired_bootstrap
from dwiser.evaluation.kfold import CALLOSUM, WHITE
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.suite import Evaluation

SHELLS = "DWI shells"  # the mean over the shells that have the metric
LESIONS = "lesions"  # the least of them: a mean would hide one that was erased
TRUTH = {  # column → (metric, group) of the evaluation
    "nrmse": ("fidelity.nrmse", SHELLS),
    "b0_nrmse": ("fidelity.nrmse", "b0"),
    "bias": ("error.bias", SHELLS),
    "systematic": ("error.systematic", SHELLS),
    "random": ("error.random", SHELLS),
    "fa_rmse": ("fa.rmse", "all"),
    "fa_bias": ("fa.bias", "all"),
    "md_rmse": ("md.rmse", "all"),
    "v1_median": ("v1.angle.median", "all"),
    "crossings_found": ("crossing.found", "all"),
    "crossing_angle": ("crossing.angle", "all"),
    "edge_mm": ("edge.fwhm", SHELLS),
    "lesion_least_kept": ("lesion.kept", LESIONS),
}
RESIDUAL = {
    "residual_sd": ("residual.sd", SHELLS),
    "residual_structure": ("residual.anatomy.structure", "DWI"),
    "over_sigma": ("residual.energy.excess", SHELLS),
}
R_SQUARED = {  # of the raw volumes; "own": of the denoised ones, as on the poster
    f"r2_{model}{suffix}{where}": (f"kfold.{model}.{target}", region)
    for region, where in ((WHITE, ""), (CALLOSUM, "_cc"))
    for target, suffix in (("raw", ""), ("denoised", "_own"))
    for model in ("dti", "csd")
}
HELD_OUT, SEEDS, HALVES = ("heldout_dti", "heldout_sh"), "seeds_cv", "halves_fa"
HELD_OUT_BY_FA = {  # model → column → bin
    model: {f"heldout_{model}_{group.replace(' ', '_').lower()}": group for group in FA_BINS}
    for model in BY_FA
}
FIBRES = {  # metric → column → bin of the raw scan's FA
    metric: {f"csd_{metric}_{group.replace(' ', '_').lower()}": f"raw {group}" for group in FA_BINS}
    for metric in ("peaks", "density", "crossing", "turn")
}
RESCAN = {"rescan_fa": "fa", "rescan_md": "md", "rescan_signal": "signal"}
COST = ("seconds", "peak_mib", "trained")
TABLES: dict[str, tuple[str, ...]] = {  # as they are printed; the TSV has all in one
    "Against the truth": tuple(TRUTH),
    "Without truth: verdict, residual, held-out raw volumes (excess over the noise)": (
        "verdict", *RESIDUAL, *HELD_OUT,
    ),
    **{
        f"Held-out raw volumes by FA of the raw rest, {model} (excess over the noise)": tuple(some)
        for model, some in HELD_OUT_BY_FA.items()
    },
    **{
        f"Fibres by CSD, by FA of the raw scan: {words} (values, not errors)": tuple(FIBRES[metric])
        for metric, words in {
            "peaks": "mean number of peaks",
            "density": "apparent fibre density",
            "crossing": "degrees between the two largest peaks",
            "turn": "degrees from the raw scan's largest peak",
        }.items()
    },
    "R² of the raw volumes by cross-validation; own: of the denoised, a blur wins it": (
        tuple(R_SQUARED)
    ),
    "Made again: seeds, halves, rescan (sd over the mean; a blur betters them)": (
        SEEDS, HALVES, *RESCAN,
    ),
    "Cost": (*COST, "error"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Compared:
    """One row: a method, how it ran, and what was measured of it (None where it failed)."""

    label: str
    trial: Trial | None
    evaluation: Evaluation | None

    @property
    def failed(self) -> bool:
        return self.trial is not None and self.trial.error is not None


def table(rows: Sequence[Compared]) -> tuple[list[str], list[list[Any]]]:
    """Heads and cells of the comparison; None where a figure could not be had."""
    heads = ["method", *(head for some in TABLES.values() for head in some)]
    return heads, [[cells.get(head) for head in heads] for cells in map(_cells, rows)]


def absences(rows: Sequence[Compared]) -> list[str]:
    """One line for each reason: which values of which methods are missing because of it."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        missing = dict(row.trial.absent) if row.trial is not None else {}
        if row.evaluation is not None:
            missing |= {f"{a.metric} of {a.group}": a.reason for a in row.evaluation.absent
                        if a.metric.startswith("kfold")}  # fmt: skip
        for name, reason in missing.items():
            reasons.setdefault(reason, {}).setdefault(name, []).append(row.label)
    lines = []
    for reason, names in reasons.items():
        said = (f"{name} ({', '.join(labels)})" for name, labels in names.items())
        lines.append(f"{'; '.join(said)}: {reason}")
    return lines


def _cells(row: Compared) -> dict[str, Any]:
    evaluation, trial = row.evaluation, row.trial
    metrics = TRUTH | RESIDUAL | R_SQUARED
    cells: dict[str, Any] = {"method": row.label}
    if evaluation is not None:
        cells |= {head: _value(evaluation, *key) for head, key in metrics.items()}
        for metric, columns in FIBRES.items():
            cells |= {
                h: _value(evaluation, f"fibres.{metric}", group) for h, group in columns.items()
            }
        cells["verdict"] = evaluation.verdict.level if evaluation.verdict is not None else None
    if trial is not None:
        held = {name: score.excess for name, score in trial.held_out.items()}
        cells |= {head: held.get(head.removeprefix("heldout_")) for head in HELD_OUT}
        for model, columns in HELD_OUT_BY_FA.items():
            bins = trial.held_out_by_fa.get(model, {})
            cells |= {head: bins[group].excess for head, group in columns.items() if group in bins}
        cells[SEEDS] = trial.seeds.cv if trial.seeds is not None else None
        cells[HALVES] = trial.halves.cv if trial.halves is not None else None
        twice = trial.rescan
        cells |= {head: twice[name].cv for head, name in RESCAN.items() if name in twice}
        if trial.summary is not None:
            cost = trial.summary.cost
            cells |= {"seconds": cost.seconds, "peak_mib": cost.peak_mib}
            cells["trained"] = trial.variant.trained
        cells["error"] = trial.error
    return cells


def _value(evaluation: Evaluation, metric: str, group: str) -> float | None:
    values = [m.value for m in evaluation.metrics if m.metric == metric and _of(m.group, group)]
    if not values:
        return None
    return float(min(values) if group == LESIONS else np.mean(values))


def _of(group: str, wanted: str) -> bool:
    if wanted == LESIONS:
        return group.startswith("lesion ")
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


def pairs_by_fa(rows: Sequence[Compared], seed: int) -> list[dict[str, Any]]:
    """Every method against every one before it, in each bin of FA: a paired bootstrap."""
    trials = [r.trial for r in rows if r.trial is not None and r.trial.held_out_by_fa]
    pairs: list[dict[str, Any]] = []
    for i, other in enumerate(trials):
        for first in trials[:i]:
            for model, bins in other.held_out_by_fa.items():
                common = first.held_out_by_fa.get(model, {})
                for group in [g for g in bins if g in common]:
                    about = {"method": other.variant.label, "against": first.variant.label}
                    about |= {"model": model, "group": group}
                    try:
                        comparison = asdict(paired_bootstrap(bins[group], common[group], seed=seed))
                    except CannotMeasure as reason:
                        comparison = {"absent": str(reason)}
                    pairs.append({**about, "voxels": bins[group].voxels, **comparison})
    return pairs


def best_lines(rows: Sequence[Compared], pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The best method of each bin of FA against the next best, by ``pairs``; a line a bin.

    Of SH of order 4, or of DTI where the directions do not carry that.
    """
    trials = {r.label: r.trial for r in rows if r.trial is not None and r.trial.held_out_by_fa}
    models = [m for m in ("sh4", "dti") if all(m in t.held_out_by_fa for t in trials.values())]
    lines = []
    for group in FA_BINS if models and len(trials) > 1 else ():
        scores = {n: t.held_out_by_fa[models[0]].get(group) for n, t in trials.items()}
        order = sorted((s.excess, name) for name, s in scores.items() if s is not None)
        names = {name for _, name in order[:2]}
        for p in pairs:
            same = (p["model"], p["group"]) == (models[0], group)
            if same and {p["method"], p["against"]} == names and "absent" not in p:
                sign = 1 if p["method"] == order[0][1] else -1
                low, high = sorted((sign * p["low"], sign * p["high"]))
                lines.append(
                    f"{group} ({p['voxels']} voxels), {models[0]}: {order[0][1]} first, "
                    f"{order[1][1]} next: {sign * p['difference']:+.4g} ({low:+.4g} to {high:+.4g})"
                )
    return lines


def paired_lines(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the bootstrap found, a line a pair; pairs without one are left out."""
    least = 2 / DRAWS  # what so many draws can tell from zero
    return [
        f"{p['method']} against {p['against']}, {p['model']}: {p['difference']:+.4g} "
        f"({p['low']:+.4g} to {p['high']:+.4g}), p "
        + (f"= {p['p']:.2g}" if p["p"] > least else f"≤ {least:g}")
        for p in pairs
        if "absent" not in p
    ]
