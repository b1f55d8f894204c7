"""Gradient tables in scanner axes, as MRtrix and NRRD have them, and in image axes, as FSL has.

FSL's vectors are along the image's voxel axes, and their first component has its sign changed
where the affine's determinant is positive. An affine whose axes are not at right angles stands
for the nearest rotation, as in MRtrix.
"""

import numpy as np
from jaxtyping import Float

from dwiser.errors import Code, InputError
from dwiser.scan import has_volume


def rotation(affine: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "3 3"]:
    """The orthogonal matrix nearest to the directions of an affine's axes.

    Parameters
    ----------
    affine : (4, 4), voxel to world.

    Returns
    -------
    (3, 3)
        Of determinant −1 where the axes are left-handed.

    Raises
    ------
    InputError
        If the affine gives voxels no size or volume.
    """
    if not (np.isfinite(affine).all() and has_volume(affine)):
        raise InputError(
            "The affine gives voxels no size (0 or NaN mm) or no volume: repair the header.",
            code=Code.IMAGE_AFFINE,
        )
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(axes)
    return left @ right


def in_image_axes(
    vectors: Float[np.ndarray, "v 3"], affine: Float[np.ndarray, "4 4"]
) -> Float[np.ndarray, "v 3"]:
    """FSL's vectors from those in scanner axes.

    Parameters
    ----------
    vectors : (V, 3), x to the right, y to the front, z up.
    affine : (4, 4), voxel to world.

    Returns
    -------
    (V, 3)

    Examples
    --------
    >>> import numpy as np
    >>> from dwiser.io.scanner_axes import in_image_axes
    >>> in_image_axes(np.array([[1.0, 0, 0]]), np.diag([2.0, 2, 2, 1])).tolist()
    [[-1.0, 0.0, 0.0]]
    """
    return (vectors @ rotation(affine)) * _signs(affine)


def in_scanner_axes(
    bvecs: Float[np.ndarray, "v 3"], affine: Float[np.ndarray, "4 4"]
) -> Float[np.ndarray, "v 3"]:
    """Vectors in scanner axes from FSL's: the inverse of ``in_image_axes``.

    Parameters
    ----------
    bvecs : (V, 3), FSL's.
    affine : (4, 4), voxel to world.

    Returns
    -------
    (V, 3)
    """
    return (bvecs * _signs(affine)) @ rotation(affine).T


def _signs(affine: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "3"]:
    return np.array([-1.0 if np.linalg.det(affine[:3, :3]) > 0 else 1.0, 1.0, 1.0])
