"""What a gradient table leaves open, decided from the volumes' brightness.

A DWI with a null vector is a b0 that the scanner gave the nominal b-value, or has no direction: a
trace, a mean, spherical encoding. A table of b-values far below 50 is one of b0s, or of
ms/µm². A b0 is bright; a DWI is not.
"""

import warnings
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.b_delta import is_spherical
from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.gradient_lengths import volume_runs

if TYPE_CHECKING:
    from dwiser.scan import Gradients

LOOKED_AT = 8  # volumes of a kind, spread over the series
BRIGHTER = 1.3  # b0 over DWI where no b0 is known; 2 in a brain at b=1000, a trace has 1
CONTRAST = 1.1  # of b0s over DWIs: with less the brightness decides nothing
MICRO = 20.0  # ms/µm²: no table in that unit goes higher
NEAR, NEAR_SHARE = 50.0, 0.05  # s/mm², and share of b: volumes of the same shell


def settled(gradients: "Gradients", data: Float[np.ndarray, "x y z v"]) -> "Gradients":
    """The table with its null vectors decided: those of b0s get b = 0; a warning names each.

    Raises
    ------
    InputError
        For b-values in ms/µm², under which all DWIs would count as b0s.
    """
    if gradients.settled or data.ndim != 4 or data.shape[3] != len(gradients):
        return gradients
    _refuse_milli(gradients, data)
    null = np.flatnonzero(gradients.without_direction & ~_known_spherical(gradients))
    directed = np.flatnonzero(~gradients.is_b0 & ~gradients.without_direction)
    if not len(null) or not len(directed) or gradients.bvalue_scaling != "auto":
        return gradients
    b0s = null[[_is_b0(int(v), gradients, data) for v in null]]
    without = np.setdiff1d(null, b0s)
    if len(b0s):
        _warn(
            gradients, b0s, "bright as b0s: taken for b0s",
            "no keeps b as it is written",
        )  # fmt: skip
    if len(without):
        _warn(
            gradients, without, "no brighter than DWIs: taken for DWIs without a direction, such "
            "as a trace", "yes takes b·0 = 0",
        )  # fmt: skip
    table, bvals = copy(gradients), gradients.bvals.copy()
    bvals[b0s] = 0.0
    object.__setattr__(table, "bvals", bvals)
    object.__setattr__(table, "settled", True)
    return table


def _known_spherical(gradients: "Gradients") -> Bool[np.ndarray, "v"]:
    """Which volumes are said to have spherical b-tensors: of them nothing is open."""
    if gradients.b_delta is None:
        return np.zeros(len(gradients), bool)
    return is_spherical(gradients.shapes)


def _warn(gradients: "Gradients", volumes: Int[np.ndarray, "n"], what: str, other: str) -> None:
    b = gradients.bvals[volumes]
    span = f"{b.min():g}" if b.min() == b.max() else f"{b.min():g} to {b.max():g}"
    one = len(volumes) == 1
    warnings.warn(
        f"Volume{'s' * (not one)} {volume_runs(volumes.tolist())} (counted from 0) "
        f"{'has' if one else 'have'} b={span} s/mm² but a null vector, and "
        f"{'is' if one else 'are'} {what}; --bvalue-scaling {other}.",
        DwiserWarning,
        stacklevel=5,
    )


def _is_b0(volume: int, gradients: "Gradients", data: Float[np.ndarray, "x y z v"]) -> bool:
    b = gradients.bvals[volume]
    b0s = np.flatnonzero(gradients.is_b0)
    dwis = np.flatnonzero(~gradients.is_b0 & ~gradients.without_direction)
    off = np.abs(gradients.bvals[dwis] - b)
    near = dwis[off <= max(NEAR, NEAR_SHARE * b, off.min())]
    own, shell, *known = _brightness(data, [np.array([volume]), near, *([b0s] * bool(len(b0s)))])
    if not shell > 0 or not own > 0:
        return False
    if not known:
        return bool(own > BRIGHTER * shell)
    return bool(known[0] > CONTRAST * shell and own > np.sqrt(known[0] * shell))


def _brightness(data: Float[np.ndarray, "x y z v"], groups: list[np.ndarray]) -> list[float]:
    """Of some groups of volumes: the median of the groups' means, where the last one is bright."""
    means = [
        np.mean([data[..., v] for v in group[:: -(-len(group) // LOOKED_AT)]], 0, dtype=float)
        for group in groups
    ]
    where = np.isfinite(sum(means)) & (means[-1] > np.nanmean(means[-1]))
    if not where.any():
        return [0.0] * len(means)
    return [float(np.median(mean[where])) for mean in means]


def _refuse_milli(gradients: "Gradients", data: Float[np.ndarray, "x y z v"]) -> None:
    """Refuse a table whose "b0s" have directions and lose brightness as DWIs do."""
    bvals = gradients.bvals
    if not len(bvals) or not gradients.is_b0.all() or not 0 < bvals.max() <= MICRO:
        return
    low, high = (np.flatnonzero(bvals == b) for b in (bvals.min(), bvals.max()))
    if bvals[high[0]] - bvals[low[0]] < 0.1:
        return
    dark, bright = _brightness(data, [high, low])
    if bright > BRIGHTER * dark > 0:
        raise InputError(
            f"The b-values reach {bvals.max():g} only, but those volumes are "
            f"{dark / bright:.2g} times as bright as the ones of b={bvals.min():g}: they look like "
            "ms/µm², multiply the table by 1000 to get s/mm².",
            code=Code.GRADIENTS_VALUES,
        )
