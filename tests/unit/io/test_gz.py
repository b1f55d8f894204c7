"""gzip files as any program reads them."""

import gzip
from pathlib import Path

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
