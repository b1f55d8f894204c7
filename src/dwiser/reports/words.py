"""The record in sentences."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from dwiser.b_delta import shape_name
from dwiser.defaults import DEFAULT_METHOD
from dwiser.evaluation.groups import Group
from dwiser.gradient_lengths import volume_runs
from dwiser.methods.base import Denoised
from dwiser.methods.registry import METHODS
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
    also = contrast_words(group, gradients)
    if group.is_b0:
        return ("b0" if count == 1 else f"mean of {count} b0s") + also
    b = gradients.bvals[group.volumes].mean()
    if count == 1:
        return f"volume {gradients.number(group.volumes[0])}, b = {b:.0f} s/mm²{also}"
    return f"mean of {count} DWIs, b = {b:.0f} s/mm²{also}"


def contrast_words(group: Group, gradients: Gradients) -> str:
    """ ", planar, echo 2": the shape and the echo of a group, where the table knows them."""
    words = []
    if gradients.b_delta is not None and not group.is_b0:
        words.append(shape_name(float(gradients.shapes[group.volumes].mean())))
    if gradients.echoes is not None:
        words.append(f"echo {gradients.echo_numbers[group.volumes[0]]}")
    return "".join(f", {word}" for word in words)


def why(material: Material) -> list[str]:
    """What ran and why, in sentences; only what the record holds is said."""
    result, record = material.result, material.result.record
    sentences = [*_method(record), *_mask_and_noise(material), *_splitq(result), *_trained(record)]
    return [*sentences, *_roles(record), *_volumes(result), *_uncertain(result)]


def _roles(record: Mapping[str, Any]) -> Iterator[str]:
    """Volumes that are no measurement of their own."""
    yield from record.get("VolumeNotes", ())


def _method(record: Mapping[str, Any]) -> Iterator[str]:
    name = str(record.get("Method", "?"))
    reason = "it is the default" if name == DEFAULT_METHOD else "it was asked for"
    line = f": {METHODS[name].line}" if name in METHODS else ""
    yield f"{name} ran, because {reason}{line}."


def _mask_and_noise(material: Material) -> Iterator[str]:
    mask, sigma, scan = material.result.mask, material.result.sigma, material.scan
    if mask is not None:
        source = "the mask that was given" if scan.mask is not None else "a dilated Otsu mask"
        yield (
            f"It worked inside {source} ({int(mask.sum()):,} voxels, {mask.mean():.0%} of the "
            "image); voxels outside are unchanged."
        )
    if sigma is not None and mask is not None and (sigma > 0).any():
        source = (
            "was given" if scan.sigma is not None
            else "was estimated from the scan (Marchenko–Pastur on small patches)"
        )  # fmt: skip
        yield f"The noise map {source}: median σ in the mask {np.median(sigma[mask]):.4g}."


def series_name(path: PurePath) -> str:
    """A series by its BIDS entities, else by its folder and name; endings left out."""
    name = re.sub(r"\.(nii|mif|mih|nrrd|nhdr|hdr|img)(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    if name.startswith("sub-"):
        return name.removesuffix("_dwi").replace("_", " ")
    return f"{path.parent.name}/{name}" if path.parent.name else name


def _splitq(result: Denoised) -> Iterator[str]:
    record = result.record
    training = record.get("training") or {}
    if "no_subspace" in record:
        yield (
            "All volumes were denoised together, without a shared subspace: "
            f"{record['no_subspace']}."
        )
    if "by" in training:
        yield (
            f"The weights of the local estimates were learned by {training['by']}, on "
            f"{training['voxels']:,} voxels."
        )
    elif training.get("learned"):
        yield (
            f"The weights of the local estimates were learned from held-out directions: "
            f"{training['splits']} splits, {training['voxels']:,} voxels, {record.get('rank')} "
            "components that the volumes share."
        )
    elif training.get("learned") is False:
        yield "There are too few voxels to learn weights from: the estimates count alike."
    if result.coils:
        yield (
            "The noise of the magnitude was assumed to be Rician (one channel)."
            if result.coils == 1
            else f"The noise of the magnitude was assumed to be nc-χ of {result.coils:g} channels."
        )
    if result.bias_removed:
        yield (
            "The noise floor was removed: where the signal is weak, the denoised image is "
            "darker than the mean of the noisy one."
        )
    elif result.bias_removed is False:
        yield "The noise floor was not removed, as asked."
    if record.get("given_back_mean"):
        share = record["given_back_mean"]
        yield f"Of the residual, {share:.2%} was not noise by its size or place and was restored."


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


def _volumes(result: Denoised) -> Iterator[str]:
    count = result.data.shape[3]
    yield f"{count - len(result.passed_through)} of {count} volumes were denoised."
    for reason, volumes in by_reason(result.passed_through).items():
        yield f"Passed through unchanged, {reason}: volume {listed(volumes)}."
    for reason, volumes in by_reason(result.not_shared or {}).items():
        yield f"Denoised on their own, {reason}: volume {listed(volumes)}."


def _uncertain(result: Denoised) -> Iterator[str]:
    if result.uncertainty is None:
        yield "No uncertainty map was asked for, or the method has none."


def by_reason(volumes: Mapping[int, str]) -> dict[str, list[int]]:
    """{volume: reason} inverted: reason → volumes."""
    volumes_by_reason: dict[str, list[int]] = {}
    for volume, reason in volumes.items():
        volumes_by_reason.setdefault(reason, []).append(volume)
    return volumes_by_reason


def listed(volumes: list[int]) -> str:
    """Numbers with runs joined: 0, 4–9, 12."""
    return volume_runs(sorted(volumes), most=None, dash="–")


def strength(correlation: float | None) -> str:
    """A correlation in one word."""
    if correlation is None:
        return "–"
    size = abs(correlation)
    return "none" if size < 0.05 else "weak" if size < 0.15 else "clear" if size < 0.3 else "strong"
