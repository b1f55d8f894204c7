"""File names: an image's ending and stem, its data file, and the files beside it."""

from pathlib import Path

from dwiser.errors import Code, InputError
from dwiser.io.about import FilePath
from dwiser.io.formats import conversion, output_conversion

NIFTI_ENDINGS = (".nii.gz", ".nii")  # the longer one first
PAIR_ENDINGS = (".hdr.gz", ".img.gz", ".hdr", ".img")  # NIfTI in two files
MRTRIX_ENDINGS = (".mif.gz", ".mif", ".mih")
NRRD_ENDINGS = (".nrrd", ".nhdr")
IMAGE_ENDINGS = (*NIFTI_ENDINGS, *MRTRIX_ENDINGS, *NRRD_ENDINGS, *PAIR_ENDINGS)
# Formats of two files: the ending of the second, which is written first
DATA_ENDINGS = {
    ".mih": ".dat", ".nhdr": ".raw.gz", ".hdr": ".img", ".img": ".hdr", ".hdr.gz": ".img.gz",
    ".img.gz": ".hdr.gz",
}  # fmt: skip
BVAL_ENDINGS = (".bval", ".bvals")  # BIDS and dcm2niix write the first, FSL's tools the second
BVEC_ENDINGS = (".bvec", ".bvecs")


def ending(path: FilePath) -> str:
    """The ending of an image's name, as it is written there.

    Parameters
    ----------
    path : a file's name or path.

    Returns
    -------
    str
        One of ``IMAGE_ENDINGS``, in the name's upper or lower case.

    Raises
    ------
    InputError
        If the name ends otherwise, or is nothing but an ending; for a format that is known,
        with the command that converts it.
    """
    name = Path(path).name
    for known in IMAGE_ENDINGS:
        if name.lower().endswith(known) and len(name) > len(known):
            return name[-len(known) :]
    raise _not_an_image(path, conversion(path))


def check_output_name(path: FilePath) -> None:
    """Refuse the name of an output that is not an image's.

    Parameters
    ----------
    path : the output's name.

    Raises
    ------
    InputError
        As ``ending`` does; for a format that is known, with the way to have it all the same.
    """
    try:
        ending(path)
    except InputError as error:
        raise _not_an_image(path, output_conversion(path)) from error
    if ending(path).lower() == ".mih" and len(Path(path).name.split()) > 1:
        raise InputError(
            f"{path}: MRtrix cannot read a .mih whose name has blanks: write a .mif, or rename it.",
            code=Code.FILE_ENDING,
        )


def image_files(path: FilePath) -> tuple[Path, ...]:
    """All files of an image: what was named is the last.

    Parameters
    ----------
    path : the path of an image.

    Returns
    -------
    tuple of Path
        One, or two of a format that has header and voxels apart.

    Raises
    ------
    InputError
        If the name does not end as an image's.

    Examples
    --------
    >>> from dwiser.io.names import image_files
    >>> [file.name for file in image_files("sigma.mih")]
    ['sigma.dat', 'sigma.mih']
    """
    data = DATA_ENDINGS.get(ending(path).lower())
    return (Path(path),) if data is None else (companion(path, data), Path(path))


def holds_table(path: FilePath) -> bool:
    """Whether an image of this name has its gradient table in its own header.

    Parameters
    ----------
    path : the path of an image.

    Raises
    ------
    InputError
        If the name does not end as an image's.
    """
    return ending(path).lower() in (*MRTRIX_ENDINGS, *NRRD_ENDINGS)


def _not_an_image(path: FilePath, why: str | None) -> InputError:
    why = why or (
        "Only NIfTI, MRtrix and NRRD images are read and written: give a name that ends in .nii or "
        ".nii.gz, .mif or .nrrd."
    )
    return InputError(f"{path}: {why[0].lower()}{why[1:]}", code=Code.FILE_ENDING)


def stem(path: FilePath) -> Path:
    """The path without the ending of its format.

    Parameters
    ----------
    path : the path of an image.

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
    path : the path of an image.
    extension : say ".bval".

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the name does not end as an image's.

    Examples
    --------
    >>> from dwiser.io import companion
    >>> companion("a/dwi.nii.gz", ".bval").as_posix()
    'a/dwi.bval'
    """
    base = stem(path)
    return base.with_name(base.name + extension)
