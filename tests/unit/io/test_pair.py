"""NIfTI in two files, .hdr and .img; Analyze, which looks alike, stays refused."""

import nibabel as nib
import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.io import find_inputs, load, save, save_volume
from tests.refusals import refused
from tests.unit.io.conftest import Small


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("name", ["dwi.hdr", "dwi.img", "dwi.hdr.gz", "dwi.img.gz"])
def test_a_pair_is_read_by_either_name_and_written(small: Small, kind, name: str) -> None:
    nib.save(kind(small.data.astype(">i2"), small.affine), small.path(name))
    table = small.path("t.bval"), small.path("t.bvec")
    small.series("t.nii")
    scan = load(small.path(name), *table)
    np.testing.assert_array_equal(scan.data, small.data)
    np.testing.assert_array_equal(scan.affine, small.affine)
    out = small.path(name.replace("dwi", "out"))
    save(scan.data, out, scan, record={})
    written = nib.load(out)
    assert type(written) is kind
    np.testing.assert_array_equal(written.get_fdata(), small.data)
    assert load(out).shape == small.shape  # with out.bval and out.bvec
    assert len(find_inputs(out).files) == 5  # both halves, the table, the sidecar
    save_volume(scan.data, small.path("one.nii"), like=scan)
    assert nib.load(small.path("one.nii")).header["magic"] in (b"n+1", b"n+2")


def test_half_a_pair_and_a_cut_one(small: Small) -> None:
    nib.save(nib.Nifti1Pair(small.data, small.affine), small.path("dwi.hdr"))
    small.series("t.nii")
    table = small.path("t.bval"), small.path("t.bvec")
    whole = small.path("dwi.img").read_bytes()
    small.path("dwi.img").write_bytes(whole[:-8])
    with refused(Code.IMAGE_DAMAGED, "dwi.hdr: it is truncated"):
        load(small.path("dwi.hdr"), *table)
    small.path("dwi.img").unlink()
    with refused(Code.FILE_MISSING, "dwi.hdr: its other half dwi.img is not beside it"):
        load(small.path("dwi.hdr"), *table)


def test_an_analyze_image_is_refused(small: Small) -> None:
    nib.save(nib.AnalyzeImage(small.data, small.affine), small.path("dwi.img"))
    with refused(Code.FILE_ENDING, "dwi.img: this is an Analyze image", "`nib-convert"):
        load(small.path("dwi.img"))
