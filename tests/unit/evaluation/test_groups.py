import numpy as np
import pytest

from dwiser.evaluation.groups import in_mask, voxels_in_turn


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
def test_voxels_in_turn_are_those_of_the_mask(order: str, kind: type) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 900, (5, 6, 7, 4)).astype(kind, order=order)
    mask, volumes = rng.random((5, 6, 7)) < 0.4, np.array([3, 0, 2])
    parts = list(voxels_in_turn(data, mask, volumes, at_once=10))
    assert max(len(part) for part in parts) == 10
    np.testing.assert_array_equal(np.concatenate(parts), in_mask(data, mask, volumes))
