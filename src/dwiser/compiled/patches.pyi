"""patches.c: what local_pca.py and neighbours.py do, compiled.

``values`` (n, K) float32; ``index``, ``middles`` and ``steps`` int64, as
`Grid` has them: a patch holds the voxels ``index[middle + steps]``, n standing for outside.
"""

import numpy as np
from jaxtyping import Float, Int

def denoise(
    values: Float[np.ndarray, "n k"],
    index: Int[np.ndarray, "p"],
    middles: Int[np.ndarray, "c"],
    steps: Int[np.ndarray, "o"],
    noise: float,
    share: float,
    first: int,
    total: Float[np.ndarray, "r k"],
    weight: Float[np.ndarray, "r"],
    /,
) -> None:
    """Add the patches' voxels, denoised and times their trust, to ``total``, that to ``weight``.

    Both begin with voxel number ``first``, and hold all that the patches do.

    Raises
    ------
    TypeError, ValueError
        For arrays of other types or sizes, and for patches that reach out of the index or the sums.
    """

def means(
    values: Float[np.ndarray, "n k"],
    index: Int[np.ndarray, "p"],
    middles: Int[np.ndarray, "c"],
    steps: Int[np.ndarray, "o"],
    out: Float[np.ndarray, "c k"],
    /,
) -> None:
    """Fill ``out`` with the means over the patches' voxels inside; 0 where there is none."""
