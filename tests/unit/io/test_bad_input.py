"""Every bad input gets one clear sentence that names the file."""

import gzip
import os
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.errors import InputError
from dwiser.io import load

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


IMAGES = {
    "missing": (lambda s: s.path("dwi.nii.gz"), "no such file"),
    "below a file": (lambda s: s.series("a.nii") / "dwi.nii.gz", "cannot be read"),
    "folder": (folder, "a folder"),
    "0 bytes": (lambda s: replace(s.series(), b""), "0 bytes"),
    "text.nii.gz": (lambda s: replace(s.series(), b"hello\n"), "not gzip-compressed"),
    "text.nii": (lambda s: replace(s.series("dwi.nii"), b"hello\n" * 100), "no NIfTI image"),
    "gzipped text": (lambda s: replace(s.series(), gzip.compress(b"hello" * 99)), "no NIfTI image"),
    "no gzip": (lambda s: replace(s.series(), b"\x1f\x8b" + b"x" * 500), "no NIfTI image"),
    "gzip as .nii": (
        lambda s: s.series().rename(s.path("dwi.nii")),
        "name it .nii.gz",
    ),
    "mgz": (lambda s: other_format(s, "dwi.mgz", nib.MGHImage), "only NIfTI"),
    "analyze": (lambda s: other_format(s, "dwi.img", nib.Spm2AnalyzeImage), "only NIfTI"),
    "mgz as .nii.gz": (
        lambda s: other_format(s, "dwi.mgz", nib.MGHImage).rename(s.path("dwi.nii.gz")),
        "no NIfTI image",
    ),
    "truncated .nii": (lambda s: cut(s.series("dwi.nii")), "truncated"),
    "truncated .nii.gz": (lambda s: cut(random_noise(s)), "truncated"),
    "truncated scaled": (lambda s: cut(s.series("dwi.nii", kind=nib.Nifti2Image)), "truncated"),
    "truncated header": (lambda s: cut(s.series("dwi.nii"), 0.05), "no NIfTI image"),
    "truncated gz header": (lambda s: cut(s.series(), 0.05), "no NIfTI image"),
    "3-D": (lambda s: s.series(data=s.data[..., 0]), "3 dimensions"),
    "5-D": (lambda s: s.series(data=s.data.reshape(5, 4, 3, 2, 4)), "5 dimensions"),
    "one volume": (lambda s: s.series(data=s.data[..., :1]), "one volume"),
    "RGB": (rgb, "RGB"),
    "NaN": (lambda s: changed(s, (1, 2, 0, 3), np.nan), "1 NaN or infinite voxels"),
    "inf": (lambda s: changed(s, (1, 2, slice(None), 3), np.inf), "3 NaN or infinite"),
    "beyond float32": (lambda s: s.series(data=s.data.astype(float) * 1e300), "infinite"),
    "all zero": (lambda s: s.series(data=s.data * 0), "all zero"),
    "signed": (lambda s: s.series(data=s.data - 4000), "negative"),
    "affine NaN": (
        lambda s: with_header(s.series("dwi.nii"), srow_x=[np.nan, 0, 0, 0]),
        "affine",
    ),
    "impossible gz size": (huge, "truncated"),
    "negative size": (
        lambda s: with_header(s.series("dwi.nii"), dim=[4, 5, -4, 3, 8, 1, 1, 1]),
        "dwi.nii",
    ),
    "impossible size": (
        lambda s: with_header(s.series("dwi.nii"), dim=[4, 32767, 32767, 32767, 8, 1, 1, 1]),
        "truncated",
    ),
    "no voxels": (
        lambda s: with_header(s.series("dwi.nii"), dim=[4, 5, 0, 3, 8, 1, 1, 1]),
        "no voxels",
    ),
    "unknown dtype": (lambda s: with_header(s.series("dwi.nii"), datatype=999), "NIfTI image"),
    "wrong count": (lambda s: s.series(data=s.data[..., :7]), "8 b-values for the 7 volumes"),
}


@pytest.mark.parametrize(("make", "says"), IMAGES.values(), ids=IMAGES)
def test_a_bad_image(small, make, says, capfd):
    path = make(small)
    capfd.readouterr()
    message = refusal(path)
    assert capfd.readouterr().err == ""
    assert says in message
    assert path.name in message or "dwi.bval" in message


def shifted(small, by):
    affine = small.affine
    affine[0, 3] += by
    return small.image("m.nii.gz", np.ones(small.shape[:3], "u1"), affine=affine)


MASKS = {
    "missing": (lambda s: s.path("m.nii.gz"), "no such file"),
    "shape": (
        lambda s: s.image("m.nii.gz", np.ones((5, 4, 4), "u1")),
        "shape (5, 4, 4) but .*dwi.nii.gz",
    ),
    "affine": (lambda s: shifted(s, 0.01), "0.01 off that of .*dwi.nii.gz"),
    "4-D": (lambda s: s.image("m.nii.gz", s.data), "4 dimensions"),
    "empty": (lambda s: s.image("m.nii.gz", np.zeros(s.shape[:3], "u1")), "empty"),
    "all NaN": (
        lambda s: s.image("m.nii.gz", np.full(s.shape[:3], np.nan, np.float32)),
        "empty",
    ),
    "text": (lambda s: replace(s.path("m.nii.gz"), b"hello"), "gzip"),
    "truncated": (lambda s: cut(s.image("m.nii", np.ones(s.shape[:3], "f8"))), "truncated"),
}


@pytest.mark.parametrize(("make", "says"), MASKS.values(), ids=MASKS)
def test_a_bad_mask(small, make, says):
    path = make(small)
    image = small.series()
    message = refusal(image, mask=path)
    assert path.name in message
    assert re.search(says.replace("(", r"\(").replace(")", r"\)"), message), message


TABLES = {
    "none": (lambda s: s.path("dwi.bval").unlink(), "dwi.bval or dwi.bvals"),
    "folder": (
        lambda s: (s.path("dwi.bval").unlink(), s.path("dwi.bval").mkdir()),
        "--bval",
    ),
    "no bvec": (lambda s: s.path("dwi.bvec").unlink(), "--bvec"),
    "swapped": (
        lambda s: s.path("dwi.bval").write_bytes(s.path("dwi.bvec").read_bytes()),
        "dwi.bval: it holds a 3×8 table",
    ),
    "not unit": (
        lambda s: np.savetxt(s.path("dwi.bvec"), s.bvecs.T * 1.2),
        "dwi.bvec: 6 b-vectors of DWIs are not of unit length",
    ),
    "few bvecs": (
        lambda s: np.savetxt(s.path("dwi.bvec"), s.bvecs[:7]),
        "dwi.bvec: there are 7 b-vectors for the 8 volumes",
    ),
}


@pytest.mark.parametrize(("spoil", "says"), TABLES.values(), ids=TABLES)
def test_a_bad_table(small, spoil, says):
    path = small.series()
    spoil(small)
    assert says in refusal(path)


def test_a_given_table_that_is_missing(small):
    assert "nowhere.bval: there is no such file" in refusal(small.series(), bval="nowhere.bval")


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
    message = refusal(path)
    assert spoilt in message
    assert "permissions" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permissions_of_the_system(small):
    path = small.series()
    path.chmod(0)
    assert "permissions" in refusal(path)


def refusal(path, **how):
    with pytest.raises(InputError) as caught:
        load(path, **how)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    assert str(caught.value).count(". ") == 0
    return message
