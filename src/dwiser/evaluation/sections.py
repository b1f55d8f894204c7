"""The sections of an evaluation: each turns checked inputs into rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from dwiser.evaluation.bins import binned_rows
from dwiser.evaluation.crossing import crossing_error
from dwiser.evaluation.csd_bins import csd_rows, csd_value_rows
from dwiser.evaluation.edges import edge_blur, lesion_contrast
from dwiser.evaluation.fidelity import errors, fidelity
from dwiser.evaluation.groups import tissue_masks, volume_groups
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
from dwiser.prepare.noise_correlation import NoiseCorrelation
from dwiser.scan import Scan

ALL = "all"


@dataclass(frozen=True, eq=False)
class Given:
    """The inputs of an evaluation, checked and completed; definitions at `suite.evaluate`."""

    denoised: Float[np.ndarray, "x y z v"]
    raw: Scan
    mask: Bool[np.ndarray, "x y z"]
    sigma: Float[np.ndarray, "x y z"]
    truth: Float[np.ndarray, "x y z v"] | None = None
    tissues: Mapping[str, np.ndarray] | None = None
    lesions: Bool[np.ndarray, "x y z"] | Integer[np.ndarray, "x y z"] | None = None
    lesion_volumes: Mapping[int, Sequence[int]] | None = None
    lesion_changes: Mapping[int, Sequence[float]] | None = None
    bundle: Mapping[str, Bool[np.ndarray, "x y z"]] | None = None
    seed: int = 0
    coils: float | None = None  # channels behind the raw magnitude; None: as the scan tells
    noise_correlation: NoiseCorrelation | None = None  # of the raw scan; None: to be measured

    def true(self) -> Float[np.ndarray, "x y z v"]:
        if self.truth is None:
            raise CannotMeasure("no truth was given")
        return self.truth


def collect(name: str, rows: Iterator[Row]) -> list[Row]:
    """The rows of a section; what it cannot measure becomes an absence of its name."""
    found: list[Row] = []
    try:
        found.extend(rows)
    except CannotMeasure as why:
        found.append(Absent(name, ALL, str(why)))
    return found


def fidelity_rows(given: Given) -> Iterator[Row]:
    """Error by group; bias apart from variance by group and tissue."""
    truth, denoised = given.true(), given.denoised
    where = {"": given.mask, **tissue_masks(given.tissues, given.mask)}
    if not given.tissues:
        yield Absent("error by tissue", ALL, "no tissue fractions were given")
    for group in volume_groups(given.raw.gradients):
        pair = denoised[..., group.volumes], truth[..., group.volumes]
        yield from _tried("fidelity", group.name, fidelity, *pair, given.mask)
        for tissue, voxels in where.items():
            name = f"{group.name} {tissue}".strip()
            yield from rows_of(errors(pair[0][voxels], pair[1][voxels]), name, "error.")


def tensor_rows(given: Given, true: TensorMaps | None) -> Iterator[Row]:
    """FA, MD, RD, AD and V1 against the truth's, in the mask and by bins of the true FA."""
    given.true()
    fitted = fit_tensor(given.denoised, given.raw.gradients, given.mask)
    if true is None:
        raise CannotMeasure("the truth's tensor could not be fitted")
    for name, span in RANGES.items():
        found = map_fidelity(getattr(fitted, name), getattr(true, name), given.mask, span)
        for row in rows_of(found, ALL, f"{name}."):
            if isinstance(row, Metric) and row.metric.endswith((".rmse", ".bias")):
                row = Metric(row.metric, row.group, row.value, UNITS[name])
            yield row
    v1 = fitted.v1, true.v1, true.fa
    yield from _tried("v1.angle", ALL, angular_error, *v1, given.mask)
    yield from binned_rows(fitted, true, true.fa, given.mask)


def crossing_rows(given: Given) -> Iterator[Row]:
    """Crossing angles where white matter is known, or everywhere in the mask."""
    where = tissue_masks(given.tissues, given.mask).get("wm", given.mask)
    found = crossing_error(
        given.denoised, given.true(), given.raw.gradients, where, seed=given.seed
    )
    yield from rows_of(found, ALL, "crossing.")


def fibre_rows(given: Given, true: TensorMaps | None) -> Iterator[Row]:
    """Peaks and fibre density of CSD by bins of the true FA."""
    truth = given.true()
    if true is None:
        raise CannotMeasure("the truth's tensor could not be fitted")
    scan = given.raw.gradients, given.mask
    yield from csd_rows(given.denoised, truth, *scan, true.fa, seed=given.seed)


def fibre_value_rows(given: Given) -> Iterator[Row]:
    """Peaks, fibre density and crossing angles of CSD by bins of the raw FA: no truth needed."""
    raw = given.raw
    scan = raw.data, raw.gradients, given.mask, given.sigma
    yield from csd_value_rows(given.denoised, *scan, seed=given.seed)


def edge_rows(given: Given) -> Iterator[Row]:
    """Resolution paid, by group."""
    truth = given.true()
    for group in volume_groups(given.raw.gradients, pooled=False):
        pair = given.denoised[..., group.volumes], truth[..., group.volumes]
        size = given.raw.voxel_size
        yield from _tried("edge", group.name, edge_blur, *pair, given.mask, size)


def lesion_rows(given: Given) -> Iterator[Row]:
    """Contrast kept, by lesion."""
    truth = given.true()
    if given.lesions is None:
        raise CannotMeasure("no lesions were given")
    for found in lesion_contrast(
        given.denoised,
        truth,
        given.lesions,
        given.mask,
        given.lesion_volumes,
        given.lesion_changes,
    ):
        yield from rows_of(found, f"lesion {found.label}", "lesion.")


def snr_rows(given: Given, tensor: TensorMaps | None) -> Iterator[Row]:
    """SNR and CNR in the corpus callosum, found on the truth or else on the raw scan."""
    raw, mask = given.raw, given.mask
    if tensor is None:
        tensor = fit_tensor(raw.data, raw.gradients, mask, method="OLS")
    region = corpus_callosum(tensor, mask, raw.affine)
    for group in volume_groups(raw.gradients):
        denoised = given.denoised[..., group.volumes]
        original = raw.data[..., group.volumes]
        yield from _tried(
            "corpus_callosum", group.name, _region_snr, denoised, original, region, mask
        )
        yield from _tried("corpus_callosum.local", group.name, _local_snr, denoised, region, mask)


def bundle_rows(given: Given) -> Iterator[Row]:
    """Fibre-to-bundle coherency of a bundle, tracked in the raw scan and in the denoised one."""
    if given.bundle is None:
        raise CannotMeasure("no bundle was given")
    start, through = given.bundle["start"], given.bundle.get("through")

    def tracked(data: np.ndarray) -> Coherency:
        raw = given.raw
        lines = bundle(data, raw.gradients, given.mask, raw.affine, start, through, seed=given.seed)
        return coherency(lines, raw.affine, seed=given.seed)

    for name, data in (("raw", given.raw.data), ("denoised", given.denoised)):
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
