"""A mask of one, two or three voxels: no σ, so no denoising; with a map of it, as ever."""

import numpy as np
import pytest

import dwiser
from dwiser.errors import Code
from tests.refusals import refused


@pytest.fixture(scope="module")
def head():
    return dwiser.simulate((16, 16, 8), shells=[(1000, 12)], n_b0=2, seed=1)


@pytest.mark.parametrize("count", [1, 3])
def test_few_voxels_tell_no_noise(head, count) -> None:
    mask = np.zeros(head.mask.shape, bool)
    mask[8, 8 : 8 + count, 4] = True
    with refused(Code.SCAN_TOO_SMALL, "fewer than 4 voxels", "larger mask", "map"):
        dwiser.denoise(head.scan, mask=mask)


@pytest.mark.filterwarnings("ignore::dwiser.DwiserWarning")
def test_one_voxel_of_known_noise_is_not_made_worse(head) -> None:
    mask = np.zeros(head.mask.shape, bool)
    mask[8, 8, 4] = True
    result = dwiser.denoise(head.scan, mask=mask, noise_map=head.sigma)
    off = (result.data - head.truth)[mask] / head.sigma[mask]
    assert np.sqrt(np.square(off).mean()) < 1.3
