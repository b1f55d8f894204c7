"""Colour FA: the diffusion tensor's anisotropy and main direction in one picture."""

import numpy as np
from jaxtyping import Bool, Float

from dwiser.evaluation.main_direction import main_direction
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tensor import B_MAX, tensor_volumes
from dwiser.scan import Gradients


def colour_fa(
    data: Float[np.ndarray, "x y z v"], gradients: Gradients, mask: Bool[np.ndarray, "x y z"]
) -> Float[np.ndarray, "x y z 3"]:
    """FA · |V1| of a weighted-least-squares tensor fit, in [0, 1]; 0 outside ``mask``.

    The three colours are the three **voxel axes** (the b-vectors' frame), in their order;
    ``reports.views.ras_colours`` turns them to right, anterior, superior. Volumes with
    b ≤ 1500 s/mm² are fitted where those suffice, else all.

    Raises
    ------
    CannotMeasure
        Where the table cannot determine a tensor.

    Source: Pajevic and Pierpaoli, Magn. Reson. Med. 42 (1999) 526; the fit is `main_direction`.
    """
    fa, v1 = main_direction(data, gradients, mask, b_max=highest_b(gradients))
    colours = np.zeros((*mask.shape, 3), np.float32)
    colours[mask] = np.clip(np.nan_to_num(fa), 0, 1)[:, None] * np.abs(np.nan_to_num(v1))
    return colours


def highest_b(gradients: Gradients) -> float:
    """1500 s/mm² where the volumes up to it determine a tensor, else the table's highest b."""
    try:
        tensor_volumes(gradients)
    except CannotMeasure:
        return float(gradients.bvals.max())
    return B_MAX
