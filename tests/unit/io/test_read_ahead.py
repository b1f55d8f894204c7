"""A series that was begun to be read is the same series; what cannot be is told by ``load``."""

import warnings

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.io import begin_load, load
from dwiser.memmap import is_mapped
from tests.refusals import refused


@pytest.mark.parametrize("name", ["dwi.nii", "dwi.nii.gz"])
@pytest.mark.parametrize("memory", [None, 100])
def test_the_scan_is_the_same_and_the_voxels_are_not_read_again(
    small, monkeypatch, name, memory
) -> None:
    path = small.series(name)
    expected = load(path).data
    ahead = begin_load(path, memory)
    assert ahead is not None
    ahead._thread.join()
    monkeypatch.setattr("dwiser.io.series.read_voxels", None)
    data = load(path, ahead=ahead, memory=memory).data
    assert is_mapped(data) == (memory is not None)
    np.testing.assert_array_equal(data, expected)


def test_it_is_given_once_and_not_for_another_image(small) -> None:
    ahead = begin_load(small.series("a.nii.gz"))
    other = small.series("b.nii.gz", data=small.data + 1)
    np.testing.assert_array_equal(load(other, ahead=ahead).data, small.data + 1)
    np.testing.assert_array_equal(load(small.path("a.nii.gz"), ahead=ahead).data, small.data)


def test_a_damaged_one_is_told_by_load_alone(small) -> None:
    path = small.series("dwi.nii")
    path.write_bytes(path.read_bytes()[:-10])
    ahead = begin_load(path)
    with refused(Code.IMAGE_DAMAGED, "dwi.nii: ", "truncated"):
        load(path, ahead=ahead)


def test_what_load_reads_otherwise_or_refuses_is_left_to_it(small) -> None:
    assert begin_load(small.series(data=(small.data * 1j).astype(np.complex64))) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert begin_load(small.path("none.nii.gz")) is None
