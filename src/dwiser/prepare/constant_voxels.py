"""Voxels that were filled in: the same value in every volume, as padding and masking leave them."""

import numpy as np
from jaxtyping import Bool, Float


def varying(data: Float[np.ndarray, "x y z v"]) -> Bool[np.ndarray, "x y z"]:
    """Where the volumes differ, read volume by volume.

    A voxel that has one value in every volume measures nothing, be it 0 or a program's filling.
    Where no voxel differs, all that are not zero count.
    """
    first = data[..., 0]
    same = np.ones(first.shape, bool, order="F" if first.flags.f_contiguous else "C")
    for v in range(1, min(data.shape[3], 3)):
        same &= data[..., v] == first
    left = np.nonzero(same)  # few, where there is noise: only they are looked at further
    for v in range(3, data.shape[3]):
        equal = data[..., v][left] == first[left]
        if not equal.all():
            left = tuple(axis[equal] for axis in left)
    same[...] = False
    same[left] = True
    return first != 0 if same.all() else ~same
