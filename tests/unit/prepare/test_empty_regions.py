"""Lost places of a volume are seen in objects of any width, and nothing breaks for a narrow one."""

import numpy as np
import pytest

from dwiser.prepare.empty_regions import empty_regions
from dwiser.seeds import stream


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6])
def test_a_lost_slice_of_an_object_of_any_width(width: int, axis: int) -> None:
    data = np.abs(stream(width, "narrow").normal(size=(20, 20, 8, 6))).astype(np.float32)
    object_ = [slice(4, 16), slice(4, 16), slice(None)]
    object_[axis] = slice(8, 8 + width)
    data[tuple(object_)] += 100
    assert empty_regions(data, np.arange(6)) == {}
    data[:, :, 3, 2] = 0
    regions = empty_regions(data, np.arange(6), threads=2)
    assert list(regions) == [2]
    assert regions[2][tuple(object_)][:, :, 3].all()
    assert not regions[2][:, :, :3].any()
