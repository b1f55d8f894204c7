"""File names: an image's stem, what lies beside it, and a scan's set of input files."""

from dataclasses import dataclass
from pathlib import Path

from dwiser.errors import InputError
from dwiser.io.about import FilePath, about, refuse_special

NIFTI_ENDINGS = (".nii.gz", ".nii")  # the longer one first
BVAL_ENDINGS = (".bval", ".bvals")  # BIDS and dcm2niix write the first, FSL's tools the second
BVEC_ENDINGS = (".bvec", ".bvecs")


def ending(path: FilePath) -> str:
    """The NIfTI ending of a name as it is written there: ".nii" or ".nii.gz".

    Raises
    ------
    InputError
        If the name ends otherwise, or is nothing but an ending.
    """
    name = Path(path).name
    for known in NIFTI_ENDINGS:
        if name.lower().endswith(known) and len(name) > len(known):
            return name[-len(known) :]
    raise InputError(
        f"{path}: only NIfTI is read and written: give a name that ends in .nii or .nii.gz."
    )


def stem(path: FilePath) -> Path:
    """The path without .nii or .nii.gz: "a/sub.1_dwi.nii.gz" gives "a/sub.1_dwi"."""
    path = Path(path)
    return path.with_name(path.name[: -len(ending(path))])


def companion(path: FilePath, extension: str) -> Path:
    """The file beside an image with its stem and another ``extension`` (say ".bval")."""
    base = stem(path)
    return base.with_name(base.name + extension)


@dataclass(frozen=True)
class Inputs:
    """The files a scan is read from."""

    dwi: Path
    bval: Path
    bvec: Path
    mask: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, the acquisition sidecar beside the image too: never to be overwritten."""
        sidecar = companion(self.dwi, ".json")
        some = (self.dwi, self.bval, self.bvec, self.mask, sidecar if sidecar.exists() else None)
        return tuple(path for path in some if path is not None)


def find_inputs(
    dwi: FilePath,
    bval: FilePath | None = None,
    bvec: FilePath | None = None,
    mask: FilePath | None = None,
) -> Inputs:
    """The scan's files: those given, else the gradient files beside the image with its stem.

    Raises
    ------
    InputError
        If the image cannot be opened, or no gradient file was given and none lies beside it.
    """
    with about(dwi):
        refuse_special(dwi)
        Path(dwi).open("rb").close()
    return Inputs(
        dwi=Path(dwi),
        bval=Path(bval) if bval else _beside(dwi, BVAL_ENDINGS, "b-values", "--bval"),
        bvec=Path(bvec) if bvec else _beside(dwi, BVEC_ENDINGS, "b-vectors", "--bvec"),
        mask=Path(mask) if mask else None,
    )


def _beside(dwi: FilePath, endings: tuple[str, ...], what: str, option: str) -> Path:
    looked_for = [companion(dwi, extension) for extension in endings]
    for path in looked_for:
        if path.is_file():
            return path
    names = " or ".join(path.name for path in looked_for)
    raise InputError(f"{dwi}: there are no {what} beside it ({names}): give them with {option}.")
