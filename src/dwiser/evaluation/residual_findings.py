"""Every test of the residual, in one go: what the verdict looks at, and its rows."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from dwiser.evaluation.anatomy import anatomy, halves, reference
from dwiser.evaluation.angle_cells import AngleCells
from dwiser.evaluation.groups import volume_groups
from dwiser.evaluation.local import spots, with_signals
from dwiser.evaluation.raw_noise import raw_noise
from dwiser.evaluation.records import Absent, CannotMeasure, Metric, Row, rows_of
from dwiser.evaluation.residual import (
    Residual,
    Whiteness,
    energy,
    moments,
    noise_floor,
    removed,
    residual,
    standardised_series,
    whiteness,
)
from dwiser.evaluation.residual_by_angle import residual_by_angle
from dwiser.evaluation.sections import ALL, EvaluationInputs
from dwiser.evaluation.verdict import Findings
from dwiser.machine import give_memory_back
from dwiser.prepare.coils import effective_coils
from dwiser.prepare.noise_correlation import noise_correlation


def residual_of(given: EvaluationInputs) -> Residual:
    """What was removed, in units of the noise."""
    return residual(*_what_is_tested(given))


def standardised_of(given: EvaluationInputs) -> Float[np.ndarray, "x y z v"]:
    """The same as an image of the scan's shape, `standardised_series`."""
    return standardised_series(*_what_is_tested(given))


def _what_is_tested(given: EvaluationInputs) -> tuple[Any, ...]:
    coils = given.coils or effective_coils(given.raw, given.mask)
    images = given.raw.data, given.denoised, given.mask, given.sigma
    return *images, coils, np.flatnonzero(~given.raw.gradients.is_b0)


def _by_angle(given: EvaluationInputs, found: Residual) -> tuple[tuple[AngleCells, ...], str]:
    """The residual by angle to the fibre, and why there is none."""
    give_memory_back()  # of what looked for spots
    images = given.raw.data, given.denoised, given.raw.gradients, found.mask, given.sigma
    try:
        return residual_by_angle(*images, found.reading, found.coils, seed=given.seed), ""
    except CannotMeasure as why:
        return (), str(why)


def residual_findings(given: EvaluationInputs, found: Residual) -> Findings:
    """Every test of the residual that the verdict looks at."""
    gradients = given.raw.gradients
    groups = volume_groups(gradients, pooled=False)
    pair = given.raw.data, given.denoised
    floors = {g.name: noise_floor(pair[1], given.sigma, found, g.volumes) for g in groups}
    try:
        first, second = halves(gradients)
        seen = reference(given.raw.data, gradients, first, found.mask)
        give_memory_back()  # of the fit; what follows makes arrays of the residual's size
        dwis = [g for g in groups if not g.is_b0]
        counts = [len(g.volumes) for g in dwis]
        floor = np.average([floors[g.name] for g in dwis], axis=0, weights=counts)
        structure = anatomy(found, seen, second, floor)
    except CannotMeasure:
        structure = None
    plain = partial(removed, given.raw.data, given.denoised, given.sigma, found.mask)
    of_group = {g.name: moments(plain(g.volumes), seed=given.seed) for g in groups}
    give_memory_back()
    return Findings(
        of_group,
        {
            g.name: float(np.mean([found.standard[:, v].mean(dtype=float) for v in g.volumes]))
            for g in groups
        },
        {g.name: energy(found.standard, g.volumes) for g in groups},
        whiteness(found.standard, found.mask),
        structure,
        tuple(with_signals(s, *pair, found.mask) for s in spots(found, gradients, floors)),
        *_by_angle(given, found),
        _raw_noise(given, found),
        {g.name: _levels(pair, found.mask, g.volumes) for g in groups},
        found.suppressed / (found.suppressed + len(found.standard)),
    )


def _raw_noise(given: EvaluationInputs, found: Residual) -> Whiteness:
    """The raw noise's correlation between neighbours: the lower of two estimates by axis.

    One takes the volumes' signal off voxel by voxel, the other a window's own components. Signal
    that either leaves is alike in neighbours and makes it too high.
    """
    give_memory_back()  # of the residual by angle
    raw = given.raw
    known = given.noise_correlation or noise_correlation(raw.data, found.mask)
    by_window = known.neighbours
    try:
        by_voxel = raw_noise(raw.data, raw.gradients, found.mask, given.sigma)
    except CannotMeasure:
        return Whiteness(*by_window, None)
    own = by_voxel.x, by_voxel.y, by_voxel.z
    x, y, z = (w if v is None else min(v, w) for v, w in zip(own, by_window, strict=True))
    return Whiteness(x, y, z, None)


def _levels(
    pair: tuple[np.ndarray, np.ndarray], mask: np.ndarray, volumes: np.ndarray
) -> tuple[float, float]:
    """Mean signal of some volumes in the raw scan and in the denoised one."""
    raw, denoised = (
        float(np.mean([data[..., v][mask].mean(dtype=float) for v in volumes])) for data in pair
    )
    return raw, denoised


def residual_rows(found: Findings) -> Iterator[Row]:
    """The findings as rows."""
    for group, values in found.raw_moments.items():
        yield from rows_of(values, group, "residual.")
    for group, mean in found.standard_mean.items():
        yield Metric("residual.shift", group, mean, "σ")
    for group, local in found.energies.items():
        yield from rows_of(local, group, "residual.energy.")
    yield from rows_of(found.whiteness, ALL, "residual.lag1.")
    if found.noise is not None:
        for row in rows_of(found.noise, ALL, "noise.lag1."):
            if not row.metric.startswith("noise.lag1.volume"):
                yield row
    for group, (raw, denoised) in found.levels.items():
        yield Metric("residual.raw", group, raw, "signal")
        yield Metric("residual.denoised", group, denoised, "signal")
    yield Metric("residual.suppressed", ALL, found.suppressed, "")
    if found.anatomy is None:
        yield Absent("residual.anatomy", ALL, "fewer than 4 DWIs cannot be split into two halves")
    else:
        yield from rows_of(found.anatomy, "DWI", "residual.anatomy.")
    for spot in found.spots:
        yield from rows_of(spot, spot.group, "residual.spot.")
    if not found.angle:
        yield Absent("residual.angle", ALL, found.angle_absent)
    for cells in found.angle:
        yield from cells.rows()
