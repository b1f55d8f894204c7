"""--memory: read as people write it, and held against what a method needs."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dwiser.errors import DwiserWarning, InputError
from dwiser.machine import GIB, memory_of, usable_memory
from dwiser.methods.registry import build
from dwiser.room import is_mapped, mapped_room, own_copy, own_room
from dwiser.run.fits import bytes_needed, check_disk, check_memory


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8", 8 * GIB),
        ("8G", 8 * GIB),
        ("8 GiB", 8 * GIB),
        ("500m", 500 * 2**20),
        ("0.5g", GIB // 2),
    ],
)
def test_it_is_read_as_people_write_it(text: str, size: int) -> None:
    assert memory_of(text) == size


@pytest.mark.parametrize("text", ["", "lots", "-1", "0", "8 X", "1e3"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="write 8G or 500M"):
        memory_of(text)


def test_what_is_free_is_known_here() -> None:
    free = usable_memory()
    assert free is None or 2**20 < free < 2**50


def test_a_method_that_does_not_fit_is_refused_before_and_warned_of(small) -> None:
    method, scan = build("splitq"), small.scan
    needed = bytes_needed(method, scan)
    assert needed is not None
    check_memory(method, scan, needed, needed)
    with pytest.raises(InputError, match=r"splitq would hold about 0\.4 GiB.*raise it"):
        check_memory(method, scan, needed - 1, None)
    with pytest.warns(DwiserWarning, match="are free"):
        check_memory(method, scan, None, needed - 1)


def test_a_mapped_scan_needs_less_and_one_with_a_phase_more(small) -> None:
    method, scan = build("splitq"), small.scan
    mapped = replace(scan, data=_mapped(scan.data))
    phased = replace(scan, phase=np.zeros_like(scan.data))
    needs = [bytes_needed(method, s) for s in (mapped, scan, phased)]
    assert needs == sorted(set(needs))
    assert needs[1] - needs[0] == scan.data.nbytes


def test_copies_of_what_is_mapped_are_mapped_and_apart() -> None:
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    mapped = _mapped(data)
    view = np.asarray(mapped)[..., 1:]
    assert is_mapped(mapped)
    assert is_mapped(view)
    assert not is_mapped(data)
    assert not is_mapped(mapped * 2)
    copy = own_copy(mapped)
    copy[:] = 0
    np.testing.assert_array_equal(mapped, data)
    assert is_mapped(copy)
    assert is_mapped(own_room(view))
    assert not is_mapped(own_copy(data))


def test_a_disk_with_little_room_is_warned_of(small, tmp_path, monkeypatch) -> None:
    out, residual = tmp_path / "out.nii.gz", tmp_path / "residual.nii.gz"
    for room, files in ((2, (out, residual)), (1, (out, None))):
        free = SimpleNamespace(free=room * small.scan.data.nbytes)
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: free)
        check_disk(small.scan, *files)
    with pytest.warns(DwiserWarning, match="make room"):
        check_disk(small.scan, out, residual)


def _mapped(data: np.ndarray) -> np.ndarray:
    room = mapped_room(data.shape)
    room[:] = data
    return room
