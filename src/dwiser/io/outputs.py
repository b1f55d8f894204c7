"""A set of output files that appears complete, or not at all."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from dwiser.errors import Code, DwiserError, InputError
from dwiser.io.about import FilePath
from dwiser.io.names import (
    IMAGE_ENDINGS,
    check_output_name,
    companion,
    holds_table,
    image_files,
)

Writer: TypeAlias = Callable[[Path], None]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SIDECAR, TABLE_ENDINGS = ".json", (".bval", ".bvec")  # what comes with an image
PAGE_ENDINGS = (".html", ".htm")
WEIGHTS_ENDING = ".safetensors"


def planned(
    out: FilePath,
    *extras: FilePath | None,
    pages: Iterable[FilePath | None] = (),
    weights: Iterable[FilePath | None] = (),
    inputs: Iterable[FilePath] = (),
    force: bool = False,
) -> tuple[Path, ...]:
    """The set of files that OUT stands for, checked before any work is done.

    Parameters
    ----------
    out : the image; OUT.json comes with it, and OUT.bval and OUT.bvec with one of a format that
        does not hold its gradient table itself.
    extras : further images at paths of their own; None is passed over.
    pages : HTML pages that come with it; None is passed over.
    weights : files of weights that come with it; None is passed over.
    inputs : files that are read and so may not be overwritten, not even with ``force``.
    force : whether files that exist may be replaced.

    Returns
    -------
    tuple of Path
        The companions, the pages, the weights, the extras, and OUT last.

    Raises
    ------
    InputError
        If a name is not that of an image (of a page: .html), a folder is missing or may
        not be written, a file exists, would overwrite an input, or comes twice.

    Examples
    --------
    >>> from dwiser.io import planned
    >>> [path.name for path in planned("out.nii.gz", "sigma.nii.gz")]
    ['out.json', 'out.bval', 'out.bvec', 'sigma.nii.gz', 'out.nii.gz']
    """
    page_paths = [Path(path) for path in pages if path is not None]
    for page in page_paths:
        if page.suffix.lower() not in PAGE_ENDINGS:
            raise InputError(
                f"{page}: a report is a web page: end its name in .html.", code=Code.FILE_ENDING
            )
    weights_paths = [Path(path) for path in weights if path is not None]
    for file in weights_paths:
        if file.suffix.lower() != WEIGHTS_ENDING:
            raise InputError(
                f"{file}: weights are safetensors: end its name in {WEIGHTS_ENDING}.",
                code=Code.FILE_ENDING,
            )
    images = [Path(path) for path in (*extras, out) if path is not None]
    for image in images:
        check_output_name(image)
    files = [file for image in images for file in image_files(image)]
    paths = (*companions(out), *page_paths, *weights_paths, *files)
    check_outputs(paths, inputs, force)
    return paths


def companions(out: FilePath) -> tuple[Path, ...]:
    """What comes with a result: its sidecar, and its gradient table if the image has it not inside.

    Parameters
    ----------
    out : the image.

    Examples
    --------
    >>> from dwiser.io.outputs import companions
    >>> [path.name for path in companions("out.mif")]
    ['out.json']
    """
    extensions = (SIDECAR,) if holds_table(out) else (SIDECAR, *TABLE_ENDINGS)
    return tuple(companion(out, extension) for extension in extensions)


def planned_images(
    *images: Path, inputs: Iterable[FilePath] = (), force: bool = False
) -> tuple[Path, ...]:
    """Images that are written without companions, checked as ``planned`` does.

    Parameters
    ----------
    images : their paths.
    inputs : files that are read and so may not be overwritten.
    force : whether files that exist may be replaced.

    Returns
    -------
    tuple of Path
        All their files.

    Raises
    ------
    InputError
        As ``planned`` does.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dwiser.io import planned_images
    >>> [path.name for path in planned_images(Path("sigma.nii.gz"))]
    ['sigma.nii.gz']
    """
    for image in images:
        check_output_name(image)
    files = tuple(file for image in images for file in image_files(image))
    check_outputs(files, inputs, force)
    return files


def write_set(writers: Mapping[Path, Writer], *, force: bool = False) -> None:
    """Write several files under hidden temporary names, then give them their own.

    Parameters
    ----------
    writers : for each path a function that writes it; it is called with a temporary path
        in the same folder and with the same ending. Put the image last: it is written first, so
        that the others may tell of it, appears last, and an old one vanishes first, so that an
        image is never beside another's companions.
    force : whether files that exist are replaced; they stay if anything fails.

    Raises
    ------
    InputError
        As ``planned`` does.
    DwiserError
        If a file cannot be written, say for lack of space. This, any other exception and
        Ctrl-C leave the folder as it was.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dwiser.io import write_set
    >>> write_set({Path("a.txt"): lambda path: path.write_text("one") and None})
    >>> Path("a.txt").read_text()
    'one'
    """
    check_outputs(writers, (), force)
    token = uuid4().hex[:8]
    new = {
        path: path.with_name(f".dwiser-{token}-{i}{_ending(path)}")
        for i, path in enumerate(writers)
    }
    try:
        for path, temporary in reversed(new.items()):
            try:
                writers[path](temporary)
            except OSError as error:
                raise unwritten(path, error) from error
        _rename(new, token)
    finally:
        for temporary in new.values():
            temporary.unlink(missing_ok=True)


def _rename(new: dict[Path, Path], token: str) -> None:
    """Move the old files away, the new ones in their place; undo all of it if that fails."""
    old = {path: path.with_name(f".dwiser-{token}-old{i}") for i, path in enumerate(new)}
    try:
        for path in reversed(new):
            with suppress(FileNotFoundError):
                path.replace(old[path])
        for path, temporary in new.items():
            temporary.replace(path)
    except BaseException as error:
        for path, temporary in new.items():
            if not temporary.exists():
                path.unlink(missing_ok=True)
            if os.path.lexists(old[path]):
                old[path].replace(path)
        if isinstance(error, OSError):
            raise unwritten(next(reversed(new)), error) from error
        raise
    for backup in old.values():
        backup.unlink(missing_ok=True)


@contextmanager
def created_folder(folder: Path) -> Iterator[None]:
    """Create a folder and its parents for as long as the work in it goes well.

    Parameters
    ----------
    folder : it may exist already.

    Yields
    ------
    None
        If anything fails meanwhile, folders that are new and still empty are removed.

    Raises
    ------
    InputError
        If the folder cannot be created.
    """
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{folder}: the folder cannot be created: give another name.",
                code=Code.OUTPUT_FOLDER,
            ) from error
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


def check_outputs(
    paths: Iterable[Path], inputs: Iterable[FilePath] = (), force: bool = False
) -> None:
    """Refuse, in one sentence, files that could not be written as a set.

    Parameters
    ----------
    paths : the files to write.
    inputs : files that are read and so may not be overwritten, not even with ``force``.
    force : whether files that exist may be replaced.

    Raises
    ------
    InputError
        If a folder is missing or may not be written, a file exists, would overwrite an input, or
        comes twice.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dwiser.io import check_outputs
    >>> check_outputs([Path("missing/out.json")])
    Traceback (most recent call last):
    dwiser.errors.InputError: missing/out.json: its folder does not exist: create missing first.
    """
    sources = {_real(path) for path in inputs}
    outputs: set[Path] = set()
    for path in paths:
        try:
            _check_output(path, sources, outputs, force)
        except OSError as error:  # a name that is too long, a loop of links
            reason = error.strerror or type(error).__name__
            raise InputError(
                f"{path}: it cannot be written ({reason}): choose another name.",
                code=Code.OUTPUT_FOLDER,
            ) from error
        outputs.add(_real(path))


def _check_output(path: Path, sources: set[Path], outputs: set[Path], force: bool) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise InputError(
            f"{path}: its folder does not exist: create {folder} first.", code=Code.OUTPUT_FOLDER
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"{path}: its folder may not be written: choose another.", code=Code.OUTPUT_FOLDER
        )
    if path.is_dir():
        raise InputError(f"{path}: this is a folder: give the name of a file.", code=Code.FILE_KIND)
    if _real(path) in sources or _is_one_of(path, sources):
        raise InputError(
            f"{path}: this output is also an input: choose another name.", code=Code.OUTPUT_IS_INPUT
        )
    if _real(path) in outputs:
        raise InputError(
            f"{path}: two outputs have this name: give each its own.", code=Code.OUTPUT_SAME_NAME
        )
    if os.path.lexists(path) and not force:
        raise InputError(
            f"{path}: it exists already: give another name, or --force.", code=Code.OUTPUT_EXISTS
        )


def _real(path: FilePath) -> Path:
    return Path(path).resolve()


def _is_one_of(path: Path, sources: set[Path]) -> bool:
    """Whether a hard link, or a file system blind to case, makes it the same file."""
    return path.exists() and any(path.samefile(source) for source in sources if source.exists())


def _ending(path: Path) -> str:
    name = path.name.lower()
    return next((known for known in IMAGE_ENDINGS if name.endswith(known)), path.suffix)


def unwritten(path: Path, error: OSError) -> DwiserError:
    """The sentence for a file that could not be written, with what to do.

    Parameters
    ----------
    path : the file, of which nothing may be left.
    error : the system's.

    Returns
    -------
    DwiserError
    """
    reason = error.strerror or type(error).__name__
    todo = "make room or choose another folder" if error.errno in NO_ROOM else "check the folder"
    return DwiserError(
        f"{path}: it could not be written ({reason}): {todo}; nothing was left behind.",
        code=Code.OUTPUT_NOT_WRITTEN,
    )
