"""tensors.c: what tensor_fit.py does, compiled.

Signals are float32, results float64, all in C order.
"""

import numpy as np
from jaxtyping import Float

def fit(
    signals: Float[np.ndarray, "m n"],
    design: Float[np.ndarray, "m 8"],
    inverse: Float[np.ndarray, "m 8"],
    pairs: Float[np.ndarray, "m 28"],
    unit: float,
    ridge: float,
    out: Float[np.ndarray, "7 n"],
    /,
) -> None:
    """Fill ``out`` with log(S0/``unit``) and the tensor of n voxels, by weighted least squares.

    A volume is a row of ``signals`` (below ``unit`` they count as that), of the ``design`` with a
    column of zeros after its seven, of the transposed pseudo-``inverse`` with one too, and of the
    products of two columns, as `numpy.triu_indices` orders them. ``ridge`` times its trace is added
    to a matrix' diagonal.

    Raises
    ------
    TypeError, ValueError
        For arrays of another type or size.
    """
