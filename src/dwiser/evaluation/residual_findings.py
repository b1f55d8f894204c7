"""Every test of the residual: the findings that the verdict is based on, and their rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from dwiser.evaluation.anatomy import AnatomyCorrelation, anatomy, halves, reference
from dwiser.evaluation.angle_cells import AngleCells
from dwiser.evaluation.groups import Group, volume_groups
from dwiser.evaluation.inputs import ALL, EvaluationInputs
from dwiser.evaluation.local import ResidualSpot, spots, with_signals
from dwiser.evaluation.noise_floor import floor_doubt, noise_floor
from dwiser.evaluation.raw_noise import raw_noise
from dwiser.evaluation.records import Absent, CannotMeasure, Metric, Row, rows_of
from dwiser.evaluation.residual import (
    Residual,
    Whiteness,
    energy,
    moments,
    removed,
    residual,
    standardised_series,
    whiteness,
)
from dwiser.evaluation.residual_by_angle import residual_by_angle
from dwiser.evaluation.verdict import SHIFT_DOUBT, Findings
from dwiser.machine import give_memory_back, side_by_side
from dwiser.prepare.coils import effective_coils
from dwiser.prepare.noise_correlation import noise_correlation
from dwiser.prepare.stored_values import stored_step


def residual_of(inputs: EvaluationInputs) -> Residual:
    """What was removed, in units of the noise."""
    return residual(*_residual_arguments(inputs), threads=inputs.threads)


def standardised_of(inputs: EvaluationInputs) -> Float[np.ndarray, "x y z v"]:
    """The same, as an image of the scan's shape: `standardised_series`."""
    return standardised_series(*_residual_arguments(inputs))


def _residual_arguments(inputs: EvaluationInputs) -> tuple[Any, ...]:
    coils = inputs.coils or effective_coils(inputs.raw, inputs.mask)
    images = inputs.raw.data, inputs.denoised, inputs.mask, inputs.sigma
    return *images, coils, np.flatnonzero(~inputs.raw.gradients.is_b0)


def _by_angle(inputs: EvaluationInputs, residual: Residual) -> tuple[tuple[AngleCells, ...], str]:
    """The residual by angle to the fibre, or the reason why there is none."""
    give_memory_back()  # of the search for spots
    images = inputs.raw.data, inputs.denoised, inputs.raw.gradients, residual.mask, inputs.sigma
    try:
        return residual_by_angle(*images, residual.reading, residual.coils, seed=inputs.seed), ""
    except CannotMeasure as why:
        return (), str(why)


def residual_findings(inputs: EvaluationInputs, residual: Residual) -> Findings:
    """Every test of the residual that the verdict is based on, on ``inputs.threads`` threads."""
    groups = volume_groups(inputs.raw.gradients, pooled=False)
    pair = inputs.raw.data, inputs.denoised
    doubts = _doubts(inputs, residual, groups)

    def of_groups() -> tuple[dict, dict, dict, dict]:
        plain = partial(removed, *pair, inputs.sigma, residual.mask)
        return (
            {g.name: moments(plain(g.volumes), len(g.volumes), seed=inputs.seed) for g in groups},
            {g.name: _shift(residual, g.volumes) for g in groups},
            {g.name: energy(residual.standard, g.volumes) for g in groups},
            {g.name: _levels(pair, residual.mask, g.volumes) for g in groups},
        )

    tests: tuple[Callable[[], Any], ...] = (  # those that take longest first
        partial(_raw_noise, inputs, residual),
        partial(_spots, inputs, residual, doubts),
        partial(_by_angle, inputs, residual),
        of_groups,
        partial(_anatomy, inputs, residual, groups, doubts),
        partial(whiteness, residual.standard, residual.mask),
    )
    results = side_by_side(lambda test: test(), tests, inputs.threads)
    noise, strongest, (angle, no_angle), by_group, structure, white = results
    raw_moments, shifts, energies, levels = by_group
    suppressed = residual.suppressed / (residual.suppressed + len(residual.standard))
    return Findings(
        raw_moments, shifts, energies, white, structure, strongest, angle, no_angle, noise, levels,
        suppressed, {name: SHIFT_DOUBT * float(doubt.mean()) for name, doubt in doubts.items()},
    )  # fmt: skip


