"""nlsam: absent, in the wrong company, present; what it is given and what comes back."""

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from scipy import ndimage

from dwiser.errors import Code
from dwiser.methods.peers.nlsam import NLSAM, needed_function
from dwiser.methods.registry import METHODS
from dwiser.scan import Gradients
from tests.refusals import refused


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict:
    """A stand-in for the package, and what its functions were given."""
    received: dict = {}

    def stabilization(data, m_hat, sigma, N, mask=None, n_cores=-1):
        received.update(coils=N, stabilized_in=mask)
        return data - 1

    def nlsam_denoise(data, sigma, bvals, bvecs, block_size, mask=None, **settings):
        received.update(settings, block_size=block_size.tolist(), mask=mask, draw=np.random.rand())  # noqa: NPY002
        b0s = bvals <= settings["b0_threshold"]
        data[..., b0s] = data[..., b0s].mean(-1, keepdims=True)  # in place, as the real one does
        return data / 2

    for name, function in (("denoiser", nlsam_denoise), ("bias_correction", stabilization)):
        module = ModuleType(f"nlsam.{name}")
        setattr(module, function.__name__, function)
        monkeypatch.setitem(sys.modules, f"nlsam.{name}", module)
    monkeypatch.setitem(sys.modules, "nlsam", ModuleType("nlsam"))
    return received


def test_without_it_one_sentence_says_what_to_install(small, machine, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "nlsam", None)
    monkeypatch.delitem(sys.modules, "nlsam.denoiser", raising=False)
    with refused(Code.PROGRAM_MISSING, "nlsam is not installed: pip install nlsam 'scipy<1.17'"):
        NLSAM().denoise(small.scan, machine=machine, seed=0)


def test_a_scipy_that_it_does_not_know_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_nlsam_part.py").write_text("raise ImportError('no function chndtr')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with refused(Code.PROGRAM_MISSING, "no function chndtr", "pip install 'scipy<1.17'"):
        needed_function("broken_nlsam_part", "anything")


def test_the_mask_is_made_wider_and_the_result_cut_back(small, machine, calls) -> None:
    mask = np.zeros(small.mask.shape, bool)
    mask[8:18, 8:16, 2:6] = True
    scan = replace(small.scan, data=small.scan.data.copy(), mask=mask)
    result = NLSAM(neighbours=4, iterations=3).denoise(scan, machine=machine, seed=0)
    np.testing.assert_array_equal(scan.data, small.scan.data)
    wide = ndimage.binary_dilation(mask, iterations=3)
    np.testing.assert_array_equal(calls["mask"], wide)
    np.testing.assert_array_equal(calls["stabilized_in"], wide)
    dwis = ~scan.gradients.is_b0
    expected = ((scan.data - 1) / 2)[mask][:, dwis]
    np.testing.assert_allclose(result.data[mask][:, dwis], expected.clip(min=0))
    np.testing.assert_array_equal(result.data[~mask], scan.data[~mask])
    assert calls["block_size"] == [3, 3, 3, 4]
    assert (calls["n_iter"], calls["n_cores"]) == (3, 1)
    assert calls["b0_threshold"] == scan.gradients.b0_threshold
    assert result.record["noise_floor"] == "removed"
    assert result.record["coils"] == calls["coils"]


def test_without_stabilization_the_floor_stays(small, machine, calls) -> None:
    result = NLSAM(stabilize=False).denoise(small.scan, machine=machine, seed=0)
    assert "coils" not in calls
    assert result.record["noise_floor"] == "kept"


def test_its_draws_follow_the_seed_and_leave_numpys_state_alone(small, machine, calls) -> None:
    before, draws = np.random.get_state()[1].copy(), []  # noqa: NPY002
    for seed in (1, 1, 2):
        NLSAM().denoise(small.scan, machine=machine, seed=seed)
        draws.append(calls["draw"])
    assert draws[0] == draws[1] != draws[2]
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_scans_that_it_cannot_cut_into_blocks_are_refused(small, machine, calls) -> None:
    dwis = np.flatnonzero(~small.scan.gradients.is_b0)

    def some(volumes) -> object:
        g = small.scan.gradients
        table = Gradients(g.bvals[volumes], g.bvecs[volumes])
        return replace(small.scan, data=small.scan.data[..., volumes].copy(), gradients=table)

    thin = replace(small.scan, data=small.scan.data[:, :, 3:5].copy())
    for scan, code, words in (
        (some(dwis), Code.GRADIENTS_NO_B0, "needs at least 1 b0"),
        (some(np.arange(8)), Code.GRADIENTS_TOO_FEW, "set neighbours=6"),
        (thin, Code.SCAN_TOO_SMALL, "3 voxels along each axis: take nlmeans"),
    ):
        with refused(code, "nlsam ", words):
            NLSAM(neighbours=8).denoise(scan, machine=machine, seed=0)


@pytest.mark.skipif(not METHODS["nlsam"].available, reason="nlsam is not on this machine")
def test_the_real_one_halves_nothing_at_the_masks_edge(tiny, machine) -> None:
    mask = np.zeros(tiny.mask.shape, bool)
    mask[3:7, 3:8, 1:4] = True
    scan = replace(tiny.scan, mask=mask, sigma=tiny.sigma)
    result = NLSAM(stabilize=False, iterations=2).denoise(scan, machine=machine, seed=0)
    assert result.record["volumes_denoised"] == scan.shape[3]
    ratio = result.data[mask].mean() / tiny.truth[mask].mean()
    assert ratio == pytest.approx(1, abs=0.1)
