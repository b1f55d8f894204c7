"""pointwise.c: what lookup.py, rician_bias.py and angular_response.py do, compiled.

All arrays are float32 and in C order.
"""

import numpy as np
from jaxtyping import Float

def interpolate(
    values: Float[np.ndarray, "k t"],
    low: float,
    inverse: float,
    x: Float[np.ndarray, "*s"],
    out: Float[np.ndarray, "k *s"],
    /,
) -> None:
    """Fill ``out`` with k functions at x: linear between ``low``, ``low + 1/inverse``, ….

    Raises
    ------
    TypeError, ValueError
        For arrays of another type or size.
    """

def bilinear(
    table: Float[np.ndarray, "r c"],
    row: Float[np.ndarray, "*s"],
    column: Float[np.ndarray, "*s"],
    out: Float[np.ndarray, "*s"],
    /,
) -> None:
    """Fill ``out`` with the table's values between its rows and columns; constant beyond."""

def trilinear(
    table: Float[np.ndarray, "l r c"],
    layer: Float[np.ndarray, "*s"],
    row: Float[np.ndarray, "*s"],
    column: Float[np.ndarray, "*s"],
    out: Float[np.ndarray, "*s"],
    /,
) -> None:
    """The same of a table of three axes."""

def polynomial(
    coefficients: Float[np.ndarray, "n 15"],
    tensors: Float[np.ndarray, "n 6"],
    forms: Float[np.ndarray, "6 m"],
    out: Float[np.ndarray, "n m"],
    /,
) -> None:
    """Fill ``out`` with the sums of coefficients times monomials of gᵀDg and gᵀD²g."""

def moments(
    weights: Float[np.ndarray, "n m"] | None,
    tensors: Float[np.ndarray, "n 6"],
    forms: Float[np.ndarray, "6 m"],
    degree: int,
    sums: Float[np.ndarray, "n k"],
    /,
) -> None:
    """Fill ``sums`` with weights times these monomials up to a degree, at most 8, over m."""