def _doubts(
    inputs: EvaluationInputs, residual: Residual, groups: Sequence[Group]
) -> dict[str, Float[np.ndarray, "n"]]:
    """How far the expectation of each group's mean may be off, voxel by voxel."""
    sigma = inputs.sigma[residual.mask].astype(np.float32)
    step = stored_step(inputs.raw.data, residual.mask)

    def of(group: Group) -> Float[np.ndarray, "n"]:
        floor = noise_floor(
            inputs.denoised, inputs.sigma, residual, group.volumes, threads=inputs.threads
        )
        return floor_doubt(floor, sigma, residual.coils, step)

    return {group.name: of(group) for group in groups}


def _spots(
    inputs: EvaluationInputs, residual: Residual, doubts: Mapping[str, np.ndarray]
) -> tuple[ResidualSpot, ...]:
    give_memory_back()
    strongest = spots(residual, inputs.raw.gradients, doubts)
    pair = inputs.raw.data, inputs.denoised
    return tuple(with_signals(spot, *pair, residual.mask) for spot in strongest)


def _anatomy(
    inputs: EvaluationInputs, residual: Residual, groups: Sequence[Group],
    doubts: Mapping[str, np.ndarray],
) -> AnatomyCorrelation | None:  # fmt: skip
    """The residual's correlation with anatomy; None where too few DWIs can be split."""
    gradients = inputs.raw.gradients
    try:
        first_half, second_half = halves(gradients)
        tissue_reference = reference(inputs.raw.data, gradients, first_half, residual.mask)
        give_memory_back()  # of the fit; what follows makes arrays of the residual's size
        dwis = [g for g in groups if not g.is_b0]
        counts = [len(g.volumes) for g in dwis]
        doubt = np.average([doubts[g.name] for g in dwis], axis=0, weights=counts)
        return anatomy(residual, tissue_reference, second_half, doubt)
    except CannotMeasure:
        return None


def _shift(residual: Residual, volumes: np.ndarray) -> float:
    return float(np.mean([residual.standard[:, v].mean(dtype=float) for v in volumes]))


def _raw_noise(inputs: EvaluationInputs, residual: Residual) -> Whiteness:
    """The raw noise's correlation between neighbours: the lower of two estimates by axis.

    One subtracts a fit of the volumes' signal voxel by voxel, the other the components of a
    window. Signal that remains is alike in neighbours and makes an estimate too high.
    """
    give_memory_back()  # of the residual by angle
    raw = inputs.raw
    correlation = inputs.noise_correlation or noise_correlation(raw.data, residual.mask)
    by_window = correlation.neighbours
    try:
        by_voxel = raw_noise(raw.data, raw.gradients, residual.mask, inputs.sigma)
    except CannotMeasure:
        return Whiteness(*by_window, None)
    of_voxels = by_voxel.x, by_voxel.y, by_voxel.z
    x, y, z = (w if v is None else min(v, w) for v, w in zip(of_voxels, by_window, strict=True))
    return Whiteness(x, y, z, None)


def _levels(
    pair: tuple[np.ndarray, np.ndarray], mask: np.ndarray, volumes: np.ndarray
) -> tuple[float, float]:
    """Mean signal of some volumes in the raw scan and in the denoised one."""
    raw, denoised = (
        float(np.mean([data[..., v][mask].mean(dtype=float) for v in volumes])) for data in pair
    )
    return raw, denoised


def residual_rows(findings: Findings) -> Iterator[Row]:
    """The findings as rows."""
    for group, values in findings.raw_moments.items():
        yield from rows_of(values, group, "residual.")
    for group, mean in findings.standard_mean.items():
        yield Metric("residual.shift", group, mean, "σ")
    for group, local in findings.energies.items():
        yield from rows_of(local, group, "residual.energy.")
    yield from rows_of(findings.whiteness, ALL, "residual.lag1.")
    if findings.noise is not None:
        for row in rows_of(findings.noise, ALL, "noise.lag1."):
            if not row.metric.startswith("noise.lag1.volume"):
                yield row
    for group, (raw, denoised) in findings.levels.items():
        yield Metric("residual.raw", group, raw, "signal")
        yield Metric("residual.denoised", group, denoised, "signal")
    yield Metric("residual.suppressed", ALL, findings.suppressed, "")
    if findings.anatomy is None:
        yield Absent("residual.anatomy", ALL, "fewer than 4 DWIs cannot be split into two halves")
    else:
        yield from rows_of(findings.anatomy, "DWI", "residual.anatomy.")
    for spot in findings.spots:
        yield from rows_of(spot, spot.group, "residual.spot.")
    if not findings.angle:
        yield Absent("residual.angle", ALL, findings.angle_absent)
    for cells in findings.angle:
        yield from cells.rows()
