"""Everything that the given inputs allow, in one go; what they do not allow, with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.errors import InputError
from dwiser.evaluate.records import Absent, Metric, Row
from dwiser.evaluate.tensor import (
    fit_tensor,
)
from dwiser.evaluate.verdict import Verdict, judge
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.scan import Scan

NO_TRUTH = "no truth was given"
ALL = "all"


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
        why = [a.reason for a in self.absent if a.group == group and metric.startswith(a.metric)]
        raise KeyError(f"{metric} of {group}: {why[0] if why else 'unknown'}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "verdict": asdict(self.verdict) if self.verdict else None,
            "inputs": dict(self.inputs),
            "metrics": [asdict(m) for m in self.metrics],
            "absent": [asdict(a) for a in self.absent],
        }


@dataclass(frozen=True, eq=False)
class _Given:
    """The inputs, checked and completed."""

    denoised: Float[np.ndarray, "x y z v"]
    raw: Scan
    mask: Bool[np.ndarray, "x y z"]
    sigma: Float[np.ndarray, "x y z"]
    truth: Float[np.ndarray, "x y z v"] | None
    tissues: Mapping[str, np.ndarray] | None
    lesions: np.ndarray | None
    lesion_volumes: Mapping[int, Sequence[int]] | None
    seed: int


def evaluate(
    denoised: Float[np.ndarray, "x y z v"],
    raw: Scan,
    *,
    truth: Float[np.ndarray, "x y z v"] | None = None,
    mask: Bool[np.ndarray, "x y z"] | None = None,
    sigma: Float[np.ndarray, "x y z"] | None = None,
    tissues: Mapping[str, Float[np.ndarray, "x y z"]] | None = None,
    lesions: Int[np.ndarray, "x y z"] | Bool[np.ndarray, "x y z"] | None = None,
    lesion_volumes: Mapping[int, Sequence[int]] | None = None,
    crossing: bool = False,
    seed: int = 0,
) -> Evaluation:
    """Measure a denoised scan against its raw one, and against the truth where it is known.

    Parameters
    ----------
    denoised : (X, Y, Z, V), the raw scan's units and volume order.
    raw : the scan that was denoised; its mask and σ map are used if none are given.
    truth : the series without noise. mask, sigma: estimated from the raw scan by default.
    tissues : name to volume fraction. lesions: label map, ``lesion_volumes`` says in which
        volumes each label shows (all where it shows clearly, by default).
    crossing : also the crossing angles, some seconds more.

    Raises
    ------
    InputError
        For inputs that are not on the raw scan's grid.
    """
    _same_grid(raw, {"denoised image": denoised, "truth": truth}, raw.shape)
    others = {"mask": mask, "σ map": sigma, "lesion map": lesions, **(tissues or {})}
    _same_grid(raw, others, raw.shape[:3])
    source = {
        "mask": "estimated" if mask is None and raw.mask is None else "given",
        "sigma": "estimated" if sigma is None and raw.sigma is None else "given",
    }
    mask = object_mask(raw) if mask is None else mask
    if not mask.any():
        raise InputError("The mask is empty: give one that covers the object.")
    sigma = sigma_map(raw, mask) if sigma is None else sigma
    given = _Given(denoised, raw, mask, sigma, truth, tissues, lesions, lesion_volumes, seed)
    true_tensor, reasons = _try(lambda: fit_tensor(_needed(given), raw.gradients, mask))
    rows: list[Row] = list(reasons)
    rows += _run("fidelity", _fidelity, given)
    rows += _run("tensor", _tensor, given, true_tensor)
    if crossing:
        rows += _run("crossing", _crossing, given)
    rows += _run("edges", _edges, given)
    rows += _run("lesion", _lesions, given)
    found, more = _residual_rows(given)
    rows += more
    rows += _run("corpus_callosum", _snr, given, true_tensor)
    metrics = tuple(r for r in rows if isinstance(r, Metric))
    absent = tuple(dict.fromkeys(r for r in rows if isinstance(r, Absent)))
    return Evaluation(metrics, absent, judge(found) if found else None, source)
