"""The packaged scan: whole, small, attributed, and its directions right as stored."""

import nibabel as nib
import numpy as np
import pytest

from dwiser.io.sample import sample_paths
from dwiser.reports.tensor import colour_fa
from dwiser.scan import Gradients

CALLOSUM = (slice(50, 58), slice(24, 42), slice(12, 16))  # its body, across the midline


@pytest.fixture(scope="module")
def image():
    return nib.load(sample_paths().dwi)


@pytest.fixture(scope="module")
def table() -> Gradients:
    paths = sample_paths()
    return Gradients(np.loadtxt(paths.bval), np.loadtxt(paths.bvec).T)


def test_it_is_under_four_megabytes_and_attributed():
    paths = sample_paths()
    assert paths.dwi.stat().st_size < 4e6
    attribution = (paths.dwi.parent / "ATTRIBUTION.md").read_text()
    for needed in ("CC BY 4.0", "10.1016/j.media.2016.02.010", "nlsam", "Changes made"):
        assert needed in attribution


def test_all_volumes_are_there_in_the_scanners_numbers(image, table):
    assert image.shape[3] == len(table) == 41
    assert np.flatnonzero(table.is_b0).tolist() == [40]
    assert image.get_data_dtype() == np.uint16
    assert image.dataobj.slope == pytest.approx(0.2198742926120758)
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
    assert np.isnan(image.header["pixdim"][4])
    assert np.allclose(image.header.get_qform(), image.header.get_sform(), atol=1e-4)


def test_every_direction_is_of_unit_length():
    vectors = np.loadtxt(sample_paths().bvec).T[:40]
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_the_corpus_callosum_runs_left_to_right(image, table):
    data = np.asarray(image.dataobj, np.float32)[CALLOSUM]
    colours = colour_fa(data, table, np.ones(data.shape[:3], bool))
    strong = colours.max(-1) > 0.5
    assert strong.mean() > 0.3
    assert (colours[strong].argmax(-1) == 0).mean() > 0.95
