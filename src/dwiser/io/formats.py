"""Image formats of this field that are not read: what they are called, and what converts them."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from dwiser.errors import Code, InputError
from dwiser.io.about import FilePath, check_contents

Words: TypeAlias = tuple[str, ...]
Converter: TypeAlias = Callable[[Path, Path], Words]  # of a file and its path without ending

DICM, DICM_AT = b"DICM", 128
MOST_FILES = 50  # of a folder that are looked at


@dataclass(frozen=True)
class ForeignFormat:
    """A format by its name in a sentence, its endings, and the command that makes it NIfTI."""

    name: str
    endings: Words
    converter: Converter
    back: str | None = None  # the program that writes it from NIfTI, with the same two names


def _nib_convert(path: Path, base: Path) -> Words:
    """nibabel's own, which dwiser brings."""
    return "nib-convert", str(path), f"{base}.nii.gz"


def _nib_convert_float(path: Path, base: Path) -> Words:
    """The same for volumes with factors of their own, which have no common one in integers."""
    program, *files = _nib_convert(path, base)
    return program, "--out-dtype", "float32", *files


def _dcm2niix(path: Path, base: Path) -> Words:
    folder = path if path.is_dir() else path.parent
    return "dcm2niix", "-z", "y", "-f", "dwi", "-o", ".", str(folder)


def _dcm2niix_parrec(path: Path, base: Path) -> Words:
    """Of the PAR; nibabel's parrec2nii leaves the gradients in the patient's axes."""
    header = path.with_suffix({".rec": ".par", ".REC": ".PAR"}.get(path.suffix, path.suffix))
    return "dcm2niix", "-z", "y", "-f", base.name, "-o", str(path.parent), str(header)


def _simpleitk(path: Path, base: Path) -> Words:
    # JSON's double quotes are Python's too, and need no escape within the shell's single ones
    write = f"s.WriteImage(s.ReadImage({json.dumps(str(path))}), {json.dumps(f'{base}.nii.gz')})"
    return "python", "-c", f"import SimpleITK as s; {write}"


def _mnc2nii(path: Path, base: Path) -> Words:
    """MINC's own; nibabel takes the volumes, which MINC has first, for slices."""
    return "mnc2nii", str(path), f"{base}.nii"


def _unpacked(program: str) -> Converter:
    """A program of each kind of compression that leaves the packed file where it is."""
    return lambda path, base: (program, "-k", str(path))


ONLY = "only NIfTI, MRtrix and NRRD images"
ANALYZE = ForeignFormat("an Analyze image", (), _nib_convert_float)
DICOM = ForeignFormat("DICOM", (".dcm", ".dicom", ".ima"), _dcm2niix)
FORMATS = (
    ForeignFormat("a FreeSurfer image", (".mgz", ".mgh"), _nib_convert, "nib-convert"),
    ForeignFormat("an AFNI image", (".head", ".brik.gz", ".brik"), _nib_convert_float),
    ForeignFormat("a Philips PAR/REC image", (".par", ".rec"), _dcm2niix_parrec),
    ForeignFormat("a MetaImage", (".mha", ".mhd"), _simpleitk),
    ForeignFormat("a MINC image", (".mnc",), _mnc2nii),
    ForeignFormat("a NIfTI image packed by bzip2", (".nii.bz2",), _unpacked("bunzip2")),
    ForeignFormat("a NIfTI image packed by xz", (".nii.xz",), _unpacked("unxz")),
    ForeignFormat("a NIfTI image packed by zstd", (".nii.zst",), _unpacked("unzstd")),
    DICOM,
)


def conversion(path: FilePath) -> str | None:
    """The sentence that refuses an input of another format, with the command that converts it.

    Parameters
    ----------
    path : what was given as an image: a file, which need not exist, or a folder.

    Returns
    -------
    str or None
        None where the format is not known.

    Examples
    --------
    >>> from dwiser.io.formats import conversion
    >>> conversion("mask.mgz")
    'This is a FreeSurfer image, and only NIfTI, MRtrix and NRRD images are read: convert it with \
`nib-convert mask.mgz mask.nii.gz`.'
    """
    path = Path(path)
    known, base = _by_name(path)
    if path.is_dir() or known is None:
        if not _is_dicom(path):
            return None
        known = DICOM
    return _refusal(known, path, base)


def analyze_conversion(path: FilePath, base: FilePath) -> str:
    """The sentence that refuses a pair that is no NIfTI, with the command that converts it.

    Parameters
    ----------
    path : the file that was given.
    base : its path without the ending.
    """
    return _refusal(ANALYZE, Path(path), Path(base))


def _refusal(known: ForeignFormat, path: Path, base: Path) -> str:
    command = shlex.join(known.converter(path, base))
    return f"This is {known.name}, and {ONLY} are read: convert it with `{command}`."


def output_conversion(path: FilePath) -> str | None:
    """The sentence that refuses an output of another format, with the way to have it all the same.

    Parameters
    ----------
    path : the output's name.

    Returns
    -------
    str or None
        None where the format is not known.
    """
    known, base = _by_name(Path(path))
    if known is None:
        return None
    nifti = f"{base}.nii.gz"
    sentence = f"{ONLY} are written: name it {nifti}"
    if known.back is None:
        return f"{sentence}."
    command = shlex.join((known.back, nifti, str(path)))
    return f"{sentence}, and convert it with `{command}`."


def refuse_no_file(path: FilePath) -> None:
    """Refuse a pipe, a device, and a folder of DICOM files.

    Parameters
    ----------
    path : what was given as an image.

    Raises
    ------
    InputError
        For each of these; the sentence does not name ``path``.
    """
    check_contents(path)
    sentence = conversion(path) if Path(path).is_dir() else None
    if sentence is not None:
        raise InputError(sentence, code=Code.FILE_KIND)


def _by_name(path: Path) -> tuple[ForeignFormat | None, Path]:
    """The format that a name ends as, and the path without that ending."""
    for known in FORMATS:
        for end in known.endings:
            if path.name.lower().endswith(end) and len(path.name) > len(end):
                return known, path.with_name(path.name[: -len(end)])
    return None, path


def _is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its first bytes, or a folder has such a file among its first."""
    files = filter(Path.is_file, path.rglob("*")) if path.is_dir() else iter((path,))
    try:
        return any(_has_dicm(file) for file in islice(files, MOST_FILES))
    except OSError:
        return False


def _has_dicm(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(DICM_AT + len(DICM))[DICM_AT:] == DICM
