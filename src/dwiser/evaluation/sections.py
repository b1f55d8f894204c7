"""The sections of an evaluation: each turns checked inputs into rows."""

from collections.abc import Callable, Iterator

import numpy as np

from dwiser.evaluation.bins import binned_rows
from dwiser.evaluation.crossing import crossing_error
from dwiser.evaluation.csd_bins import csd_rows, csd_value_rows
from dwiser.evaluation.edges import edge_blur, lesion_contrast
from dwiser.evaluation.fidelity import error_components, fidelity
from dwiser.evaluation.groups import tissue_masks, volume_groups
from dwiser.evaluation.inputs import ALL, EvaluationInputs
from dwiser.evaluation.records import Absent, CannotMeasure, Metric, Row, rows_of
from dwiser.evaluation.snr import Snr, background_noise, corpus_callosum, local_noise, region_snr
from dwiser.evaluation.tensor import (
    RANGES,
    UNITS,
    TensorMaps,
    angular_error,
    fit_tensor,
    map_fidelity,
)
from dwiser.evaluation.tracts import Coherency, bundle, coherency


def collect(name: str, rows: Iterator[Row]) -> list[Row]:
    """The rows of a section; what it cannot measure becomes an absence of its name."""
    collected: list[Row] = []
    try:
        collected.extend(rows)
    except CannotMeasure as why:
        collected.append(Absent(name, ALL, str(why)))
    return collected


def fidelity_rows(inputs: EvaluationInputs) -> Iterator[Row]:
    """Error by group; bias apart from variance by group and tissue."""
    truth, denoised = inputs.true(), inputs.denoised
    where = {"": inputs.mask, **tissue_masks(inputs.tissues, inputs.mask)}
    if not inputs.tissues:
        yield Absent("error by tissue", ALL, "no tissue fractions were given")
    for group in volume_groups(inputs.raw.gradients):
        pair = denoised[..., group.volumes], truth[..., group.volumes]
        yield from _tried("fidelity", group.name, fidelity, *pair, inputs.mask)
        for tissue, voxels in where.items():
            name = f"{group.name} {tissue}".strip()
            yield from rows_of(error_components(pair[0][voxels], pair[1][voxels]), name, "error.")


def tensor_rows(inputs: EvaluationInputs, true: TensorMaps | None) -> Iterator[Row]:
    """FA, MD, RD, AD and V1 against the truth's, where it has signal, and by bins of the true FA.

    Raises
    ------
    CannotMeasure
        Where the truth's tensor could not be fitted.
    """
    voxels = inputs.with_signal()
    fitted = fit_tensor(inputs.denoised, inputs.raw.gradients, voxels)
    if true is None:
        raise CannotMeasure("the truth's tensor could not be fitted")
    for name, span in RANGES.items():
        map_error = map_fidelity(getattr(fitted, name), getattr(true, name), voxels, span)
        for row in rows_of(map_error, ALL, f"{name}."):
            if isinstance(row, Metric) and row.metric.endswith((".rmse", ".bias")):
                row = Metric(row.metric, row.group, row.value, UNITS[name])
            yield row
    v1 = fitted.v1, true.v1, true.fa
    yield from _tried("v1.angle", ALL, angular_error, *v1, voxels)
    yield from binned_rows(fitted, true, true.fa, voxels)


def crossing_rows(inputs: EvaluationInputs) -> Iterator[Row]:
    """Crossing angles where white matter is known, or wherever the truth has signal."""
    voxels = inputs.with_signal()
    where = tissue_masks(inputs.tissues, voxels).get("wm", voxels)
    crossing = crossing_error(
        inputs.denoised, inputs.true(), inputs.raw.gradients, where, seed=inputs.seed
    )
    yield from rows_of(crossing, ALL, "crossing.")


