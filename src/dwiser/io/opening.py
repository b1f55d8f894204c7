"""Open an image of any format that is read, by its name's ending."""

from pathlib import Path

from dwiser.io.about import FilePath, about
from dwiser.io.formats import refuse_no_file
from dwiser.io.mif import open_mif
from dwiser.io.names import MRTRIX_ENDINGS, NRRD_ENDINGS, ending
from dwiser.io.nifti_image import open_nifti
from dwiser.io.nrrd_image import open_nrrd
from dwiser.io.stored import StoredImage


def open_image(path: FilePath) -> StoredImage:
    """Read an image's header; its voxels are not read.

    Parameters
    ----------
    path : a NIfTI, MRtrix or NRRD image.

    Returns
    -------
    StoredImage

    Raises
    ------
    InputError
        If it cannot be read, or is of another format; the message names the file.
    """
    with about(path):
        refuse_no_file(path)
        Path(path).open("rb").close()
    kind = ending(path).lower()
    with about(path):
        if kind in MRTRIX_ENDINGS:
            return open_mif(Path(path))
        if kind in NRRD_ENDINGS:
            return open_nrrd(Path(path))
        return open_nifti(Path(path))
