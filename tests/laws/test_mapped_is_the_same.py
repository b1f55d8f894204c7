"""Whether a scan lies in memory or in a file changes nothing in what comes out."""

from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest

from dwiser.io import nifti
from dwiser.memmap import allocate_mapped, is_mapped, writable_copy
from dwiser.run import denoise

FEW = {"difusion": {"iterations": 3}, "splitnet": {"iterations": 3}}


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
@pytest.mark.parametrize(
    "method", ["identity", "gaussian", "splitq", "subspace", "splitnet", "difusion"]
)
def test_a_mapped_scan_gives_the_same_and_its_result_is_mapped(small, method: str) -> None:
    room = allocate_mapped(small.scan.shape)
    room[:] = small.scan.data
    preset = "smoke" if method in FEW or method == "splitq" else "laptop"
    in_memory, mapped = (
        denoise(replace(small.scan, data=data), method, preset, threads=1, **FEW.get(method, {}))
        for data in (writable_copy(small.scan.data), room)
    )
    assert is_mapped(mapped.data)
    assert not is_mapped(in_memory.data)
    np.testing.assert_allclose(mapped.data, in_memory.data, rtol=1e-5, atol=1e-3)


def test_a_large_series_is_mapped_where_a_disk_has_room(monkeypatch) -> None:
    """With all the memory in the world, and never into a folder that is memory itself."""
    plenty, size = 2**40, nifti.LARGE + 1
    room = namedtuple("Usage", "free")
    monkeypatch.setattr(nifti, "is_tmpfs", lambda folder: False)
    monkeypatch.setattr(nifti, "disk_usage", lambda folder: room(9 * size))
    assert nifti._is_to_be_mapped(size, plenty)
    assert not nifti._is_to_be_mapped(nifti.LARGE, plenty)
    assert nifti._is_to_be_mapped(nifti.LARGE, nifti.LARGE)
    monkeypatch.setattr(nifti, "disk_usage", lambda folder: room(7 * size))
    assert not nifti._is_to_be_mapped(size, plenty)
    monkeypatch.setattr(nifti, "disk_usage", lambda folder: room(9 * size))
    monkeypatch.setattr(nifti, "is_tmpfs", lambda folder: True)
    assert not nifti._is_to_be_mapped(size, plenty)