def fibre_rows(inputs: EvaluationInputs, true: TensorMaps | None) -> Iterator[Row]:
    """Peaks and fibre density of CSD by bins of the true FA.

    Raises
    ------
    CannotMeasure
        Where the truth's tensor could not be fitted.
    """
    truth = inputs.true()
    if true is None:
        raise CannotMeasure("the truth's tensor could not be fitted")
    scan = inputs.raw.gradients, inputs.with_signal()
    yield from csd_rows(inputs.denoised, truth, *scan, true.fa, seed=inputs.seed)


def fibre_value_rows(inputs: EvaluationInputs) -> Iterator[Row]:
    """Peaks, fibre density and crossing angles of CSD by bins of the raw FA: no truth needed."""
    raw = inputs.raw
    scan = raw.data, raw.gradients, inputs.mask, inputs.sigma
    yield from csd_value_rows(inputs.denoised, *scan, seed=inputs.seed)


def edge_rows(inputs: EvaluationInputs) -> Iterator[Row]:
    """Resolution lost, by group."""
    truth = inputs.true()
    for group in volume_groups(inputs.raw.gradients, pooled=False):
        pair = inputs.denoised[..., group.volumes], truth[..., group.volumes]
        size = inputs.raw.voxel_size
        yield from _tried("edge", group.name, edge_blur, *pair, inputs.mask, size)


def lesion_rows(inputs: EvaluationInputs) -> Iterator[Row]:
    """Preserved contrast, by lesion.

    Raises
    ------
    CannotMeasure
        Where no lesions were given.
    """
    truth = inputs.true()
    if inputs.lesions is None:
        raise CannotMeasure("no lesions were given")
    for contrast in lesion_contrast(
        inputs.denoised,
        truth,
        inputs.lesions,
        inputs.mask,
        inputs.lesion_volumes,
        inputs.lesion_changes,
    ):
        yield from rows_of(contrast, f"lesion {contrast.label}", "lesion.")


def snr_rows(inputs: EvaluationInputs, tensor: TensorMaps | None) -> Iterator[Row]:
    """SNR and CNR in the corpus callosum, located on the truth or else on the raw scan."""
    raw, mask = inputs.raw, inputs.mask
    if tensor is None:
        tensor = fit_tensor(raw.data, raw.gradients, mask, method="OLS")
    region = corpus_callosum(tensor, mask, raw.affine)
    for group in volume_groups(raw.gradients):
        denoised = inputs.denoised[..., group.volumes]
        original = raw.data[..., group.volumes]
        yield from _tried(
            "corpus_callosum", group.name, _region_snr, denoised, original, region, mask
        )
        yield from _tried("corpus_callosum.local", group.name, _local_snr, denoised, region, mask)


def bundle_rows(inputs: EvaluationInputs) -> Iterator[Row]:
    """Fibre-to-bundle coherency of a bundle, tracked in the raw scan and in the denoised one.

    Raises
    ------
    CannotMeasure
        Where no bundle was given.
    """
    if inputs.bundle is None:
        raise CannotMeasure("no bundle was given")
    start, through = inputs.bundle["start"], inputs.bundle.get("through")

    def tracked(data: np.ndarray) -> Coherency:
        raw = inputs.raw
        lines = bundle(
            data, raw.gradients, inputs.mask, raw.affine_mm, start, through, seed=inputs.seed
        )
        return coherency(lines, raw.affine_mm, seed=inputs.seed)

    for name, data in (("raw", inputs.raw.data), ("denoised", inputs.denoised)):
        yield from _tried("bundle", name, tracked, data)


def _region_snr(denoised: np.ndarray, raw: np.ndarray, region: np.ndarray, mask: np.ndarray) -> Snr:
    return region_snr(denoised, region, mask, background_noise(denoised, raw, mask))


def _local_snr(denoised: np.ndarray, region: np.ndarray, mask: np.ndarray) -> Snr:
    return region_snr(denoised, region, mask, local_noise(denoised, region))


def _tried(name: str, group: str, measure: Callable[..., object], *args: object) -> list[Row]:
    try:
        return list(rows_of(measure(*args), group, f"{name}."))
    except CannotMeasure as why:
        return [Absent(name, group, str(why))]
