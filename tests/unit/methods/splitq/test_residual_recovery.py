"""What goes back: a lesion that one volume shows, and none of the noise."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dwiser.methods.splitq.residual_recovery import NEAR, Neighbours, given_back, mean_back
from dwiser.seeds import stream

SHAPE, SIZE = (24, 25, 12), (2.0, 2.0, 2.0)


def noise(scale: np.ndarray | float = 1.0, volumes: int = 12) -> np.ndarray:
    return (scale * stream(1, "residual").standard_normal((*SHAPE, volumes))).astype(np.float32)


def each(residual: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """``mean_back`` of every volume."""
    near = Neighbours.of(mask, NEAR)
    return np.stack([mean_back(r, near) for r in residual.T], 1)


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.15])
def test_noise_stays_out_whatever_sigma_was_taken_for(scale: float) -> None:
    mask = np.ones(SHAPE, bool)
    share = given_back(noise(scale)[mask], mask, SIZE)
    assert share.mean() < 0.005


def test_a_sigma_that_errs_slowly_in_space_gives_nothing_back() -> None:
    mask = np.ones(SHAPE, bool)
    slope = np.linspace(0.85, 1.15, SHAPE[0])[:, None, None, None]
    assert given_back(noise(slope)[mask], mask, SIZE).mean() < 0.01


def test_what_one_volume_shows_goes_back_there_and_nowhere_else() -> None:
    mask = np.ones(SHAPE, bool)
    residual = noise()
    spot = np.zeros(SHAPE, bool)
    spot[10:14, 10:14, 4:8] = True
    residual[spot, 3] += 4
    share = np.zeros((*SHAPE, 12))
    share[mask] = given_back(residual[mask], mask, SIZE)
    assert share[spot, 3].mean() > 0.7
    assert np.delete(share, 3, axis=3).mean() < 0.005


def test_noise_that_neighbours_share_stays_out_where_fewer_of_them_count() -> None:
    mask = np.ones(SHAPE, bool)
    alike = gaussian_filter(noise(), (0.7, 0.7, 0.7, 0))[mask]
    alike /= alike.std()
    assert given_back(alike, mask, SIZE).mean() > 0.02
    assert given_back(alike, mask, SIZE, 1 / 9).mean() < 0.01


def test_no_voxels_own_noise_decides_for_it() -> None:
    mask = np.ones(SHAPE, bool)
    residual = noise()
    residual[12, 12, 6, 2] = 30.0
    share = np.zeros((*SHAPE, 12))
    share[mask] = given_back(residual[mask], mask, SIZE)
    assert share[12, 12, 6, 2] < 0.3


def test_few_volumes_or_neighbours_give_nothing_back() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[3, 3, :4] = True
    assert not given_back(10 * noise()[mask], mask, SIZE).any()
    full = np.ones(SHAPE, bool)
    assert not given_back(10 * noise(volumes=3)[full], full, SIZE).any()


def test_noises_local_mean_stays_out() -> None:
    mask = np.ones(SHAPE, bool)
    back = each(noise()[mask], mask)
    assert np.square(back).mean() < 1e-4  # of the noise's variance


def test_a_faint_spot_of_one_sign_goes_back_without_its_noise() -> None:
    """One σ of contrast: too faint for the energy, plain for the mean of 27 voxels."""
    mask = np.ones(SHAPE, bool)
    residual = noise()
    spot = np.zeros(SHAPE, bool)
    spot[9:14, 9:14, 4:9] = True
    residual[spot, 3] += 1.2
    back, core = np.zeros((*SHAPE, 12)), np.zeros(SHAPE, bool)
    back[mask] = each(residual[mask], mask)
    core[10:13, 10:13, 5:8] = True
    assert back[core, 3].mean() > 0.6
    assert np.square(np.delete(back, 3, axis=3)).mean() < 1e-4


def test_no_voxel_brings_its_own_noise_back() -> None:
    mask = np.ones(SHAPE, bool)
    residual = 0.01 * noise()
    residual[12, 12, 6, 2] = 30.0
    back = np.zeros((*SHAPE, 12))
    back[mask] = each(residual[mask], mask)
    assert abs(back[12, 12, 6, 2]) < 0.1
