"""Voxels of one value throughout are no data, whatever the value."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.prepare.coils import effective_coils
from dwiser.prepare.constant_voxels import varying
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.simulation import phantom


def test_a_voxel_that_differs_in_one_volume_varies() -> None:
    data = np.full((2, 3, 1, 4), 7, np.float32)
    data[1, 2, 0, 3] = 8
    assert varying(data).sum() == 1
    assert varying(np.full((2, 3, 1, 4), 7, np.float32)).all()
    assert not varying(np.zeros((2, 3, 1, 4), np.float32)).any()


@pytest.mark.parametrize("value", [10.0, -1.0, -1024.0, 5000.0])
def test_mask_noise_and_channels_are_those_of_a_background_of_zeros(value) -> None:
    made = phantom((20, 22, 8), shells=((1000.0, 12),), n_b0=2, snr=20.0, seed=3)
    scans = []
    for filling in (0.0, value):
        data = made.scan.data.copy()
        data[~made.mask] = filling
        scans.append(replace(made.scan, data=data))
    zeros, filled = scans
    mask = object_mask(filled)
    np.testing.assert_array_equal(mask, object_mask(zeros))
    np.testing.assert_array_equal(sigma_map(filled, mask), sigma_map(zeros, mask))
    assert effective_coils(filled, mask) == effective_coils(zeros, mask)
