"""A σ map from the user: what it must be, and how its holes are filled."""

import warnings

import numpy as np
from jaxtyping import Float, Float32
from scipy import ndimage

from dwiser.errors import Code, DwiserWarning, InputError


def fill_holes(
    sigma: Float[np.ndarray, "x y z"], data: Float[np.ndarray, "x y z v"]
) -> Float32[np.ndarray, "x y z"]:
    """The map with its holes filled: 0 and NaN are replaced by the nearest known σ.

    Other tools write 0 or NaN outside their own mask, which may be narrower than ours.

    Raises
    ------
    InputError
        For a map with negative or infinite values, with no positive one, or above the signal.
    """
    if np.isinf(sigma).any() or (sigma < 0).any():
        raise InputError(
            "The σ map holds negative or infinite values: give the noise's sd.",
            code=Code.NOISE_VALUES,
        )
    known = np.nan_to_num(sigma, nan=0.0) > 0
    if not known.any():
        raise InputError(
            "The σ map holds no positive value: give the noise's sd.", code=Code.NOISE_VALUES
        )
    typical, most = float(np.median(sigma[known])), float(data[known].max())
    if typical >= most:
        raise InputError(
            f"The σ map's median is {typical:.4g}, the scan's highest voxel there {most:.4g}: give "
            "the noise's sd (not its variance) in the scan's own units.",
            code=Code.NOISE_VALUES,
        )
    if known.all():
        return sigma.astype(np.float32)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    warnings.warn(
        f"The σ map is 0 or NaN in {float((~known).mean()):.0%} of its voxels: the nearest known "
        "value is taken there.",
        DwiserWarning,
        stacklevel=3,
    )
    return sigma[tuple(nearest)].astype(np.float32)
