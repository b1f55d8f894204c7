"""gzip files by ISA-L, which packs images as small as zlib does in a tenth of its time.

What is written is packed in pieces of 1 MiB that know the 32 KiB before them (pigz's way), so that
threads share the work: one gzip member, as any reader expects it, whatever their number.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from io import BufferedIOBase, UnsupportedOperation
from pathlib import Path
from typing import Any

from isal import igzip, igzip_threaded

from dwiser.io.stored import ByteStream

LEVEL = 1  # of 0 to 3: images of noise gain nothing by more


class ZippedFile(BufferedIOBase):
    """A gzip file to write that knows its position, which nibabel asks for.

    Parameters
    ----------
    target : a path, or a file that is open for writing bytes and stays open.
    threads : that pack beside the one that writes; the bytes do not depend on them.
    """

    def __init__(self, target: Path | ByteStream, threads: int = 1) -> None:
        self._packing = igzip_threaded.open(target, "wb", LEVEL, threads=threads)
        self._position = 0

    def write(self, content: Any, /) -> int:
        """Pack bytes, or what gives its bytes; how many."""
        with memoryview(content) as view:
            size = view.nbytes
        self._packing.write(content)
        self._position += size
        return size

    def tell(self) -> int:
        """Bytes so far, before they are packed."""
        return self._position

    def seek(self, position: int, whence: int = 0, /) -> int:
        """Go on, over zeros, as Python's gzip does; there is no way back."""
        if whence or position < self._position:
            raise UnsupportedOperation("a gzip file is written from its beginning to its end")
        self.write(bytes(position - self._position))
        return position

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Write what waits, and the end; the threads end whatever fails."""
        try:
            self._packing.close()
        finally:
            super().close()


@contextmanager
def zipped(path: Path, threads: int = 1) -> Iterator[ZippedFile]:
    """A gzip file to write; the same content always gives the same bytes.

    Parameters
    ----------
    path : an existing file is replaced.
    threads : that pack beside the one that writes.

    Yields
    ------
    ZippedFile
        Open for writing, as long as the context is.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with path.open("wb") as raw, zipped_into(raw, threads) as file:
        yield file


def zipped_into(raw: ByteStream, threads: int = 1) -> ZippedFile:
    """The same behind what is already in a file.

    Parameters
    ----------
    raw : open for writing bytes; it is not closed.
    threads : that pack beside the one that writes.

    Returns
    -------
    ZippedFile
        Open for writing.
    """
    return ZippedFile(raw, threads)


def unzipped(path: Path) -> GzipFile:
    """A gzip file to read; at its end its contents are checked.

    Parameters
    ----------
    path : a gzip file, also of several members.

    Returns
    -------
    GzipFile
        Open for reading.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    return igzip.IGzipFile(path, "rb")
