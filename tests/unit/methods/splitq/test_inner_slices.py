"""The slices that are learned on lie where the mask is."""

import numpy as np
import pytest

from dwiser.methods.splitq.whitened import RIM, RUN, inner_slices


@pytest.mark.parametrize("low", [0, 20, 40])
def test_a_mask_of_a_third_of_the_slices_is_learned_on(low: int) -> None:
    mask = np.zeros((10, 10, 60), bool)
    mask[2:8, 2:8, low : low + 20] = True
    part, trusted = inner_slices(mask, 200)
    for chosen, expected in ((part, RUN), (trusted, RUN - 2 * RIM)):
        assert not (chosen & ~mask).any()
        assert chosen.any((0, 1)).sum() == expected


def test_slices_at_the_mask_s_ends_need_no_rim() -> None:
    mask = np.ones((6, 6, 13), bool)
    part, trusted = inner_slices(mask, 300)
    assert part.any((0, 1)).sum() == RUN
    assert trusted.any((0, 1)).sum() == RUN - RIM


def test_a_small_mask_is_taken_whole() -> None:
    mask = np.zeros((5, 5, 30), bool)
    mask[..., 9] = True
    assert all((chosen == mask).all() for chosen in inner_slices(mask, 100))
