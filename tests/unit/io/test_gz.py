"""gzip files as any program reads them."""

import gzip
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

from dwiser.io.gz import unzipped, zipped
from dwiser.seeds import stream

CONTENT = stream(0, "gz").standard_normal(70_000).tobytes()


def test_what_is_written_is_gzip_and_always_the_same(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        with zipped(tmp_path / name) as file:
            file.write(CONTENT[:1000])
            file.write(CONTENT[1000:])
    first = (tmp_path / "a.gz").read_bytes()
    assert gzip.decompress(first) == CONTENT
    assert first == (tmp_path / "b.gz").read_bytes()


def test_what_others_wrote_is_read_also_in_several_members(tmp_path: Path) -> None:
    half = len(CONTENT) // 2
    parts = (CONTENT[:half], CONTENT[half:])
    (tmp_path / "c.gz").write_bytes(b"".join(gzip.compress(part) for part in parts))
    with unzipped(tmp_path / "c.gz") as file:
        assert file.read() == CONTENT


def test_threads_change_no_byte_and_all_is_one_member(tmp_path: Path) -> None:
    content = CONTENT * 6  # several pieces
    written = []
    for threads in (1, 2, 3):
        with zipped(tmp_path / "d.gz", threads) as file:
            for start in range(0, len(content), 500_000):
                file.write(memoryview(content)[start : start + 500_000])
        written.append((tmp_path / "d.gz").read_bytes())
    assert written[0] == written[1] == written[2]
    unpacking = zlib.decompressobj(31)  # as readers that stop at the end of the first member
    assert unpacking.decompress(written[0]) == content
    assert unpacking.eof
    assert not unpacking.unused_data


def test_a_position_is_gone_on_to_over_zeros_and_never_back(tmp_path: Path) -> None:
    with zipped(tmp_path / "e.gz") as file:
        file.write(np.arange(3, dtype="<i2"))
        assert file.tell() == file.seek(6) == 6
        assert file.seek(10) == file.tell() == 10
        with pytest.raises(OSError, match="beginning to its end"):
            file.seek(4)
        file.write(b"end")
    expected = b"\0\0\1\0\2\0" + bytes(4) + b"end"
    assert gzip.decompress((tmp_path / "e.gz").read_bytes()) == expected


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_full_disk_is_the_systems_own_error_and_no_thread_waits(threads: int) -> None:
    before = threading.active_count()

    def write() -> None:
        with zipped(Path("/dev/full"), threads) as file:
            for _ in range(20):
                file.write(CONTENT * 2)

    with pytest.raises(OSError, match="No space left"):
        write()
    assert threading.active_count() == before
