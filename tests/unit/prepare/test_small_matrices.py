"""Small matrices at once are what LAPACK says of each."""

import numpy as np
import pytest

from dwiser.prepare.small_matrices import (
    eigenvalues_3x3,
    first_vector_3x3,
    solve_symmetric,
)
from dwiser.seeds import stream

ORDER = [0, 1, 3, 1, 2, 4, 3, 4, 5]  # Dxx Dxy Dyy Dxz Dyz Dzz as a full matrix


@pytest.mark.parametrize("size", [1, 2, 7])
def test_positive_definite_equations(size: int) -> None:
    half = stream(size, "matrix").normal(size=(30, size + 3, size))
    full, right = half.transpose(0, 2, 1) @ half, stream(1, "right").normal(size=(30, size))
    row, column = np.triu_indices(size)
    solved = solve_symmetric(full[:, row, column].T.copy(), right.T.copy())
    np.testing.assert_allclose(solved.T, np.linalg.solve(full, right[..., None])[..., 0], rtol=1e-8)


def tensors() -> np.ndarray:
    """(6, n): any, prolate, planar, isotropic, diagonal and zero."""
    any_ = stream(0, "tensor").normal(size=(6, 40))
    some = [(3, 0, 1, 0, 0, 1), (2, 0, 2, 0, 0, 1), (1, 0, 1, 0, 0, 1), (1, 0, 2, 0, 0, 3)]
    return np.concatenate([any_, np.array([*some, (0,) * 6, (1, 1, 1, 1, 1, 1)], float).T], 1)


def test_eigenvalues_and_the_first_vector() -> None:
    tensor = tensors()
    full = tensor[ORDER].T.reshape(-1, 3, 3)
    expected = np.linalg.eigvalsh(full)[:, ::-1].T
    values = eigenvalues_3x3(tensor)
    np.testing.assert_allclose(values, expected, atol=1e-7)
    vector = first_vector_3x3(tensor, values)
    np.testing.assert_allclose(np.linalg.norm(vector, axis=0), 1, atol=1e-9)
    np.testing.assert_allclose(
        np.einsum("nij,jn->in", full, vector), expected[0] * vector, atol=1e-6
    )
