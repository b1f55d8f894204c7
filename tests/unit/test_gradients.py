"""The gradient table as values: b0s, DWIs, and DWIs without a direction."""

import numpy as np

from dwiser.scan import Gradients


def test_a_null_vector_is_a_dwi_without_direction_and_stays_null() -> None:
    table = Gradients(
        np.array([0.0, 1000, 1000, 40]), np.array([[0.0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]])
    )
    assert table.without_direction.tolist() == [False, True, False, False]
    assert table.is_b0.tolist() == [True, False, False, True]
    assert not table.bvecs[1].any()
