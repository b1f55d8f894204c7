"""A complex image is its magnitude and its phase."""

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.io import load
from tests.refusals import refused


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
@pytest.mark.parametrize("name", ["dwi.nii", "dwi.nii.gz"])
def test_magnitude_and_phase(small, kind, name) -> None:
    turn = np.exp(1j * np.linspace(-3, 3, small.data.size).reshape(small.shape))
    scan = load(small.series(name, data=(small.data * turn).astype(kind)))
    assert scan.data.dtype == scan.phase.dtype == np.float32
    np.testing.assert_allclose(scan.data, small.data, rtol=1e-5)
    np.testing.assert_allclose(np.exp(1j * scan.phase), turn, atol=1e-5)


def test_a_real_image_has_no_phase(small) -> None:
    assert load(small.series()).phase is None


def test_a_complex_mask_is_refused_by_name(small) -> None:
    mask = small.image("m.nii.gz", np.ones(small.shape[:3], np.complex64))
    with refused(Code.IMAGE_KIND, "m.nii.gz: the image is complex", "give one that is real"):
        load(small.series(), mask=mask)
