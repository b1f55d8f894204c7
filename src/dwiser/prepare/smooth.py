"""A Gaussian's width in millimetres as its sd in voxels."""

import numpy as np

FWHM_OF_SD = float(np.sqrt(8 * np.log(2)))
WIDEST = 3.0  # edges of the field: a Gaussian that wide is flat in it, whatever the header says


def sd_in_voxels(
    fwhm: float, voxel_size: tuple[float, ...], shape: tuple[int, ...]
) -> tuple[float, ...]:
    """The sd along each axis of a Gaussian of ``fwhm`` mm, at most three times the field's edge."""
    return tuple(
        min(fwhm / FWHM_OF_SD / size, WIDEST * n)
        for size, n in zip(voxel_size, shape, strict=False)
    )
