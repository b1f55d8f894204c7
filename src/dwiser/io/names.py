"""File names: an image's stem, the files beside it, and a scan's input files."""

from dataclasses import dataclass
from pathlib import Path

from dwiser.errors import Code, InputError
from dwiser.io.about import FilePath, about, is_link_to_nothing
from dwiser.io.formats import conversion, output_conversion, refuse_no_file

NIFTI_ENDINGS = (".nii.gz", ".nii")  # the longer one first
BVAL_ENDINGS = (".bval", ".bvals")  # BIDS and dcm2niix write the first, FSL's tools the second
BVEC_ENDINGS = (".bvec", ".bvecs")


def ending(path: FilePath) -> str:
    """The NIfTI ending of a name, as it is written there.

    Parameters
    ----------
    path : a file's name or path.

    Returns
    -------
    str
        ".nii" or ".nii.gz", in the name's upper or lower case.

    Raises
    ------
    InputError
        If the name ends otherwise, or is nothing but an ending; for a format that is known,
        with the command that converts it.
    """
    name = Path(path).name
    for known in NIFTI_ENDINGS:
        if name.lower().endswith(known) and len(name) > len(known):
            return name[-len(known) :]
    raise _not_nifti(path, conversion(path))


def check_output_name(path: FilePath, *, series: bool = False) -> None:
    """Refuse the name of an output that is not a NIfTI image's.

    Parameters
    ----------
    path : the output's name.
    series : whether its gradient table is written beside it.

    Raises
    ------
    InputError
        As ``ending`` does; for a format that is known, with the way to have it all the same.
    """
    try:
        ending(path)
    except InputError as error:
        raise _not_nifti(path, output_conversion(path, series=series)) from error


def _not_nifti(path: FilePath, why: str | None) -> InputError:
    why = why or "Only NIfTI is read and written: give a name that ends in .nii or .nii.gz."
    return InputError(f"{path}: {why[0].lower()}{why[1:]}", code=Code.FILE_ENDING)


def stem(path: FilePath) -> Path:
    """The path without .nii or .nii.gz.

    Parameters
    ----------
    path : the path of a NIfTI image.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the name has no such ending.

    Examples
    --------
    >>> from dwiser.io import stem
    >>> stem("a/sub.1_dwi.nii.gz").as_posix()
    'a/sub.1_dwi'
    """
    path = Path(path)
    return path.with_name(path.name[: -len(ending(path))])


def companion(path: FilePath, extension: str) -> Path:
    """The path beside an image with its stem and another extension.

    Parameters
    ----------
    path : the path of a NIfTI image.
    extension : say ".bval".

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the image's name does not end in .nii or .nii.gz.

    Examples
    --------
    >>> from dwiser.io import companion
    >>> companion("a/dwi.nii.gz", ".bval").as_posix()
    'a/dwi.bval'
    """
    base = stem(path)
    return base.with_name(base.name + extension)


@dataclass(frozen=True)
class Inputs:
    """The files a scan is read from.

    Parameters
    ----------
    dwi : the image.
    bval, bvec : its gradient table.
    mask : a mask, or None.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dwiser.io import Inputs
    >>> len(Inputs(Path("dwi.nii"), Path("dwi.bval"), Path("dwi.bvec")).files)
    3
    """

    dwi: Path
    bval: Path
    bvec: Path
    mask: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, with the acquisition sidecar if there is one: never to be overwritten."""
        sidecar = companion(self.dwi, ".json")
        some = (self.dwi, self.bval, self.bvec, self.mask, sidecar if sidecar.is_file() else None)
        return tuple(path for path in some if path is not None)


def find_inputs(
    dwi: FilePath,
    bval: FilePath | None = None,
    bvec: FilePath | None = None,
    mask: FilePath | None = None,
) -> Inputs:
    """The scan's files: those that are named, else the gradient files beside the image.

    Parameters
    ----------
    dwi : the image.
    bval, bvec : text files; None for those beside the image with its stem.
    mask : a mask, or None.

    Returns
    -------
    Inputs

    Raises
    ------
    InputError
        If the image cannot be opened, or a gradient file is neither named nor beside it.

    Examples
    --------
    >>> from dwiser.io import find_inputs
    >>> from dwiser.io.sample import sample_paths
    >>> find_inputs(sample_paths().dwi).bval.name
    'dwi.bval'
    """
    with about(dwi):
        refuse_no_file(dwi)
        Path(dwi).open("rb").close()
    return Inputs(
        dwi=Path(dwi),
        bval=Path(bval) if bval else _beside(dwi, BVAL_ENDINGS, "b-values", "--bval"),
        bvec=Path(bvec) if bvec else _beside(dwi, BVEC_ENDINGS, "b-vectors", "--bvec"),
        mask=Path(mask) if mask else None,
    )


def _beside(dwi: FilePath, endings: tuple[str, ...], name: str, option: str) -> Path:
    candidates = [companion(dwi, extension) for extension in endings]
    for path in (*filter(Path.is_file, candidates), *filter(is_link_to_nothing, candidates)):
        return path  # of a link to nothing its reader tells what to do
    names = " or ".join(path.name for path in candidates)
    raise InputError(
        f"{dwi}: there are no {name} beside it ({names}): give them with {option}.",
        code=Code.GRADIENTS_MISSING,
    )
