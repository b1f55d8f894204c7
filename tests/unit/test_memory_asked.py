"""--memory: read as people write it, and held against what a method needs."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dwiser import machine
from dwiser.errors import Code, DwiserWarning
from dwiser.machine import GIB, parse_memory, usable_memory
from dwiser.memmap import allocate_like, allocate_mapped, is_mapped, is_tmpfs, writable_copy
from dwiser.methods.registry import build
from dwiser.prepare.mask import object_mask
from dwiser.run.memory_needed import (
    BASE,
    VOLUMES,
    bytes_needed,
    check_disk,
    check_memory,
    check_room,
)
from tests.refusals import refused


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8", 8 * GIB),
        ("8G", 8 * GIB),
        ("8GB", 8 * GIB),
        ("8 GiB", 8 * GIB),
        ("500m", 500 * 2**20),
        ("0.5g", GIB // 2),
    ],
)
def test_it_is_read_as_people_write_it(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "lots", "-1", "0", "8 X", "1e3"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with refused(Code.ARGUMENT_VALUE, f"--memory {text!r}", "write 8G or 500M"):
        parse_memory(text)


def test_what_is_free_is_known_here() -> None:
    free = usable_memory()
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize(
    ("line", "limit", "used", "cache"),
    [
        ("0::/a/job", "memory.max", "memory.current", "inactive_file"),
        ("4:memory:/a/job", "memory.limit_in_bytes", "memory.usage_in_bytes",
         "total_inactive_file"),
    ],
)  # fmt: skip
def test_a_batch_jobs_limit_counts_wherever_it_is_set(
    tmp_path, monkeypatch, line, limit, used, cache
) -> None:
    """The job's step is limited by the job around it; droppable pages of files are free."""
    step = tmp_path / "a" / "job"
    step.mkdir(parents=True)
    for folder, most in ((step, 2**62), (step.parent, 5 * GIB)):
        (folder / limit).write_text(f"{most}\n")
        (folder / used).write_text(f"{3 * GIB}\n")
        (folder / "memory.stat").write_text(f"anon 7\n{cache} {GIB}\n")
    (tmp_path / "own").write_text(f"7:cpu:/\n{line}\n")
    places = [(tmp_path, names) for _, names in machine.CGROUPS]
    monkeypatch.setattr(machine, "CGROUPS", tuple(places))
    monkeypatch.setattr(machine, "PROC_CGROUP", tmp_path / "own")
    monkeypatch.setattr(machine, "_free", lambda: 2**60)
    assert usable_memory() == 3 * GIB
    (step.parent / limit).write_text("max\n")
    assert usable_memory() == 2**60


def test_temporary_files_in_memory_are_warned_of(small, tmp_path, monkeypatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"disk / ext4 rw 0 0\ntmp {tmp_path} tmpfs rw 0 0\n")
    assert is_tmpfs(tmp_path / "deeper", mounts)
    assert not is_tmpfs(tmp_path.parent, mounts)
    assert not is_tmpfs(tmp_path, tmp_path / "nothing")
    monkeypatch.setattr("dwiser.run.memory_needed.is_tmpfs", lambda _: True)
    check_room(small.scan)  # it is in memory, and meant to be
    with pytest.warns(DwiserWarning, match="TMPDIR"):
        check_room(replace(small.scan, data=_mapped(small.scan.data)))


def test_a_method_that_does_not_fit_is_refused_before_and_warned_of(small) -> None:
    method, scan = build("splitq"), small.scan
    needed = bytes_needed(method, scan)
    assert needed is not None
    check_memory(method, scan, needed, needed)
    least = bytes_needed(method, scan, object_mask(scan))
    assert least is not None
    assert least < needed  # what it holds lies in the mask
    check_memory(method, scan, least, None)
    with refused(Code.MEMORY_LIMIT, "splitq would hold about 0.4 GiB", "raise it"):
        check_memory(method, scan, least - 1, None)
    with pytest.warns(DwiserWarning, match="are free"):
        check_memory(method, scan, None, least - 1)


def test_what_grows_with_the_volumes_does_not_with_the_mask(small) -> None:
    """A filter volume by volume takes the field of view; a network the mask's box."""
    scan, corner = small.scan, np.zeros(small.mask.shape, bool)
    corner[2:4, 2:4, 2:4] = True
    for name, less in (("gaussian", False), ("difusion", True), ("splitnet", True)):
        whole = bytes_needed(build(name), scan)
        part = bytes_needed(build(name), scan, corner)
        assert whole is not None
        assert part is not None
        assert (part < whole) == less
    assert bytes_needed(build("mppca"), scan) is None


def test_a_filter_of_a_mapped_scan_holds_a_few_volumes(small) -> None:
    mapped = replace(small.scan, data=_mapped(small.scan.data))
    needed = bytes_needed(build("gaussian"), mapped)
    assert needed is not None
    assert needed - BASE == pytest.approx(VOLUMES * small.scan.data[..., 0].nbytes, abs=1)


def test_a_mapped_scan_needs_less_and_one_with_a_phase_more(small) -> None:
    method, scan = build("splitq"), small.scan
    mapped = replace(scan, data=_mapped(scan.data))
    phased = replace(scan, phase=np.zeros_like(scan.data))
    needs = [bytes_needed(method, s) for s in (mapped, scan, phased)]
    assert needs == sorted(set(needs))


def test_copies_of_what_is_mapped_are_mapped_and_apart() -> None:
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    mapped = _mapped(data)
    view = np.asarray(mapped)[..., 1:]
    assert is_mapped(mapped)
    assert is_mapped(view)
    assert not is_mapped(data)
    assert not is_mapped(mapped * 2)
    copy = writable_copy(mapped)
    copy[:] = 0
    np.testing.assert_array_equal(mapped, data)
    assert is_mapped(copy)
    assert is_mapped(allocate_like(view))
    assert not is_mapped(writable_copy(data))


def test_a_disk_with_little_room_is_warned_of(small, tmp_path, monkeypatch) -> None:
    out, residual = tmp_path / "out.nii.gz", tmp_path / "residual.nii.gz"
    for room, files in ((2, (out, residual)), (1, (out, None))):
        free = SimpleNamespace(free=room * small.scan.data.nbytes)
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: free)
        check_disk(small.scan, *files)
    with pytest.warns(DwiserWarning, match="make room"):
        check_disk(small.scan, out, residual)


def _mapped(data: np.ndarray) -> np.ndarray:
    room = allocate_mapped(data.shape)
    room[:] = data
    return room
