"""Every bad input gets one clear sentence that names the file."""

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.io import load
from tests.refusals import assert_says, refused

RNG = np.random.default_rng(3)


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def replace(path, content):
    path.write_bytes(content)
    return path


def folder(small):
    small.path("dwi.nii.gz").mkdir()
    return small.path("dwi.nii.gz")


def with_header(path, **fields):
    """Overwrite header fields of an uncompressed NIfTI-1 file, past nibabel's checks."""
    content = bytearray(path.read_bytes())
    header = np.frombuffer(content, nib.nifti1.header_dtype, count=1)
    for key, value in fields.items():
        header[key][0] = value
    return replace(path, bytes(content))


def huge(small):
    plain = with_header(small.series("dwi.nii"), dim=[4, 30000, 30000, 30000, 8, 1, 1, 1])
    return replace(small.path("dwi.nii.gz"), gzip.compress(plain.read_bytes()))


def rgb(small):
    colours = np.zeros(small.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    return small.series(data=colours)


def other_format(small, name, kind):
    path = small.path(name)
    kind(small.data[..., 0], small.affine).to_filename(path)
    return path


def changed(small, index, value):
    data = small.data
    data[index] = value
    return small.series(data=data)


def random_noise(small, **how):  # does not compress, so that a cut is within the voxels
    return small.series(data=RNG.random(small.shape).astype(np.float32), **how)


def one_volume_less(path, out=None):
    """A header that says one volume less than the file holds; the table has as many as it says."""
    with_header(path, dim=[4, 5, 4, 3, 7, 1, 1, 1])
    for name in ("dwi.bval", "dwi.bvec"):
        table = np.loadtxt(path.with_name(name), ndmin=2)[:, :7]
        np.savetxt(path.with_name(name), table)
    return path if out is None else replace(out, gzip.compress(path.read_bytes()))


TOO_LONG = Code.IMAGE_DAMAGED, "more voxels than its header says", "correct the header"
TRUNCATED = Code.IMAGE_DAMAGED, "truncated", "export or copy it again"
NO_IMAGE = Code.IMAGE_DAMAGED, "no NIfTI image", "export it again"
IMAGES = {  # what to do, the code, and what its sentence says, the remedy last
    "missing": (
        lambda s: s.path("dwi.nii.gz"),
        Code.FILE_MISSING,
        "no such file",
        "check the name",
    ),
    "below a file": (
        lambda s: s.series("a.nii") / "dwi.nii.gz",
        Code.FILE_UNREADABLE,
        "cannot be read",
        "check the file",
    ),
    "folder": (folder, Code.FILE_KIND, "a folder", "give a file"),
    "0 bytes": (
        lambda s: replace(s.series(), b""),
        Code.IMAGE_DAMAGED,
        "0 bytes",
        "export or copy it again",
    ),
    "text.nii.gz": (
        lambda s: replace(s.series(), b"hello\n"),
        Code.IMAGE_FORMAT,
        "not gzip-compressed",
        "give a NIfTI image",
    ),
    "text.nii": (lambda s: replace(s.series("dwi.nii"), b"hello\n" * 100), *NO_IMAGE),
    "gzipped text": (lambda s: replace(s.series(), gzip.compress(b"hello" * 99)), *NO_IMAGE),
    "no gzip": (lambda s: replace(s.series(), b"\x1f\x8b" + b"x" * 500), *NO_IMAGE),
    "plain as .nii.gz": (
        lambda s: s.series("dwi.nii").rename(s.path("dwi.nii.gz")),
        Code.IMAGE_FORMAT,
        "not gzip-compressed",
        "name it dwi.nii.",
    ),
    "gzip twice": (
        lambda s: replace(s.series(), gzip.compress(s.path("dwi.nii.gz").read_bytes())),
        Code.IMAGE_FORMAT,
        "twice",
        "unpack it once by gunzip",
    ),
    "zstd": (
        lambda s: replace(s.series(), b"\x28\xb5\x2f\xfd" + bytes(500)),
        Code.IMAGE_FORMAT,
        "compressed by zstd",
        "unzstd",
    ),
    "too long .nii.gz": (
        lambda s: one_volume_less(s.series("dwi.nii"), s.path("dwi.nii.gz")),
        *TOO_LONG,
    ),
    "too long .nii": (lambda s: one_volume_less(s.series("dwi.nii")), *TOO_LONG),
    "axes in a plane": (
        lambda s: with_header(
            s.series("dwi.nii"), srow_x=[2, 0, 0, 0], srow_y=[0, 2, 2, 0], srow_z=[0, 2, 2, 0]
        ),
        Code.IMAGE_AFFINE,
        "no volume",
        "repair the header",
    ),
    "gzip as .nii": (
        lambda s: s.series().rename(s.path("dwi.nii")),
        Code.IMAGE_FORMAT,
        "name it .nii.gz",
    ),
    "mgz": (
        lambda s: other_format(s, "dwi.mgz", nib.MGHImage),
        Code.FILE_ENDING,
        "only NIfTI",
        "nib-convert",
    ),
    "analyze": (
        lambda s: other_format(s, "dwi.img", nib.Spm2AnalyzeImage),
        Code.FILE_ENDING,
        "only NIfTI",
        "nib-convert",
    ),
    "mgz as .nii.gz": (
        lambda s: other_format(s, "dwi.mgz", nib.MGHImage).rename(s.path("dwi.nii.gz")),
        *NO_IMAGE,
    ),
    "truncated .nii": (lambda s: cut(s.series("dwi.nii")), *TRUNCATED),
    "truncated .nii.gz": (lambda s: cut(random_noise(s)), *TRUNCATED),
    "truncated scaled": (lambda s: cut(s.series("dwi.nii", kind=nib.Nifti2Image)), *TRUNCATED),
    "truncated header": (lambda s: cut(s.series("dwi.nii"), 0.05), *NO_IMAGE),
    "truncated gz header": (lambda s: cut(s.series(), 0.05), *NO_IMAGE),
    "3-D": (
        lambda s: s.series(data=s.data[..., 0]),
        Code.IMAGE_DIMENSIONS,
        "3 dimensions",
        "a 4-D series",
    ),
    "5-D": (
        lambda s: s.series(data=np.stack([s.data[..., :5], s.data[..., :5]], 4)),
        Code.GRADIENTS_LENGTH,
        "8 b-values for 5 volumes in each of 2 series",
        "5 for all of them or 10 are needed",
    ),
    "one volume": (
        lambda s: s.series(data=s.data[..., :1]),
        Code.IMAGE_DIMENSIONS,
        "one volume",
        "a series of DWIs is needed",
    ),
    "RGB": (rgb, Code.IMAGE_KIND, "RGB", "give a magnitude image"),
    "NaN": (
        lambda s: changed(s, (1, 2, 0, 3), np.nan),
        Code.IMAGE_NOT_FINITE,
        "1 NaN or infinite voxels",
        "replace them first",
    ),
    "inf": (
        lambda s: changed(s, (1, 2, slice(None), 3), np.inf),
        Code.IMAGE_NOT_FINITE,
        "3 NaN or infinite",
        "replace them first",
    ),
    "beyond float32": (
        lambda s: s.series(data=s.data.astype(float) * 1e300),
        Code.IMAGE_NOT_FINITE,
        "infinite",
        "replace them first",
    ),
    "all zero": (
        lambda s: s.series(data=s.data * 0),
        Code.IMAGE_VALUES,
        "all zero",
        "nothing to denoise",
    ),
    "signed": (
        lambda s: s.series(data=s.data - 4000),
        Code.IMAGE_VALUES,
        "negative",
        "Gibbs ringing",
        "give the magnitude",
    ),
    "affine NaN": (
        lambda s: with_header(s.series("dwi.nii"), srow_x=[np.nan, 0, 0, 0]),
        Code.IMAGE_AFFINE,
        "affine",
        "repair the header",
    ),
    "impossible gz size": (huge, *TRUNCATED),
    "negative size": (
        lambda s: with_header(s.series("dwi.nii"), dim=[4, 5, -4, 3, 8, 1, 1, 1]),
        Code.IMAGE_DIMENSIONS,
        "dwi.nii",
        "export it again",
    ),
    "impossible size": (
        lambda s: with_header(s.series("dwi.nii"), dim=[4, 32767, 32767, 32767, 8, 1, 1, 1]),
        *TRUNCATED,
    ),
    "no voxels": (
        lambda s: with_header(s.series("dwi.nii"), dim=[4, 5, 0, 3, 8, 1, 1, 1]),
        Code.IMAGE_DIMENSIONS,
        "no voxels",
        "export it again",
    ),
    "unknown dtype": (
        lambda s: with_header(s.series("dwi.nii"), datatype=999),
        Code.IMAGE_DAMAGED,
        "NIfTI image",
        "export it again",
    ),
    "wrong count": (
        lambda s: s.series(data=s.data[..., :7]),
        Code.GRADIENTS_LENGTH,
        "8 b-values for the 7 volumes",
        "give the table that belongs to it",
    ),
}


@pytest.mark.parametrize("case", IMAGES)
def test_a_bad_image(small, case, capfd):
    make, code, *says = IMAGES[case]
    path = make(small)
    capfd.readouterr()
    message = refusal(code, path)
    assert capfd.readouterr().err == ""
    assert_says(message, *says)
    assert path.name in message or "dwi.bval" in message


def shifted(small, by):
    affine = small.affine
    affine[0, 3] += by
    return small.image("m.nii.gz", np.ones(small.shape[:3], "u1"), affine=affine)


MASKS = {
    "missing": (lambda s: s.path("m.nii.gz"), Code.FILE_MISSING, "no such file", "check the name"),
    "shape": (
        lambda s: s.image("m.nii.gz", np.ones((5, 4, 4), "u1")),
        Code.GRID_SHAPE,
        "shape (5, 4, 4) but ",
        "dwi.nii.gz",
        "give one on the scan's grid",
    ),
    "affine": (
        lambda s: shifted(s, 0.5),
        Code.GRID_AFFINE,
        " voxels off that of ",
        "dwi.nii.gz",
        "give one on the scan's grid",
    ),
    "4-D": (lambda s: s.image("m.nii.gz", s.data), Code.IMAGE_DIMENSIONS, "4 dimensions"),
    "empty": (
        lambda s: s.image("m.nii.gz", np.zeros(s.shape[:3], "u1")),
        Code.MASK_EMPTY,
        "empty",
        "give one that covers the object",
    ),
    "all NaN": (
        lambda s: s.image("m.nii.gz", np.full(s.shape[:3], np.nan, np.float32)),
        Code.MASK_EMPTY,
        "empty",
        "give one that covers the object",
    ),
    "text": (
        lambda s: replace(s.path("m.nii.gz"), b"hello"),
        Code.IMAGE_FORMAT,
        "gzip",
        "give a NIfTI image",
    ),
    "truncated": (lambda s: cut(s.image("m.nii", np.ones(s.shape[:3], "f8"))), *TRUNCATED),
}


@pytest.mark.parametrize("case", MASKS)
def test_a_bad_mask(small, case):
    make, code, *says = MASKS[case]
    path = make(small)
    image = small.series()
    assert_says(refusal(code, image, mask=path), path.name, *says)


TABLES = {
    "none": (
        lambda s: s.path("dwi.bval").unlink(),
        Code.GRADIENTS_MISSING,
        "dwi.bval or dwi.bvals",
        "--bval",
    ),
    "folder": (
        lambda s: (s.path("dwi.bval").unlink(), s.path("dwi.bval").mkdir()),
        Code.GRADIENTS_MISSING,
        "--bval",
    ),
    "no bvec": (lambda s: s.path("dwi.bvec").unlink(), Code.GRADIENTS_MISSING, "--bvec"),
    "swapped": (
        lambda s: s.path("dwi.bval").write_bytes(s.path("dwi.bvec").read_bytes()),
        Code.GRADIENTS_FORMAT,
        "dwi.bval: it holds a 3×8 table",
        "give the .bval file",
    ),
    "not unit": (
        lambda s: np.savetxt(s.path("dwi.bvec"), s.bvecs.T * 1.2),
        Code.GRADIENTS_VALUES,
        "dwi.bvec: the b-vectors of 6 DWIs (volumes 1-4, 6-7) have length 1.2",
        "--bvalue-scaling no",
    ),
    "few bvecs": (
        lambda s: np.savetxt(s.path("dwi.bvec"), s.bvecs[:7]),
        Code.GRADIENTS_LENGTH,
        "dwi.bvec: there are 7 b-vectors for the 8 volumes",
        "give the table that belongs to it",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_bad_table(small, case):
    spoil, code, *says = TABLES[case]
    path = small.series()
    spoil(small)
    assert_says(refusal(code, path), *says)


def test_a_given_table_that_is_missing(small):
    message = refusal(Code.FILE_MISSING, small.series(), bval="nowhere.bval")
    assert "nowhere.bval: there is no such file: check the name" in message


@pytest.mark.parametrize("spoilt", ["dwi.nii.gz", "dwi.bval", "dwi.bvec"])
def test_a_file_that_may_not_be_read(small, monkeypatch, spoilt):
    """Root may read everything, so the refusal is made up."""
    path = small.series()
    allowed = Path.open

    def guarded(self, *args, **kwargs):
        if self.name == spoilt:
            raise PermissionError(13, "Permission denied", str(self))
        return allowed(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", guarded)
    message = refusal(Code.FILE_PERMISSION, path)
    assert spoilt in message
    assert "permissions" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permissions_of_the_system(small):
    path = small.series()
    path.chmod(0)
    assert_says(refusal(Code.FILE_PERMISSION, path), path.name, "permissions")


def refusal(code, path, **how):
    """The sentence that this scan is refused with, and its code."""
    with refused(code) as caught:
        load(path, **how)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    assert str(caught.value).count(". ") == 0
    return message
