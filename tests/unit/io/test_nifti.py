"""Geometry is sacred: what goes in comes out, whatever the header says."""

import dataclasses

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nibabel.nifti1 import Nifti1Extension
from scipy.spatial.transform import Rotation

from dwiser.errors import DwiserWarning
from dwiser.io import load, save_volume

PRESERVED_FIELDS = [
    *("dim", "pixdim", "xyzt_units", "descrip", "aux_file", "intent_code", "intent_name"),
    *("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("sform_code", "srow_x", "srow_y", "srow_z", "toffset"),
    *("dim_info", "slice_start", "slice_end", "slice_code", "slice_duration"),
]
NAMES = ("dwi.nii", "dwi.nii.gz")
KINDS = (nib.Nifti1Image, nib.Nifti2Image)


def rich_header(kind, affine, qform_code, sform_code):
    header = kind.header_class()
    header.set_data_shape((5, 4, 3, 8))
    header.set_data_dtype(np.float32)
    header.set_qform(affine, code=qform_code)
    shear = affine @ np.array([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    header.set_sform(shear if sform_code else None, code=sform_code)
    header["pixdim"][4] = 3.2
    header.set_xyzt_units("mm", "sec")
    header["descrip"] = b"TE=90;phase=1"
    header["slice_code"], header["slice_end"], header["slice_duration"] = 3, 2, 0.05
    header.set_dim_info(freq=0, phase=1, slice=2)
    header["cal_max"], header["cal_min"] = 4000, 5
    return header


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 2), (3, 4), (0, 0)])
def test_the_header_comes_back(small, kind, codes):
    header = rich_header(kind, small.affine, *codes)
    path = small.series(kind=kind, header=header)
    scan = load(path)
    save_volume(scan.data, small.path("o.nii.gz"), scan)
    before, after = nib.load(path), nib.load(small.path("o.nii.gz"))
    assert type(after) is kind
    np.testing.assert_array_equal(after.affine, before.affine)
    np.testing.assert_array_equal(after.get_fdata(), small.data)
    for key in PRESERVED_FIELDS:
        np.testing.assert_array_equal(after.header[key], before.header[key], err_msg=key)
    assert after.get_data_dtype() == np.float32
    assert (after.header["cal_min"], after.header["cal_max"]) == (0, 0)
    assert scan.header["cal_max"] == 4000  # the scan's own header is not touched


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(
    turn=arrays(float, 3, elements=st.floats(-np.pi, np.pi)),
    zooms=arrays(float, 3, elements=st.floats(0.1, 10)),
    origin=arrays(float, 3, elements=st.floats(-300, 300)),
    mirrored=st.booleans(),
    qform=st.booleans(),
    name=st.sampled_from(NAMES),
)
def test_any_affine_comes_back(small, turn, zooms, origin, mirrored, qform, name):
    affine = np.eye(4)
    flip = np.diag([-1.0 if mirrored else 1.0, 1, 1])
    affine[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ flip @ np.diag(zooms)
    affine[:3, 3] = origin
    image = nib.Nifti1Image(small.data, None)
    image.set_sform(affine, code=0 if qform else 1)
    image.set_qform(affine, code=1 if qform else 0)
    path = small.series(name, header=image.header)
    scan = load(path)
    if not qform:  # a qform holds a half turn to about 1e-3 only
        np.testing.assert_allclose(scan.affine, affine, atol=1e-4)
    np.testing.assert_allclose(scan.voxel_size, zooms, rtol=1e-4)
    for data in (scan.data, scan.data[..., 0]):
        save_volume(data, small.path("o.nii.gz"), scan)
        after = nib.load(small.path("o.nii.gz"))
        np.testing.assert_array_equal(after.affine, nib.load(path).affine)
        assert after.header["qform_code"] == int(qform)
        assert after.header["sform_code"] == int(not qform)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("slope", "inter"), [(1, 0), (0.25, 0), (3.7, 12)])
@pytest.mark.parametrize("dtype", ["u1", ">i2", "u2", "f8"])
def test_units_are_the_scanners(small, name, slope, inter, dtype):
    """The scale slope is applied as nibabel does, and is not applied again on the way back."""
    stored = (np.arange(np.prod(small.shape)).reshape(small.shape) % 250).astype(dtype)
    header = nib.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
    header.set_data_dtype(dtype)
    image = nib.Nifti1Image(stored, small.affine, header)
    image.header.set_slope_inter(slope, inter)  # nibabel then stores the numbers as they are
    path = small.series(name)
    image.to_filename(path)
    expected = nib.load(path).get_fdata()
    np.testing.assert_allclose(expected, stored * slope + inter, rtol=1e-6)
    scan = load(path)
    assert scan.data.dtype == np.float32
    assert scan.data.dtype.isnative
    np.testing.assert_array_equal(scan.data, expected.astype(np.float32))
    save_volume(scan.data, small.path("o.nii"), scan)
    np.testing.assert_array_equal(nib.load(small.path("o.nii")).get_fdata(), scan.data)


