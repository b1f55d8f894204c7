"""Whether a scan lies in memory or in a file changes nothing in what comes out."""

import errno
from collections import namedtuple
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

import dwiser
from dwiser import memmap
from dwiser.errors import DwiserWarning, InputError
from dwiser.io import placement as home
from dwiser.io.placement import placement
from dwiser.memmap import allocate_mapped, is_mapped, writable_copy
from dwiser.run import denoise
from dwiser.run.input_scan import file_state, warn_of_change
from dwiser.simulation import phantom

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
    large, more = (home.LARGE // 4,), (home.LARGE // 4 + 1,)  # voxels of 4 bytes
    plenty, size = 2**40, 4 * more[0]
    room = namedtuple("Usage", "free")
    monkeypatch.setattr(home, "is_tmpfs", lambda folder: False)
    monkeypatch.setattr(home, "disk_usage", lambda folder: room(9 * size))
    assert placement(more, plenty).mapped
    assert not placement(more, None).mapped
    assert not placement(large, plenty).mapped
    assert placement(large, home.LARGE).mapped
    monkeypatch.setattr(home, "disk_usage", lambda folder: room(7 * size))
    assert not placement(more, plenty).mapped
    monkeypatch.setattr(home, "disk_usage", lambda folder: room(9 * size))
    monkeypatch.setattr(home, "is_tmpfs", lambda folder: True)
    assert not placement(more, plenty).mapped


def test_where_the_disk_refuses_a_file_a_series_that_fits_is_in_memory(
    monkeypatch, tmp_path
) -> None:
    """A quota, or a limit on the size of files; what has to be in a file is refused."""
    image = phantom((8, 8, 6), shells=((1000.0, 12),), seed=3).scan
    dwiser.save(dwiser.denoise(image, "identity"), tmp_path / "dwi.nii.gz", image)
    monkeypatch.setattr(home, "LARGE", 0)
    assert is_mapped(dwiser.load(tmp_path / "dwi.nii.gz", memory=2**40).data)
    monkeypatch.setattr(memmap, "_reserve", no_room)
    read = dwiser.load(tmp_path / "dwi.nii.gz", memory=2**40)
    assert not is_mapped(read.data)
    np.testing.assert_array_equal(read.data, image.data)
    with pytest.raises(InputError, match="TMPDIR"):
        dwiser.load(tmp_path / "dwi.nii.gz", memory=100)


def test_a_file_that_is_only_large_is_copied_and_may_be_written_to(monkeypatch, tmp_path) -> None:
    image = phantom((8, 8, 6), shells=((1000.0, 12),), seed=3).scan
    path = tmp_path / "dwi.nii"
    dwiser.save(dwiser.denoise(image, "identity"), path, image)
    monkeypatch.setattr(home, "LARGE", 0)
    read = dwiser.load(path, memory=2**40)
    assert is_mapped(read.data)
    path.write_bytes(bytes(path.stat().st_size))
    np.testing.assert_array_equal(read.data, image.data)


@pytest.mark.parametrize("change", ["written to", "replaced", "removed"])
def test_an_input_that_is_written_to_meanwhile_is_told(change: str, tmp_path) -> None:
    path = tmp_path / "dwi.nii"
    path.write_bytes(b"raw")
    before = file_state(path)
    if change != "written to":
        path.rename(tmp_path / "old.nii")  # what is read stays as it was
    if change != "removed":
        path.write_bytes(b"others")
    told = pytest.warns(DwiserWarning, match="dwi.nii was written to")
    with told if change == "written to" else nullcontext():
        warn_of_change(path, before)


def test_where_the_disk_refuses_a_file_an_array_is_in_memory(monkeypatch) -> None:
    mapped = memmap.allocate_mapped((4, 4, 4, 3))
    monkeypatch.setattr(memmap, "_reserve", no_room)
    assert not is_mapped(memmap.allocate_like(mapped))
    monkeypatch.setattr(memmap, "MOST_IN_MEMORY", mapped.nbytes - 1)
    with pytest.raises(OSError, match="quota"):
        memmap.allocate_like(mapped)


def no_room(file: int, size: int) -> None:
    raise OSError(errno.EDQUOT, "quota")
