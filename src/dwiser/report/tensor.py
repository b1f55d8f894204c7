"""Colour FA: the diffusion tensor's anisotropy and main direction in one picture."""

import numpy as np
from dipy.core.gradients import gradient_table
from dipy.reconst.dti import TensorModel
from jaxtyping import Bool, Float

from dwiser.errors import InputError
from dwiser.scan import Gradients

TENSOR_BVALUE = 1500.0  # s/mm²; above it the signal's decay is no longer Gaussian
DIRECTIONS = 6  # as many as a tensor has unknowns
SHELL_WIDTH, SHELL_SPREAD = 50.0, 0.05  # s/mm² and share of b: closer b-values are one shell


def tensor_volumes(gradients: Gradients) -> Bool[np.ndarray, "v"]:
    """The volumes a tensor is fitted to: b ≤ 1500 s/mm² where those suffice, else all.

    Raises
    ------
    InputError
        Where the table cannot determine a tensor: fewer than six directions, or no b0 and a
        single b-value.
    """
    low = gradients.bvals <= TENSOR_BVALUE
    for volumes in (low, np.ones_like(low)):
        if _determines_tensor(gradients, volumes):
            return volumes
    raise InputError(
        "The gradient table does not determine a diffusion tensor: six directions or more, and "
        "a b0 or a second shell, are needed."
    )


def _determines_tensor(gradients: Gradients, volumes: np.ndarray) -> bool:
    dwi = volumes & ~gradients.is_b0
    if dwi.sum() < DIRECTIONS:
        return False
    x, y, z = gradients.bvecs[dwi].T
    products = np.stack([x * x, y * y, z * z, x * y, x * z, y * z])
    b = gradients.bvals[dwi]
    two_levels = gradients.is_b0.any() or np.ptp(b) > max(SHELL_WIDTH, SHELL_SPREAD * b.max())
    return bool(two_levels) and int(np.linalg.matrix_rank(products)) == DIRECTIONS


def colour_fa(
    data: Float[np.ndarray, "x y z v"], gradients: Gradients, mask: Bool[np.ndarray, "x y z"]
) -> Float[np.ndarray, "x y z 3"]:
    """FA · |V1| of a weighted-least-squares tensor fit, in [0, 1]; 0 outside ``mask``.

    The three colours are the three **voxel axes** (the b-vectors' frame), in their order;
    ``report.views.ras_colours`` turns them to right, anterior, superior. ``tensor_volumes``
    says which volumes are fitted, and what it raises.

    Source: Pajevic and Pierpaoli, Magn. Reson. Med. 42 (1999) 526; the fit is DIPY's.
    """
    volumes = tensor_volumes(gradients)
    table = gradient_table(
        gradients.bvals[volumes],
        bvecs=gradients.bvecs[volumes],
        b0_threshold=gradients.b0_threshold,
    )
    fit = TensorModel(table, fit_method="WLS").fit(data[mask][:, volumes])
    colours = np.zeros((*mask.shape, 3), np.float32)
    fa = np.clip(np.nan_to_num(fit.fa), 0, 1)
    colours[mask] = fa[:, None] * np.abs(fit.evecs[..., :, 0])
    return colours