def test_volumes_keep_their_order_and_the_b0s_theirs(small):
    scan = load(small.series())
    np.testing.assert_array_equal(scan.data[0, 0, 0], 1 + 1000 * np.arange(8))
    np.testing.assert_array_equal(np.flatnonzero(scan.gradients.is_b0), [0, 5])
    dwi = ~scan.gradients.is_b0
    np.testing.assert_allclose(scan.gradients.bvecs[dwi], small.bvecs[dwi], atol=1e-12)
    np.testing.assert_array_equal(scan.gradients.raw_bvecs, small.bvecs)


def test_axes_of_length_one_at_the_end_are_no_dimensions(small):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    path = small.series(data=small.data[..., None, None], header=header, affine=small.affine)
    assert nib.load(path).ndim == 6
    scan = load(path)
    np.testing.assert_array_equal(scan.data, small.data)
    save_volume(scan.data, small.path("o.nii"), scan)
    assert nib.load(small.path("o.nii")).shape == small.shape


def test_nan_in_the_repetition_time_is_harmless(small):
    header = rich_header(nib.Nifti1Image, small.affine, 1, 1)
    header["pixdim"][4] = np.nan
    scan = load(small.series(header=header))
    save_volume(scan.data, small.path("o.nii.gz"), scan)
    after = nib.load(small.path("o.nii.gz"))
    assert np.isnan(after.header["pixdim"][4])
    np.testing.assert_array_equal(after.header["pixdim"][1:4], header["pixdim"][1:4])


def test_maps_are_three_dimensional_and_masks_bytes(small):
    header = rich_header(nib.Nifti2Image, small.affine, 1, 1)
    header.extensions.append(Nifti1Extension("comment", b"eight volumes"))
    path = small.series(header=header, kind=nib.Nifti2Image)
    scan = load(path)
    sigma = np.linspace(0, 20, 60).reshape(5, 4, 3)
    save_volume(sigma, small.path("sigma.nii.gz"), scan)
    save_volume(sigma > 5, small.path("mask.nii"), scan)
    save_volume(scan.data, small.path("o.nii"), scan)
    for name, expected, dtype in (("sigma.nii.gz", sigma, "f4"), ("mask.nii", sigma > 5, "u1")):
        image = nib.load(small.path(name))
        assert type(image) is nib.Nifti2Image
        assert image.shape == (5, 4, 3)
        assert image.get_data_dtype() == dtype
        assert not image.header.extensions
        np.testing.assert_array_equal(image.affine, nib.load(path).affine)
        np.testing.assert_allclose(image.get_fdata(), expected, rtol=1e-6)
    assert nib.load(small.path("o.nii")).header.extensions


def test_a_scan_without_header_can_be_written(small):
    scan = dataclasses.replace(load(small.series()), header=None)
    save_volume(scan.data, small.path("o.nii.gz"), scan)
    np.testing.assert_array_equal(nib.load(small.path("o.nii.gz")).affine, small.affine)


def test_the_same_data_give_the_same_bytes(small):
    scan = load(small.series())
    for name in ("a.nii.gz", "b.nii.gz"):
        save_volume(scan.data, small.path(name), scan)
    assert small.path("a.nii.gz").read_bytes() == small.path("b.nii.gz").read_bytes()


@pytest.mark.parametrize("trailing", [False, True])
def test_a_mask_is_what_is_neither_zero_nor_nan(small, trailing):
    values = np.zeros(small.shape[:3], np.float32)
    values[0, 0, 0], values[1, 0, 0], values[2, 0, 0], values[3, 0, 0] = 0.3, -2, np.nan, np.inf
    nudged = small.affine + 5e-4
    mask = small.image("m.nii", values[..., None] if trailing else values, affine=nudged)
    scan = load(small.series(), mask=mask)
    assert np.argwhere(scan.mask).tolist() == [[0, 0, 0], [1, 0, 0]]


def test_tables_may_lie_elsewhere(small):
    path = small.series()
    small.path("dwi.bval").rename(small.path("b.txt"))
    small.path("dwi.bvec").rename(small.path("v.txt"))
    scan = load(path, small.path("b.txt"), small.path("v.txt"), b0_threshold=2000.0)
    assert scan.gradients.is_b0.all()


def test_lengths_a_little_off_are_mended_with_a_warning(small):
    path = small.series()
    np.savetxt(small.path("dwi.bvec"), small.bvecs.T * 1.05)
    with pytest.warns(DwiserWarning, match="normalised"):
        scan = load(path)
    np.testing.assert_allclose(np.linalg.norm(scan.gradients.bvecs[1], axis=0), 1, atol=1e-12)
