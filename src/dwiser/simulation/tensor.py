"""The truth's tensor metrics."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from dwiser import lazy
from dwiser.scan import Gradients
from dwiser.simulation.scheme import scheme

dipy_gradients = lazy.module("dipy.core.gradients")
dti = lazy.module("dipy.reconst.dti")

TENSOR_LIMIT = 1500.0  # s/mm²; above it the signal of one tensor is no Gaussian decay
LEAST_DIRECTIONS = 6
FALLBACK_SHELL = ((1000.0, 30),)  # for schemes that carry no tensor
CHUNK = 50_000  # voxels at a time


def tensor_metrics(
    truth: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    signal: Callable[[Gradients], Float[np.ndarray, "n v"]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """FA, MD and main direction of the truth.

    DIPY's weighted least squares on the scheme's own b0s and volumes of b ≤ 1500 s/mm². A scheme
    without a b0 or six such directions determines no tensor: then 30 directions of b=1000 are
    synthesised by ``signal`` (lesions not included).

    Parameters
    ----------
    truth : (X, Y, Z, V) the series without noise.
    gradients : its table.
    mask : (X, Y, Z) the n voxels to fit.
    signal : gives the mask's (n, V) signal for any table.

    Returns
    -------
    fa : (X, Y, Z) float32, 0 outside the mask.
    md : (X, Y, Z) in mm²/s.
    v1 : (X, Y, Z, 3) unit main direction along the voxel axes.
    how : which volumes were fitted, in words.
    """
    used = gradients.bvals <= TENSOR_LIMIT
    rank = np.linalg.matrix_rank(_design(gradients.bvecs[used & ~gradients.is_b0]))
    if gradients.is_b0.any() and rank >= LEAST_DIRECTIONS:
        rows, how = truth[mask][:, used], f"WLS on the truth's volumes of b <= {TENSOR_LIMIT:g}"
        table = gradients.take(used)
    else:
        table = scheme(FALLBACK_SHELL, n_b0=1)
        rows, how = signal(table), "WLS on 30 noiseless directions of b=1000 of its own"
    fa, md = np.zeros((2, *mask.shape), np.float32)
    v1 = np.zeros((*mask.shape, 3), np.float32)
    model = dti.TensorModel(
        dipy_gradients.gradient_table(
            table.bvals, bvecs=table.bvecs, b0_threshold=table.b0_threshold
        ),
        fit_method="WLS",
    )
    where = np.argwhere(mask)
    for start in range(0, len(where), CHUNK):
        at = tuple(where[start : start + CHUNK].T)
        fit = model.fit(rows[start : start + CHUNK])
        fa[at], md[at], v1[at] = fit.fa, fit.md, fit.evecs[..., 0]
    return fa, md, v1, how


def _design(bvecs: np.ndarray) -> np.ndarray:
    """The six products of a tensor for each direction."""
    first, second = np.triu_indices(3)
    return bvecs[:, first] * bvecs[:, second]
