"""Errors that say which file they are about."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from dwiser.errors import InputError

FilePath: TypeAlias = str | os.PathLike[str]


def refuse_special(path: FilePath) -> None:
    """Refuse a pipe or a device: opening one may wait for ever, or read without an end."""
    file = Path(path)
    if file.exists() and not file.is_file() and not file.is_dir():
        raise InputError("This is no regular file: copy it to a disk first.")


@contextmanager
def about(path: FilePath) -> Iterator[None]:
    """Whatever goes wrong inside concerns ``path``: put its name in front of the sentence.

    ``Scan`` and ``Gradients`` check values and know no files; the operating system's
    errors come with a number. Both leave here as an ``InputError`` of one sentence.
    """
    try:
        yield
    except InputError as error:
        sentence = str(error)
        raise InputError(f"{path}: {sentence[:1].lower()}{sentence[1:]}") from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file: check the name.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: this is a folder: give a file.") from error
    except PermissionError as error:
        raise InputError(f"{path}: it may not be read: check its permissions.") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{path}: it cannot be read ({reason}): check the file.") from error
