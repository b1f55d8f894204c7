"""All metrics that the inputs allow, in one call; the others are absent, with the reason."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer

from dwiser.errors import Code, InputError
from dwiser.evaluation import sections
from dwiser.evaluation.inputs import ALL, EvaluationInputs
from dwiser.evaluation.records import Absent, CannotMeasure, Metric, Row
from dwiser.evaluation.residual_findings import residual_findings, residual_of, residual_rows
from dwiser.evaluation.sections import collect
from dwiser.evaluation.tensor import TensorMaps, fit_tensor
from dwiser.evaluation.verdict import Verdict, judge
from dwiser.prepare.mask import object_mask
from dwiser.prepare.measured_scan import (
    divided,
    measured_scan,
    replace_quietly,
    selected,
    take,
)
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.volumes import volume_roles
from dwiser.scan import Scan


@dataclass(frozen=True)
class Evaluation:
    """All that could be measured, what could not and why, and the verdict on the residual.

    ``inputs`` says where the mask and the σ map came from: "given" or "estimated".
    """

    metrics: tuple[Metric, ...]
    absent: tuple[Absent, ...]
    verdict: Verdict | None
    inputs: dict[str, str] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str, float, str]]:
        """(metric, group, value, unit), a row a number."""
        return [(m.metric, m.group, m.value, m.unit) for m in self.metrics]

    def value(self, metric: str, group: str = ALL) -> float:
        """One number; KeyError, with the reason where there is one, if it is absent."""
        for m in self.metrics:
            if (m.metric, m.group) == (metric, group):
                return m.value
        why = [a.reason for a in self.absent if metric.startswith(a.metric)]
        raise KeyError(f"{metric} of {group}: {why[0] if why else 'no such metric'}")

    def extended(self, rows: Iterable[Row]) -> "Evaluation":
        """The same with further metrics, measured or absent."""
        more = list(rows)
        return replace(
            self,
            metrics=(*self.metrics, *(r for r in more if isinstance(r, Metric))),
            absent=(*self.absent, *(r for r in more if isinstance(r, Absent))),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "verdict": asdict(self.verdict) if self.verdict else None,
            "inputs": dict(self.inputs),
            "metrics": [asdict(m) for m in self.metrics],
            "absent": [asdict(a) for a in self.absent],
        }


def evaluate(
    denoised: Float[np.ndarray, "_ _ _ _"],
    raw: Scan,
    *,
    truth: Float[np.ndarray, "_ _ _ _"] | None = None,
    mask: Bool[np.ndarray, "_ _ _"] | None = None,
    sigma: Float[np.ndarray, "_ _ _"] | None = None,
    tissues: Mapping[str, np.ndarray] | None = None,
    lesions: Bool[np.ndarray, "_ _ _"] | Integer[np.ndarray, "_ _ _"] | None = None,
    lesion_volumes: Mapping[int, Sequence[int]] | None = None,
    lesion_changes: Mapping[int, Sequence[float]] | None = None,
    crossing: bool = False,
    bundle: Mapping[str, Bool[np.ndarray, "_ _ _"]] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measure a denoised scan against its raw one, and against the truth where it is known.

    Parameters
    ----------
    denoised : (X, Y, Z, V), the raw scan's units and volume order.
    raw : the scan that was denoised; its mask and σ map are used by default.
    truth : the series without noise.
    mask, sigma : (X, Y, Z), estimated from the raw scan by default (Otsu; Marchenko-Pastur).
    tissues : name to (X, Y, Z) volume fraction.
    lesions : (X, Y, Z) labels; ``lesion_volumes`` says in which volumes each shows (where
        its contrast is clear, by default), ``lesion_changes`` by how much it changed them
        (its contrast to its surround, by default).
    crossing : also the crossing angles, and CSD by bins of the true FA and of the raw FA, some
        seconds more.
    bundle : "start" and, if wanted, "through": masks between which a bundle is tracked for its
        coherency, some minutes more; without them nothing is said of bundles.
    seed : of the subsamples.

    Raises
    ------
    InputError
        For inputs that are not on the raw scan's grid, an empty mask, NaN in the denoised image.
    """
    _on_grid(raw.shape, {"denoised image": denoised, "truth": truth})
    maps = {"mask": mask, "σ map": sigma, "lesion map": lesions}
    regions = {f"bundle's {name}": where for name, where in (bundle or {}).items()}
    _on_grid(raw.shape[:3], {**maps, **(tissues or {}), **regions})
    source = {
        "mask": "estimated" if mask is None and raw.mask is None else "given",
        "sigma": "estimated" if sigma is None and raw.sigma is None else "given",
    }
    roles = volume_roles(raw)
    measured = measured_scan(raw, roles)
    where = object_mask(measured) if mask is None else mask
    if not where.any():
        raise InputError(
            "The mask is empty: give one that covers the object.", code=Code.MASK_EMPTY
        )
    if not np.isfinite(denoised[where]).all():
        raise InputError(
            "The denoised image holds NaN or infinite values in the mask.",
            code=Code.IMAGE_NOT_FINITE,
        )
    noise = sigma_map(measured, where) if sigma is None else sigma
    volumes = roles.complete
    if lesion_volumes is not None:
        lesion_volumes, lesion_changes = _placed(lesion_volumes, lesion_changes, volumes.tolist())
    inputs = EvaluationInputs(
        denoised if roles.plain else take(denoised, volumes),
        raw if roles.plain else selected(raw, volumes),
        where,
        noise,
        truth if truth is None or roles.plain else take(truth, volumes),
        tissues,
        lesions,
        lesion_volumes,
        lesion_changes,
        bundle,
        seed,
        measured.coils,
    )
    rows, verdict = _measure(inputs, crossing, roles.noise_ratios(volumes))
    rows += [Absent("volumes", ALL, sentence) for sentence in roles.sentences]
    return Evaluation(
        tuple(r for r in rows if isinstance(r, Metric)),
        tuple(dict.fromkeys(r for r in rows if isinstance(r, Absent))),
        verdict,
        source,
    )


