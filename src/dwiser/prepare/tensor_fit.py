"""The tensor of many voxels at once, by weighted least squares on the signals' logarithms.

Sources: Salvador et al. 2005 (10.1002/hbm.20076), Chung et al. 2006
(10.1016/j.neuroimage.2006.07.001): the weights are the squares of the signals that a plain fit
expects.
"""

import numpy as np
from jaxtyping import Float

from dwiser.compiled import tensors
from dwiser.prepare.small_matrices import solve_symmetric
from dwiser.scan import Gradients

UNKNOWNS = 7  # log S0 and six of the tensor
NEARLY = 1e-9  # of the trace: keeps a voxel solvable whose weights leave a direction unknown
ROW, COLUMN = np.triu_indices(UNKNOWNS)


def tensor_rows(gradients: Gradients) -> Float[np.ndarray, "v 7"]:
    """log S = rows · (log S0, Dxx, Dyy, Dzz, Dxy, Dxz, Dyz), D in the b-values' inverse unit.

    Of b-tensors b [(1 − Δ) I/3 + Δ n nᵀ], Δ = 1 where the table says nothing else (`b_delta`).
    """
    x, y, z = gradients.bvecs.T
    b, delta = gradients.bvals, gradients.shapes
    same = (1 - delta) / 3
    diagonal = (same + delta * part * part for part in (x, y, z))
    rows = [*diagonal, 2 * delta * x * y, 2 * delta * x * z, 2 * delta * y * z]
    return np.stack([np.ones(len(b)), *(-b * row for row in rows)], 1)


class TensorFit:
    """A fit of log S0 and the tensor to the signals of many voxels, a part of them at a time.

    Parameters
    ----------
    design : (m, 7), `tensor_rows`, or some of their columns in another unit; the first is ones.

    Attributes
    ----------
    inverse : (7, m) its pseudo-inverse in single precision, the plain fit to logarithms.

    Notes
    -----
    Logarithms, weights and sums are in single precision, FA then has errors of 1e-5; the equations
    of each voxel are solved in double.
    """

    def __init__(self, design: Float[np.ndarray, "m 7"]) -> None:
        self.design = design
        self.inverse = np.linalg.pinv(design).astype(np.float32)
        self._single = design.astype(np.float32)
        self._pairs = self._single[:, ROW] * self._single[:, COLUMN]

    def __call__(
        self, signals: Float[np.ndarray, "m n"], lowest: float
    ) -> Float[np.ndarray, "7 n"]:
        """log S0 and the tensor of n voxels, in the inverse of the design's unit.

        Parameters
        ----------
        signals : a volume a row; below ``lowest`` they count as that, which is above 0.
        """
        lowest = float(np.float32(lowest))  # the unit, so that the data's own changes no digit
        fit = self._plain if tensors is None else self._compiled
        fitted = fit(np.asarray(signals, np.float32), lowest)
        fitted[0] += np.log(lowest)
        return fitted

    def _plain(self, signals: Float[np.ndarray, "m n"], unit: float) -> Float[np.ndarray, "7 n"]:
        """The same of ``signals`` over their ``unit``."""
        logs = np.log(np.maximum(signals / np.float32(unit), np.float32(1)))
        level = logs.mean(0)
        logs -= level
        expected = self._single @ (self.inverse @ logs)
        expected -= expected.max(0)
        weight = np.exp(2 * expected)
        normal = (self._pairs.T @ weight).astype(float)
        diagonal = np.flatnonzero(ROW == COLUMN)
        normal[diagonal] += NEARLY * normal[diagonal].sum(0)
        weight *= logs
        fitted = solve_symmetric(normal, (self._single.T @ weight).astype(float))
        fitted[0] += level
        return fitted

    def _compiled(self, signals: Float[np.ndarray, "m n"], unit: float) -> Float[np.ndarray, "7 n"]:
        own, plain = (np.pad(part, ((0, 0), (0, 1))) for part in (self._single, self.inverse.T))
        arrays = (signals, own, plain, self._pairs)
        fitted = np.empty((UNKNOWNS, signals.shape[1]))
        tensors.fit(*(np.ascontiguousarray(part) for part in arrays), unit, NEARLY, fitted)
        return fitted
