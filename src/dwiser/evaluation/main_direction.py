"""FA and the main direction of many voxels at once, where no other map of the tensor is needed."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.evaluation.groups import voxels_in_turn
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tensor import (
    B_MAX,
    SIGNAL_FLOOR,
    pick,
    tensor_volumes,
)
from dwiser.prepare.small_matrices import eigenvalues_3x3, first_vector_3x3
from dwiser.prepare.tensor_fit import TensorFit, tensor_rows
from dwiser.scan import Gradients

AT_ONCE = 5_000  # voxels
LOWER = [0, 3, 1, 4, 5, 2]  # of xx, yy, zz, xy, xz, yz, row by row: xx, xy, yy, xz, yz, zz
LEAST_DIFFUSIVITY = 1e-6  # over the largest b-value, in its inverse unit; DIPY's own bound


def main_direction(
    data: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    volumes: Int[np.ndarray, "m"] | None = None,
    *,
    b_max: float = B_MAX,
    weighted: bool = True,
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n 3"]]:
    """FA and the unit vector v1 in the n voxels of ``mask``, from volumes of b ≤ ``b_max`` s/mm².

    Weighted linear least squares on the logarithms (Chung et al. 2006), weights from an
    unweighted fit; without ``weighted`` that fit itself. DIPY's "WLS" and "OLS" give the same FA
    within 2e-5 where b0s and seven signals or more are above 0, in double precision.

    Raises
    ------
    CannotMeasure
        Where the volumes determine no tensor, or the image is zero in the mask.
    """
    some = np.arange(len(gradients)) if volumes is None else volumes
    tensors = _tensors(data, gradients, mask, some, b_max, weighted)
    parts = [(_fa(values), first_vector_3x3(tensor, values).T) for tensor, values in tensors]
    return np.concatenate([fa for fa, _ in parts]), np.concatenate([v1 for _, v1 in parts])


def anisotropy(
    data: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    volumes: Int[np.ndarray, "m"],
    *,
    b_max: float = B_MAX,
) -> Float[np.ndarray, "n"]:
    """FA in the mask from some volumes by ordinary least squares, and no other map.

    Raises
    ------
    CannotMeasure
        As for `main_direction`.
    """
    tensors = _tensors(data, gradients, mask, volumes, b_max, weighted=False)
    return np.concatenate([_fa(values) for _, values in tensors])


def _tensors(
    data: np.ndarray, gradients: Gradients, mask: np.ndarray, some: np.ndarray, b_max: float,
    weighted: bool,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """The tensor (6, n) and its eigenvalues (3, n), some voxels at a time."""
    chosen = some[tensor_volumes(pick(gradients, some), b_max)]
    floor = SIGNAL_FLOOR * max(
        (float(data[..., v][mask].max(initial=0)) for v in chosen), default=0
    )
    if floor <= 0:
        raise CannotMeasure("the image is zero in the mask")
    design = tensor_rows(pick(gradients, chosen))
    scale = np.abs(design).max(0)  # b-values beside ones: without it the equations are stiff
    unit = design / scale
    fit = TensorFit(unit)
    for signals in voxels_in_turn(data, mask, chosen, AT_ONCE):
        if weighted:
            solved = fit(signals.T, floor)[1:]
        else:
            logs = np.maximum(signals.T / np.float32(floor), np.float32(1))
            solved = (fit.inverse[1:] @ np.log(logs, out=logs)).astype(float)
        tensor = (solved / scale[1:, None])[LOWER]
        yield tensor, eigenvalues_3x3(tensor).clip(LEAST_DIFFUSIVITY / -design.min())


def _fa(values: Float[np.ndarray, "3 n"]) -> Float[np.ndarray, "n"]:
    spread = np.square(values - values.mean(0)).sum(0)
    return np.sqrt(1.5 * spread / np.square(values).sum(0))
