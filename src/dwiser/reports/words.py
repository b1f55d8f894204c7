"""What the record says, in sentences."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dwiser.evaluation.groups import Group
from dwiser.methods.base import Denoised
from dwiser.methods.registry import DEFAULT_METHOD, METHODS
from dwiser.reports.material import Material
from dwiser.scan import Gradients

MEANING = {
    "PASS": "Nothing but noise was found in what was removed.",
    "WARN": "Look at the points below before you use the result.",
    "FAIL": "Do not use the result before you have understood the points below.",
}


def group_words(group: Group, gradients: Gradients) -> str:
    """A group of volumes as a reader would call it."""
    count = len(group.volumes)
    if group.is_b0:
        return "b0" if count == 1 else f"mean of {count} b0s"
    b = gradients.bvals[group.volumes].mean()
    if count == 1:
        return f"volume {group.volumes[0]}, b = {b:.0f} s/mm²"
    return f"mean of {count} DWIs, b = {b:.0f} s/mm²"


def why(material: Material) -> list[str]:
    """What ran and why, a sentence each; only what is on record is said."""
    result, record = material.result, material.result.record
    told = [*_method(record), *_ground(material), *_splitq(record), *_trained(record)]
    return [*told, *_volumes(record, len(material.scan.gradients)), *_uncertain(result)]


def _method(record: Mapping[str, Any]) -> Iterator[str]:
    name = str(record.get("Method", "?"))
    reason = "it is the default" if name == DEFAULT_METHOD else "it was asked for"
    line = f": {METHODS[name].line}" if name in METHODS else ""
    yield f"{name} ran, because {reason}{line}."


def _ground(material: Material) -> Iterator[str]:
    mask, sigma, scan = material.result.mask, material.result.sigma, material.scan
    if mask is not None:
        whose = "the mask that was given" if scan.mask is not None else "an Otsu mask, made wider"
        yield (
            f"It worked inside {whose} ({int(mask.sum()):,} voxels, {mask.mean():.0%} of the "
            "image); voxels outside came back unchanged."
        )
    if sigma is not None and mask is not None and (sigma > 0).any():
        whose = (
            "was given" if scan.sigma is not None
            else "was estimated from the scan (Marchenko–Pastur on small patches)"
        )  # fmt: skip
        yield f"The noise map {whose}: median σ in the mask {np.median(sigma[mask]):.4g}."


def _splitq(record: Mapping[str, Any]) -> Iterator[str]:
    training = record.get("training") or {}
    if training.get("learned"):
        yield (
            f"The weights of the local estimates were learned from held-out directions: "
            f"{training['splits']} splits, {training['voxels']:,} voxels, {record.get('rank')} "
            "components that the volumes share."
        )
    elif training.get("learned") is False:
        yield "Too few volumes share a subspace, so nothing was learned across directions."
    if "coils" in record:
        coils = record["coils"]
        yield (
            "The magnitude's noise was taken for Rician (one channel)."
            if coils == 1
            else f"The magnitude's noise was taken for nc-χ of {coils:g} channels."
        )
    if record.get("noise_floor") == "removed":
        yield (
            "The noise floor was removed: where the signal is weak, the denoised image is "
            "darker than the mean of the noisy one."
        )
    elif record.get("noise_floor") == "kept":
        yield "The noise floor was kept, as asked."
    if record.get("given_back_mean"):
        share = record["given_back_mean"]
        yield f"Of the residual, {share:.2%} was no noise by its size or place and was given back."


def _trained(record: Mapping[str, Any]) -> Iterator[str]:
    training = record.get("training") or {}
    if "iterations" in training and "pixels" in training:
        size = f" of {training['parameters']:,} weights" if "parameters" in training else ""
        yield (
            f"A network{size} was trained on this scan alone: {training['iterations']:,} "
            f"iterations, {training['pixels']:,} pixels seen, {training.get('seconds', 0):.0f} s."
        )
    sampling = record.get("sampling") or {}
    if "mean_evaluations" in sampling:
        yield f"A slice took {sampling['mean_evaluations']:g} evaluations of it on average."


def _volumes(record: Mapping[str, Any], count: int) -> Iterator[str]:
    if "volumes_denoised" in record:
        yield f"{record['volumes_denoised']} of {count} volumes were denoised."
    for reason, volumes in by_reason(record.get("volumes_passed_through") or {}).items():
        yield f"Passed through unchanged, {reason}: volume {listed(volumes)}."
    for reason, volumes in by_reason(record.get("volumes_on_their_own") or {}).items():
        yield f"Denoised on their own, {reason}: volume {listed(volumes)}."


def _uncertain(result: Denoised) -> Iterator[str]:
    if result.uncertainty is None:
        yield "No uncertainty map was asked for, or the method has none."


def by_reason(volumes: Mapping[str, str]) -> dict[str, list[int]]:
    """{volume: why} turned round: why → volumes."""
    found: dict[str, list[int]] = {}
    for volume, reason in volumes.items():
        found.setdefault(reason, []).append(int(volume))
    return found


def listed(volumes: list[int]) -> str:
    """Numbers with runs drawn together: 0, 4–9, 12."""
    runs: list[list[int]] = []
    for v in sorted(volumes):
        if runs and v == runs[-1][-1] + 1:
            runs[-1].append(v)
        else:
            runs.append([v])
    return ", ".join(f"{r[0]}–{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)


def strength(correlation: float | None) -> str:
    """A correlation in a word."""
    if correlation is None:
        return "–"
    size = abs(correlation)
    return "none" if size < 0.05 else "weak" if size < 0.15 else "clear" if size < 0.3 else "strong"