def _placed(
    shown: Mapping[int, Sequence[int]],
    changes: Mapping[int, Sequence[float]] | None,
    volumes: list[int],
) -> tuple[dict[int, list[int]], dict[int, list[float]] | None]:
    """In which of ``volumes`` each lesion shows, counted among these, and by how much."""
    places = {v: place for place, v in enumerate(volumes)}
    where = {label: [k for k, v in enumerate(of) if v in places] for label, of in shown.items()}
    placed = {label: [places[shown[label][k]] for k in ks] for label, ks in where.items()}
    if changes is None:
        return placed, None
    return placed, {label: [of[k] for k in where[label]] for label, of in changes.items()}


def _measure(
    inputs: EvaluationInputs, crossing: bool, ratios: Mapping[int, float]
) -> tuple[list[Row], Verdict | None]:
    tensor = _true_tensor(inputs)
    rows = collect("fidelity", sections.fidelity_rows(inputs))
    rows += collect("tensor", sections.tensor_rows(inputs, tensor))
    if crossing:
        rows += collect("crossing", sections.crossing_rows(inputs))
        rows += collect("csd", sections.fibre_rows(inputs, tensor))
        rows += collect("fibres", sections.fibre_value_rows(inputs))
    rows += collect("edge", sections.edge_rows(inputs))
    rows += collect("lesion", sections.lesion_rows(inputs))
    rows += collect("corpus_callosum", sections.snr_rows(inputs, tensor))
    if inputs.bundle is not None:
        rows += collect("bundle", sections.bundle_rows(inputs))
    if ratios:  # what was removed is told in units of each volume's own noise
        raw = replace_quietly(inputs.raw, data=divided(inputs.raw.data, ratios))
        inputs = replace(inputs, raw=raw, denoised=divided(inputs.denoised, ratios))
    try:
        findings = residual_findings(inputs, residual_of(inputs))
    except CannotMeasure as why:
        return [*rows, Absent("residual", ALL, str(why))], None
    return rows + list(residual_rows(findings)), judge(findings)


def _true_tensor(inputs: EvaluationInputs) -> TensorMaps | None:
    try:
        return fit_tensor(inputs.true(), inputs.raw.gradients, inputs.mask)
    except CannotMeasure:
        return None


def _on_grid(shape: tuple[int, ...], images: Mapping[str, np.ndarray | None]) -> None:
    for name, image in images.items():
        if image is not None and image.shape != shape:
            raise InputError(
                f"The {name} has shape {image.shape}, the raw scan {shape}: "
                f"give a {name} on the raw scan's grid.",
                code=Code.GRID_SHAPE,
            )
