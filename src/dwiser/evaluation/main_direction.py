"""FA and the main direction of many voxels at once, where no other map of the tensor is needed."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser import lazy
from dwiser.evaluation.groups import in_mask
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tensor import (
    B_MAX,
    SIGNAL_FLOOR,
    UNKNOWNS,
    dipy_table,
    pick,
    tensor_volumes,
)
from dwiser.scan import Gradients

dti = lazy.module("dipy.reconst.dti")

AT_ONCE = 20_000  # voxels, whose logarithms are held in double precision
LEAST_DIFFUSIVITY = 1e-6  # over the largest b-value, in its inverse unit; DIPY's own bound
LEAST_WEIGHT = 1e-8  # of a voxel's largest: a few bright volumes alone determine no tensor
_TENSOR = [0, 1, 3, 1, 2, 4, 3, 4, 5]  # Dxx Dxy Dyy Dxz Dyz Dzz as a symmetric matrix


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
    unweighted fit; without ``weighted`` that fit itself. DIPY's "WLS" and "OLS" give the same
    numbers, solved voxel by voxel; here all voxels' normal equations are one matrix product.

    Raises
    ------
    CannotMeasure
        Where the volumes determine no tensor, or the image is zero in the mask.
    """
    some = np.arange(len(gradients)) if volumes is None else volumes
    chosen = some[tensor_volumes(pick(gradients, some), b_max)]
    signals = in_mask(data, mask, chosen)
    floor = SIGNAL_FLOOR * float(signals.max(initial=0))
    if floor <= 0:
        raise CannotMeasure("the image is zero in the mask")
    design = dti.design_matrix(dipy_table(pick(gradients, chosen)))
    parts = list(_tensors(signals, floor, design, weighted))
    return np.concatenate([fa for fa, _ in parts]), np.concatenate([v1 for _, v1 in parts])


def _tensors(
    signals: np.ndarray, floor: float, design: np.ndarray, weighted: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """FA and v1, some voxels at a time."""
    scale = np.abs(design).max(0)  # b-values beside ones: without it the equations are stiff
    unit = design / scale
    inverse = np.linalg.pinv(unit)
    upper = np.triu_indices(UNKNOWNS)
    products = unit[:, upper[0]] * unit[:, upper[1]]
    for low in range(0, len(signals), AT_ONCE):
        logs = np.log(np.maximum(signals[low : low + AT_ONCE].astype(float, order="C"), floor))
        solved = logs @ inverse.T
        if weighted:
            weights = solved @ unit.T
            weights = np.exp(2 * (weights - weights.max(1, keepdims=True))).clip(LEAST_WEIGHT)
            normal = np.empty((len(logs), UNKNOWNS, UNKNOWNS))
            normal[:, upper[0], upper[1]] = normal[:, upper[1], upper[0]] = weights @ products
            weights *= logs
            solved = np.linalg.solve(normal, (weights @ unit)[..., None])[..., 0]
        tensor = (solved / scale)[:, _TENSOR].reshape(-1, 3, 3)
        values, vectors = np.linalg.eigh(tensor)
        values = values.clip(LEAST_DIFFUSIVITY / -design.min())
        spread = np.square(values - values.mean(1, keepdims=True)).sum(1)
        yield np.sqrt(1.5 * spread / np.square(values).sum(1)), vectors[:, :, 2]
