"""Voxels that were filled in: the same value in every volume, as padding and masking leave them."""

import numpy as np
from jaxtyping import Bool, Float

LOOKS = 5  # volumes after which all voxels may have been seen to differ


def varying(data: Float[np.ndarray, "x y z v"]) -> Bool[np.ndarray, "x y z"]:
    """Where the volumes differ, read volume by volume.

    A voxel that has one value in every volume measures nothing, be it 0 or a program's filling.
    Where no voxel differs, all that are not zero count.
    """
    first = data[..., 0]
    differs = np.zeros_like(first, bool)
    for v in range(1, data.shape[3]):
        differs |= data[..., v] != first
        if v < LOOKS and differs.all():  # as noise does at once
            break
    return differs if differs.any() else first != 0
