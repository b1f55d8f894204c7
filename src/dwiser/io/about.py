"""Errors that say which file they are about."""

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from dwiser.errors import Code, InputError

FilePath: TypeAlias = str | os.PathLike[str]


# How git-annex stands in for contents that are elsewhere: a link into its folder, a small text file
# (of an unlocked file), or the link's text where a file system has no links.
ANNEX = "/annex/objects/"
POINTER = re.compile(rb"(?:(?:\.\./)*\.git\S*)?/annex/objects/")
POINTER_BYTES = 4096  # that are looked at
LINKS_FOLLOWED = 40  # as many as Linux follows


def check_contents(path: FilePath) -> None:
    """Refuse a file whose contents cannot be read here.

    Opening a pipe or a device may wait for ever, or read without an end. A DataLad dataset has
    links and pointers in place of files that were not fetched.

    Parameters
    ----------
    path : any path; a folder, and what does not exist at all, is not refused.

    Raises
    ------
    InputError
        For what is neither a file nor a folder, a link to nothing, and a pointer of git-annex.
    """
    file = Path(path)
    if is_link_to_nothing(file):
        raise _not_fetched(file)
    if file.exists() and not file.is_file() and not file.is_dir():
        raise InputError("This is no regular file: copy it to a disk first.", code=Code.FILE_KIND)
    if file.is_file():
        with file.open("rb") as stream:
            if POINTER.match(stream.read(POINTER_BYTES)):
                raise _annexed(file)


def is_link_to_nothing(path: FilePath) -> bool:
    """Whether a symbolic link is there, but not the file that it points to."""
    return Path(path).is_symlink() and not Path(path).exists()


def _not_fetched(link: Path) -> InputError:
    file, target = link, Path(os.path.realpath(link))
    for _ in range(LINKS_FOLLOWED):  # a link may lead to a dataset's own
        if not file.is_symlink():
            break
        if ANNEX in (pointed := file.readlink()).as_posix():
            return _annexed(file)
        file = file.parent / pointed
    return InputError(
        f"It is a link to {target}, which is not there: put the file there, or give another.",
        code=Code.FILE_NOT_FETCHED,
    )


def _annexed(path: Path) -> InputError:
    home, name = path.parent, shlex.quote(path.name)
    # from outside of the dataset `datalad get` knows no path into it
    where = "" if home == Path() else f" -C {shlex.quote(str(home))}"
    return InputError(
        "Its contents are not on this disk, only git-annex's link to them: fetch them with "
        f"`datalad{where} get {name}`.",
        code=Code.FILE_NOT_FETCHED,
    )


@contextmanager
def about(path: FilePath) -> Iterator[None]:
    """Put a file's name in front of every error that is raised inside.

    ``Scan`` and ``Gradients`` check values and know no files; the operating system's errors
    come with a number. Both become an ``InputError`` of one sentence.

    Parameters
    ----------
    path : the file that is read inside.

    Raises
    ------
    InputError
        In place of an InputError or OSError; its sentence begins with ``path``.

    Examples
    --------
    >>> from dwiser.io import about
    >>> with about("missing.bval"):
    ...     open("missing.bval")
    Traceback (most recent call last):
    dwiser.errors.InputError: missing.bval: there is no such file: check the name.
    """
    try:
        yield
    except InputError as error:
        raise _named(path, error) from error
    except FileNotFoundError as error:
        if is_link_to_nothing(path):
            raise _named(path, _not_fetched(Path(path))) from error
        raise InputError(
            f"{path}: there is no such file: check the name.", code=Code.FILE_MISSING
        ) from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: this is a folder: give a file.", code=Code.FILE_KIND) from error
    except PermissionError as error:
        raise InputError(
            f"{path}: it may not be read: check its permissions.", code=Code.FILE_PERMISSION
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"{path}: it cannot be read ({reason}): check the file.", code=Code.FILE_UNREADABLE
        ) from error


def _named(path: FilePath, error: InputError) -> InputError:
    sentence = str(error)
    if sentence.startswith(f"{path}: "):
        return error  # named where it was read
    return InputError(f"{path}: {sentence[:1].lower()}{sentence[1:]}", code=error.code)
