"""MRtrix's pipes: ``mrconvert … - | dwiser denoise - - | mrinfo -``.

What goes through such a pipe is the name of a temporary .mif, one line; who reads it removes the
file. MRtrix removes whatever file is named; here one that is not a temporary of MRtrix stays.
"""

import os
import sys
import tempfile
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from dwiser.errors import Code, InputError

PIPE = "-"
FOLDER, PREFIX = "MRTRIX_TMPFILE_DIR", "MRTRIX_TMPFILE_PREFIX"  # the environment's, as MRtrix's
DEFAULT_PREFIX = "mrtrix-tmp-"
ENDING = ".mif"


class Pipes:
    """The images of one command that come or go through pipes; a context.

    On leaving it, what was read is removed. The name of what was written is printed if all went
    well; what a command prints meanwhile goes to stderr.
    """

    def __init__(self) -> None:
        self._read: Path | None = None
        self._written: Path | None = None
        self._stack = ExitStack()

    def __enter__(self) -> "Pipes":
        return self

    def input(self, path: Path | None) -> Path | None:
        """The file that stands behind ``-``; any other path as it is.

        Raises
        ------
        InputError
            If no name of an image comes through the pipe, or it is to be read twice.
        """
        if path is None or str(path) != PIPE:
            return path
        if self._read is not None:
            raise InputError(
                "- stands for two inputs, and a pipe brings one: name the other's file.",
                code=Code.ARGUMENT_CONFLICT,
            )
        self._read = _named_by_pipe()
        return self._read

    def series(self, path: Path) -> Path:
        """The same of a path that must be there."""
        file = self.input(path)
        assert file is not None
        return file

    def output(self, path: Path) -> Path:
        """The temporary file that is written for ``-``; any other path as it is."""
        if str(path) != PIPE:
            return path
        self._stack.enter_context(redirect_stdout(sys.stderr))
        self._written = _temporary()
        return self._written

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        if self._read is not None and is_temporary(self._read):
            self._read.unlink(missing_ok=True)
        if self._written is None:
            return
        self._written.with_suffix(".json").unlink(missing_ok=True)  # nobody would find it
        if kind is None:
            print(self._written)
        else:
            self._written.unlink(missing_ok=True)


def _named_by_pipe() -> Path:
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(
            "- stands for the image of an MRtrix command before it (mrconvert … - | dwiser …): "
            "there is none; name a file.",
            code=Code.FILE_MISSING,
        )
    name = sys.stdin.readline().strip("\n")
    if not name:
        raise InputError(
            "No name of an image came through the pipe: see what the command before it says.",
            code=Code.FILE_MISSING,
        )
    if "\0" in name or not name.endswith(ENDING):
        raise InputError(
            "What came through the pipe is not the name of a .mif, as MRtrix's commands give it "
            "for their output -: save the image, and name its file.",
            code=Code.FILE_ENDING,
        )
    return Path(name)


def _temporary() -> Path:
    """A name in the folder that MRtrix would take."""
    folder = Path(os.environ.get(FOLDER) or tempfile.gettempdir())
    return folder / f"{_prefix()}{uuid4().hex[:6]}{ENDING}"


def is_temporary(path: Path) -> bool:
    """Whether a file is one of MRtrix's that go through pipes, by its name."""
    return path.name.startswith(_prefix())


def _prefix() -> str:
    return os.environ.get(PREFIX) or DEFAULT_PREFIX
