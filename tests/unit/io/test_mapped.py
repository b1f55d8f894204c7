"""A series above a quarter of the memory is mapped, and is the same series."""

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.io import load
from dwiser.memmap import is_mapped
from tests.refusals import refused


@pytest.mark.parametrize("name", ["dwi.nii", "dwi.nii.gz"])
@pytest.mark.parametrize("dtype", ["f4", ">f4", "<i2", ">u2", "f8"])
def test_a_mapped_series_is_the_same(small, name, dtype) -> None:
    path = small.series(name, data=small.data.astype(dtype))
    in_memory, mapped = load(path), load(path, memory=100)
    assert is_mapped(mapped.data)
    assert not is_mapped(in_memory.data)
    assert not is_mapped(load(path, memory=10**9).data)
    assert mapped.data.dtype == np.float32
    np.testing.assert_array_equal(mapped.data, in_memory.data)


def test_writing_into_it_does_not_change_the_file(small) -> None:
    path = small.series("dwi.nii")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="read-only"):
        load(path, memory=100).data[:] = 5
    assert path.read_bytes() == before


def test_a_complex_series_is_mapped_too(small) -> None:
    path = small.series(data=(small.data * 1j).astype(np.complex64))
    scan = load(path, memory=100)
    assert is_mapped(scan.data)
    assert is_mapped(scan.phase)
    np.testing.assert_array_equal(scan.data, small.data)
    np.testing.assert_allclose(scan.phase, np.pi / 2, atol=1e-6)


def test_a_full_temporary_folder_is_reported(small, monkeypatch) -> None:
    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with refused(Code.DISK_SCRATCH, "dwi.nii.gz: it needs a temporary file", "TMPDIR"):
        load(small.series(), memory=100)


def test_a_truncated_one_is_refused(small) -> None:
    path = small.series("dwi.nii")
    path.write_bytes(path.read_bytes()[:-10])
    with refused(Code.IMAGE_DAMAGED, "dwi.nii: ", "truncated", "export or copy it again"):
        load(path, memory=100)


def test_a_disk_that_is_full_only_as_it_is_filled_is_reported_too(small, monkeypatch) -> None:
    """Where room cannot be reserved the first volumes may still be written."""
    monkeypatch.delattr("os.posix_fallocate", raising=False)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "wb"))  # noqa: SIM115
    with refused(Code.DISK_SCRATCH, "dwi.nii.gz: it needs a temporary file", "TMPDIR"):
        load(small.series(), memory=100)
