"""NIfTI images, in one file or a pair of two: headers read and checked by nibabel."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.imageglobals import logger as nibabel_log

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.io.formats import analyze_conversion
from dwiser.io.grid import qform_of
from dwiser.io.names import PAIR_ENDINGS, image_files, stem
from dwiser.io.packing import HEADER_START, check_packing
from dwiser.io.stored import StoredImage, StoredVoxels
from dwiser.scan import has_volume

BAD_INTERCEPT = "invalid intercept"  # nibabel's words


def open_nifti(path: Path) -> StoredImage:
    """Read and check the header of a NIfTI image.

    Parameters
    ----------
    path : a .nii or .nii.gz, or either file of a .hdr/.img pair.

    Returns
    -------
    StoredImage

    Raises
    ------
    InputError
        If it is damaged, or no NIfTI image; without the file's name.
    """
    pair = path.name.lower().endswith(PAIR_ENDINGS)
    with path.open("rb") as file:
        start = file.read(HEADER_START)
    if not start:
        raise InputError(
            "The file is empty (0 bytes): export or copy it again.", code=Code.IMAGE_DAMAGED
        )
    if pair:
        _check_partner(path)
    else:
        check_packing(path, start)
    try:
        with captured_messages() as messages:
            image = nib.load(path)
    except Exception as error:  # nibabel, gzip and zlib each have their own
        if BAD_INTERCEPT in str(error):
            raise InputError(
                "Its header has a slope (scl_slope) beside an intercept (scl_inter) that is "
                "NaN or infinite: set scl_inter to 0, or export the image again.",
                code=Code.IMAGE_DAMAGED,
            ) from error
        raise InputError(
            "It is no NIfTI image, or a damaged one: export it again.", code=Code.IMAGE_DAMAGED
        ) from error
    if pair and not isinstance(image, nib.Nifti1Pair):
        raise InputError(analyze_conversion(path, stem(path)), code=Code.FILE_ENDING)
    if not isinstance(image, nib.Nifti1Pair):  # the classes of .nii and of NIfTI-2 are subclasses
        raise InputError("It is not a NIfTI image: convert it to .nii.gz.", code=Code.IMAGE_FORMAT)
    _check_header(image)
    repairs = [line for line in messages if "; set" in line]  # nibabel does not change the rest
    if repairs:
        warnings.warn(
            f"{path}: its header is damaged and was repaired on reading ({'; '.join(repairs)}).",
            DwiserWarning,
            stacklevel=4,
        )
    return _stored(path, image)


def _check_partner(path: Path) -> None:
    """Refuse half of a pair."""
    partner = next(file for file in image_files(path) if file != path)
    if not partner.is_file():
        raise InputError(
            f"Its other half {partner.name} is not beside it: put it there, under this name.",
            code=Code.FILE_MISSING,
        )


def _stored(path: Path, image: Any) -> StoredImage:
    voxels, shape = image.dataobj, tuple(int(n) for n in image.shape)
    file = Path(image.file_map["image"].filename)
    packed = file.suffix.lower() == ".gz"
    offset = int(voxels.offset)
    header = image.header.copy()
    if not isinstance(image, nib.Nifti1Image):
        single = nib.Nifti2Header if isinstance(image, nib.Nifti2Pair) else nib.Nifti1Header
        header = single.from_header(header)
    return StoredImage(
        path, shape, np.array(image.affine, float), header,
        StoredVoxels(
            file, image.get_data_dtype(), tuple(range(len(shape))), packed=packed,
            start=0 if packed else offset, offset=offset if packed else 0,
            slope=float(voxels.slope), inter=float(voxels.inter),
        ),
    )  # fmt: skip


@contextmanager
def captured_messages() -> Iterator[list[str]]:
    """Capture what nibabel would print beside our one sentence.

    Its own suppressor removes the handler, and Python then prints it anyway.

    Yields
    ------
    list of str
        The messages, as they come.
    """
    messages: list[str] = []

    def capture(record: logging.LogRecord) -> bool:
        messages.append(record.getMessage())
        return False

    nibabel_log.addFilter(capture)
    try:
        yield messages
    finally:
        nibabel_log.removeFilter(capture)


def _check_header(image: Any) -> None:
    dtype = image.get_data_dtype()
    if dtype.fields is not None:
        raise InputError(
            "The image holds colours (RGB): give a magnitude image.", code=Code.IMAGE_KIND
        )
    if min(image.shape, default=0) < 1:
        raise InputError(
            f"The image has no voxels (shape {image.shape}): export it again.",
            code=Code.IMAGE_DIMENSIONS,
        )
    if not np.isfinite(image.affine).all():
        raise InputError(
            "The affine holds a NaN or infinite number: repair the header.", code=Code.IMAGE_AFFINE
        )
    qform = qform_of(image.header)
    if qform is not None and not has_volume(image.affine) and has_volume(qform):
        raise InputError(
            "The header's sform gives voxels no volume, though its qform does: set its sform_code "
            "to 0, so that the qform counts.",
            code=Code.IMAGE_AFFINE,
        )
