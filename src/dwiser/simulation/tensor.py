"""The truth's tensor metrics."""

from functools import partial

import numpy as np
from jaxtyping import Float, Int

from dwiser import lazy
from dwiser.simulation.scheme import scheme
from dwiser.simulation.series import TrueSeries

dipy_gradients = lazy.module("dipy.core.gradients")
dti = lazy.module("dipy.reconst.dti")

TENSOR_LIMIT = 1500.0  # s/mm²; above it the signal of one tensor is no Gaussian decay
LEAST_DIRECTIONS = 6
FALLBACK_SHELL = ((1000.0, 30),)  # for schemes that carry no tensor
CHUNK = 50_000  # voxels at a time


def tensor_metrics(series: TrueSeries) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """FA, MD and main direction of the truth.

    DIPY's weighted least squares on the scheme's own b0s and volumes of b ≤ 1500 s/mm². A scheme
    without a b0 or six such directions determines no tensor: then 30 directions of b=1000 are
    synthesised by ``signal`` (lesions not included).

    Parameters
    ----------
    series : the series without noise; its mask holds the voxels to fit.

    Returns
    -------
    fa : (X, Y, Z) float32, 0 outside the mask.
    md : (X, Y, Z) in mm²/s.
    v1 : (X, Y, Z, 3) unit main direction along the voxel axes.
    how : which volumes were fitted, in words.
    """
    gradients, mask = series.gradients, series.mask
    used = gradients.bvals <= TENSOR_LIMIT
    rank = np.linalg.matrix_rank(_design(gradients.bvecs[used & ~gradients.is_b0]))
    if gradients.is_b0.any() and rank >= LEAST_DIRECTIONS:
        table, how = gradients.take(used), f"WLS on the truth's volumes of b <= {TENSOR_LIMIT:g}"
        signal = partial(_by_volumes, series, np.flatnonzero(used))
    else:
        table = scheme(FALLBACK_SHELL, n_b0=1)
        how = "WLS on 30 noiseless directions of b=1000 of its own"
        signal = partial(series.signal, table)
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
        voxels = slice(start, min(start + CHUNK, len(where)))
        at = tuple(where[voxels].T)
        fit = model.fit(signal(voxels))
        fa[at], md[at], v1[at] = fit.fa, fit.md, fit.evecs[..., 0]
    return fa, md, v1, how


def _by_volumes(
    series: TrueSeries, volumes: Int[np.ndarray, "v"], voxels: slice
) -> Float[np.ndarray, "m v"]:
    """The rows of a series, each volume in one piece: DIPY's last bits depend on the order."""
    return np.asfortranarray(series.rows(voxels, volumes))


def _design(bvecs: np.ndarray) -> np.ndarray:
    """The six products of a tensor for each direction."""
    first, second = np.triu_indices(3)
    return bvecs[:, first] * bvecs[:, second]
