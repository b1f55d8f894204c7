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
    clean: Float[np.ndarray, "c o k"],
    trust: Float[np.ndarray, "c o"],
    /,
) -> None:
    """Fill ``clean`` with the denoised patches times ``trust``, and that: 0 outside.

    Raises
    ------
    TypeError, ValueError
        For arrays of other types or sizes, and for patches that reach out of the index.
    """

def add(
    values: Float[np.ndarray, "n k"],
    index: Int[np.ndarray, "p"],
    middles: Int[np.ndarray, "c"],
    steps: Int[np.ndarray, "o"],
    clean: Float[np.ndarray, "c o k"],
    trust: Float[np.ndarray, "c o"],
    total: Float[np.ndarray, "n k"],
    weight: Float[np.ndarray, "n"],
    /,
) -> None:
    """Add the patches to ``total`` and their trust to ``weight``, one after another."""

def means(
    values: Float[np.ndarray, "n k"],
    index: Int[np.ndarray, "p"],
    middles: Int[np.ndarray, "c"],
    steps: Int[np.ndarray, "o"],
    out: Float[np.ndarray, "c k"],
    /,
) -> None:
    """Fill ``out`` with the means over the patches' voxels inside; 0 where there is none."""
