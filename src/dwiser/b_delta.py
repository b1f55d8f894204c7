"""The shape of a b-tensor: b-delta, from planar over spherical to linear.

A b-tensor with an axis n has the eigenvalues b(1 + 2 Δ)/3 along n and b(1 − Δ)/3 across it:
B = b [(1 − Δ) I/3 + Δ n nᵀ], with Δ = 1 linear, 0 spherical and −0.5 planar (Eriksson et al. 2015,
10.1063/1.4913502; Topgaard 2017, 10.1016/j.jmr.2016.12.007).
"""

import numpy as np
from jaxtyping import Bool, Float

from dwiser.errors import Code, InputError

PLANAR, SPHERICAL, LINEAR = -0.5, 0.0, 1.0
SAME_SHAPE = 0.1  # between b-deltas of one shell; waveforms are off their nominal shape by less
NO_AXIS = 0.05  # of b-delta: waveforms that are meant to have no axis are off by less
NAMES = {PLANAR: "planar", SPHERICAL: "spherical", LINEAR: "linear"}


def checked_b_delta(
    values: Float[np.ndarray, "*n"] | float, is_dwi: Bool[np.ndarray, "v"]
) -> Float[np.ndarray, "v"]:
    """b-delta of each volume, 1 for b0s.

    Parameters
    ----------
    values : one number a volume, or one for all DWIs; of b0s they may be anything.
    is_dwi : which volumes are diffusion-weighted.

    Raises
    ------
    InputError
        For another number of values, and for one of a DWI that is not between −0.5 and 1.
    """
    numbers = np.atleast_1d(np.asarray(values, float))
    if numbers.ndim != 1 or len(numbers) not in (1, len(is_dwi)):
        raise InputError(
            f"There are {numbers.size} values of b-delta for {len(is_dwi)} volumes: give one a "
            "volume, or one for all.",
            code=Code.GRADIENTS_LENGTH,
        )
    shapes = np.where(is_dwi, numbers, LINEAR)
    wrong = ~((shapes >= PLANAR) & (shapes <= LINEAR))  # NaN is wrong too
    if wrong.any():
        v = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"The b-delta of volume {v} is {shapes[v]:g}, and they go from -0.5 (planar) over 0 "
            "(spherical) to 1 (linear): correct it.",
            code=Code.GRADIENTS_VALUES,
        )
    return shapes


def shapes_of(tensors: Float[np.ndarray, "v 3 3"]) -> Float[np.ndarray, "v"]:
    """b-delta of b-tensors with an axis, or nearly; 1 for those of no b-value.

    The axis is the eigenvector whose eigenvalue is furthest from their mean.
    """
    values = np.linalg.eigvalsh(tensors)
    trace = values.sum(1)
    off = values - trace[:, None] / 3
    along = np.take_along_axis(off, np.abs(off).argmax(1)[:, None], 1)[:, 0]
    shapes = 1.5 * along / np.where(trace > 0, trace, 1.0)
    return np.where(trace > 0, shapes.clip(PLANAR, LINEAR), LINEAR)


def is_spherical(shapes: Float[np.ndarray, "v"]) -> Bool[np.ndarray, "v"]:
    """Which b-tensors have no axis."""
    return np.abs(shapes) <= NO_AXIS


def is_linear(shapes: Float[np.ndarray, "*v"]) -> Bool[np.ndarray, "*v"]:
    """Which b-tensors are linear, by the tolerance of a shell."""
    return np.asarray(shapes) >= LINEAR - SAME_SHAPE


def shape_name(b_delta: float) -> str:
    """``planar``, ``spherical`` or ``linear``; of another shape its b-delta."""
    nearest = min(NAMES, key=lambda known: abs(known - b_delta))
    return NAMES[nearest] if abs(nearest - b_delta) < SAME_SHAPE else f"b-delta {b_delta:.2g}"
