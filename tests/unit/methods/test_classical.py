"""The way back into the scan: the mask, the units, what passes and what is left."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.errors import DwiserWarning
from dwiser.methods.classical import Filtered, MaskAndSigma, restored
from dwiser.methods.registry import Entry, build
from dwiser.scan import Gradients, Scan


def scan_of(data: np.ndarray) -> Scan:
    count = data.shape[3]
    bvecs = np.tile([1.0, 0.0, 0.0], (count, 1))
    return Scan(data.astype(np.float32), np.eye(4), Gradients(np.full(count, 1000.0), bvecs))


def test_only_finite_voxels_of_the_mask_change_and_none_falls_below_zero() -> None:
    scan = scan_of(np.full((4, 3, 2, 3), 5.0))
    mask = np.zeros((4, 3, 2), bool)
    mask[1:3] = True
    filtered = np.full(scan.shape, 7.0, np.float32)
    filtered[1, 0, 0, 0], filtered[2, 0, 0, 1] = np.nan, -3.0
    domain = MaskAndSigma(mask, np.ones(mask.shape, np.float32))
    result = restored(scan, domain, Filtered(filtered, {2: "a reason"}, {"told": 1}))
    expected = np.where(mask[..., None], 7.0, 5.0) * np.ones(3)
    expected[1, 0, 0, 0], expected[2, 0, 0, 1], expected[..., 2] = 5.0, 0.0, 5.0
    np.testing.assert_array_equal(result.data, expected)
    assert result.record == {
        "told": 1,
        "volumes_denoised": 2,
        "volumes_passed_through": {"2": "a reason"},
        "voxels_left_as_they_were": 1,
    }


@pytest.mark.parametrize("name", ["subspace", "nlmeans", "ascm"])
def test_a_scan_without_noise_comes_back_as_it_is(name, small, machine) -> None:
    clean = replace(small.scan, sigma=np.zeros(small.mask.shape, np.float32))
    with pytest.warns(DwiserWarning, match="No noise was found"):
        result = build(name).denoise(clean, machine=machine, seed=0)
    np.testing.assert_array_equal(result.data, clean.data)
    assert result.record["volumes_denoised"] == 0


def test_a_method_says_when_its_program_is_not_on_this_machine() -> None:
    entry = Entry("place:Name", "line", "citation", "a program", program="no-such-program-here")
    assert not entry.available
    assert entry.needs_here == "a program (not on this machine)"
    assert Entry("place:Name", "line", "citation", "b-values").needs_here == "b-values"
