"""Errors that say which file they are about."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from dwiser.errors import Code, InputError

FilePath: TypeAlias = str | os.PathLike[str]


def refuse_special(path: FilePath) -> None:
    """Refuse a pipe or a device: opening one may wait for ever, or read without an end.

    Parameters
    ----------
    path : any path; one that does not exist is not refused.

    Raises
    ------
    InputError
        For what is neither a file nor a folder.
    """
    file = Path(path)
    if file.exists() and not file.is_file() and not file.is_dir():
        raise InputError("This is no regular file: copy it to a disk first.", code=Code.FILE_KIND)


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
        sentence = str(error)
        raise InputError(
            f"{path}: {sentence[:1].lower()}{sentence[1:]}", code=error.code
        ) from error
    except FileNotFoundError as error:
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
