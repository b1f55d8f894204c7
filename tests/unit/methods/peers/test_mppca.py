"""MPPCA in slabs is MPPCA in one piece."""

from dataclasses import replace

import numpy as np
import pytest
from dipy.denoise.localpca import mppca

from dwiser.errors import DwiserWarning
from dwiser.machine import Machine
from dwiser.memmap import allocate_mapped
from dwiser.methods.peers import slabs as module
from dwiser.methods.peers.mppca import MPPCA
from dwiser.methods.peers.slabs import slabs
from dwiser.simulation import phantom


@pytest.fixture(scope="module")
def scan():
    simulation = phantom(shape=(18, 18, 15), shells=((1000.0, 8),), n_b0=1, snr=20.0, seed=7)
    return replace(simulation.scan, mask=simulation.mask)


@pytest.mark.parametrize("threads", [1, 3])
def test_slabs_in_processes_are_dipys_one_call_to_the_bit(scan, threads, monkeypatch) -> None:
    monkeypatch.setattr(module, "WORTH_A_PROCESS", 1)
    result = MPPCA().denoise(scan, machine=Machine("cpu", threads), seed=0)
    assert result.record["processes"] == threads
    with np.errstate(invalid="ignore", divide="ignore"):
        of_dipy = mppca(scan.data, mask=scan.mask, patch_radius=2)
    reached = scan.mask & np.isfinite(of_dipy).all(-1)
    np.testing.assert_array_equal(result.data[reached], of_dipy[reached])
    not_reached = scan.mask & ~reached
    np.testing.assert_array_equal(result.data[not_reached], scan.data[not_reached])
    assert result.record["voxels_left_as_they_were"] == not_reached.sum() * scan.shape[3]


def test_a_scan_in_a_mapped_file_without_a_name_goes_to_processes_too(scan, monkeypatch) -> None:
    """joblib hands a mapped array over by its file's name."""
    monkeypatch.setattr(module, "WORTH_A_PROCESS", 1)
    mapped = allocate_mapped(scan.shape)
    mapped[...] = scan.data
    own, other = (
        MPPCA().denoise(replace(scan, data=data), machine=Machine("cpu", 3), seed=0).data
        for data in (scan.data, mapped)
    )
    np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_slabs_share_the_masks_slices_and_reach_two_radii_further(parts, radius) -> None:
    mask = np.zeros((4, 5, 23), bool)
    mask[1:3, :, 4:11], mask[:, :, 11:20] = True, True
    parts_of_mask = slabs(mask, radius, parts)
    covered = [k for part in parts_of_mask for k in range(23)[part.inner]]
    assert covered == list(range(4, 20))
    assert len(parts_of_mask) <= parts
    for part in parts_of_mask:
        assert part.outer == slice(
            max(0, part.inner.start - 2 * radius), min(23, part.inner.stop + 2 * radius)
        )
        assert range(23)[part.outer][part.within] == range(23)[part.inner]
    if parts in (2, 3):
        work = [mask[:, :, part.inner].sum() for part in parts_of_mask]
        assert max(work) - min(work) <= 2 * mask.sum((0, 1)).max()


def test_patches_shrink_along_short_axes(scan, machine) -> None:
    thin = replace(scan, data=scan.data[:, :, 6:9].copy(), mask=scan.mask[:, :, 6:9].copy())
    result = MPPCA().denoise(thin, machine=machine, seed=0)
    assert result.record["patch_radius_by_axis"] == [2, 2, 1]
    assert (result.data != thin.data)[thin.mask].mean() > 0.9


def test_more_volumes_than_voxels_a_patch_are_warned_of(machine) -> None:
    simulation = phantom(shape=(10, 10, 5), shells=((1000.0, 27),), n_b0=1, seed=1)
    with pytest.warns(DwiserWarning, match="27 voxels a patch but 28 volumes"):
        MPPCA(patch_radius=1).denoise(simulation.scan, machine=machine, seed=0)
