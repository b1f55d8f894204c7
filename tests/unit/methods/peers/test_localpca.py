"""localpca is DIPY's, with DIPY's σ or the scan's map, in slabs as in one piece."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from dipy.core.gradients import gradient_table
from dipy.denoise.localpca import localpca
from dipy.denoise.pca_noise_estimate import pca_noise_estimate

from dwiser.errors import Code, DwiserWarning
from dwiser.machine import Machine
from dwiser.methods.peers import slabs as module
from dwiser.methods.peers.localpca import LocalPCA, estimated_sigma
from dwiser.run.capabilities import check_noise_map
from dwiser.scan import Gradients
from dwiser.simulation import phantom
from tests.refusals import refused


@pytest.fixture(scope="module")
def scan():
    simulation = phantom(shape=(16, 16, 15), shells=((1000.0, 8),), n_b0=2, snr=20.0, seed=7)
    return replace(simulation.scan, mask=simulation.mask)


def some_volumes(scan, b0s: int, directions: int):
    is_b0 = scan.gradients.is_b0
    volumes = [*np.flatnonzero(is_b0)[:b0s], *np.flatnonzero(~is_b0)[:directions]]
    table = Gradients(scan.gradients.bvals[volumes], scan.gradients.bvecs[volumes])
    return replace(scan, data=scan.data[..., volumes].copy(), gradients=table)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("tau_factor", [2.3, None])
def test_slabs_are_dipys_one_call_to_the_bit(scan, threads, tau_factor, monkeypatch) -> None:
    monkeypatch.setattr(module, "WORTH_A_PROCESS", 1)
    method = LocalPCA(tau_factor=tau_factor)
    result = method.denoise(scan, machine=Machine("cpu", threads), seed=0)
    table = gradient_table(scan.gradients.bvals, bvecs=scan.gradients.bvecs)
    sigma = pca_noise_estimate(scan.data, table, correct_bias=True, smooth=3)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_dipy = localpca(
            scan.data, sigma=sigma.astype(np.float32), mask=scan.mask, tau_factor=tau_factor
        )
    reached = scan.mask & np.isfinite(of_dipy).all(-1)
    np.testing.assert_array_equal(result.data[reached], of_dipy[reached])
    assert result.record["processes"] == threads
    assert result.record["its_own_sigma_median"] == pytest.approx(np.median(sigma[scan.mask]))


def test_with_sigma_map_the_users_map_decides_how_much_is_removed(scan, machine) -> None:
    def removed(sigma: float, method: LocalPCA) -> float:
        known = replace(scan, sigma=np.full(scan.shape[:3], sigma, np.float32))
        result = method.denoise(known, machine=machine, seed=0)
        return float(np.square(result.data - scan.data)[scan.mask].mean())

    low, high = (removed(s, LocalPCA(sigma="map")) for s in (1e-3, 60.0))
    assert low < 1e-3 * high
    assert removed(1e-3, LocalPCA()) == removed(60.0, LocalPCA())


def test_a_map_that_changes_nothing_is_said_with_the_remedy() -> None:
    with pytest.warns(DwiserWarning, match="--set sigma=map would use it"):
        check_noise_map(LocalPCA())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_noise_map(LocalPCA(sigma="map"))


def test_dipys_sigma_of_few_volumes_is_too_high_and_said_so(small) -> None:
    true = small.sigma[small.mask].mean()
    with pytest.warns(DwiserWarning, match=r"1 b0 and 3 .*set sigma=map"):
        few = estimated_sigma(some_volumes(small.scan, 1, 3), 3)
    assert np.median(few[small.mask]) > 1.2 * true
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        enough = [estimated_sigma(some_volumes(small.scan, *n), 3) for n in ((1, 6), (2, 3))]
    for sigma in enough:
        assert np.median(sigma[small.mask]) == pytest.approx(true, rel=0.2)


def test_an_axis_of_two_voxels_is_refused_with_the_remedy(scan, machine) -> None:
    thin = replace(scan, data=scan.data[:, :, 6:8].copy(), mask=scan.mask[:, :, 6:8].copy())
    with refused(Code.SCAN_TOO_SMALL, "set sigma=map"):
        LocalPCA().denoise(thin, machine=machine, seed=0)
    result = LocalPCA(sigma="map").denoise(thin, machine=machine, seed=0)
    assert result.record["patch_radius_by_axis"] == [2, 2, 0]
    assert (result.data != thin.data)[thin.mask].mean() > 0.9
