"""Series along a fifth axis: read with one table or with a row for all, written as they came."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.io import load, save, save_volume
from dwiser.scan import Scan
from tests.refusals import refused
from tests.unit.io.conftest import Small
from tests.unit.io.test_mif import in_file_order, mif

DARKER = 0.6


def five(small: Small, second: float = DARKER, **fields: object) -> Path:
    """Two series of 8 volumes along the fifth axis; ``fields`` are the sidecar's."""
    header = nib.Nifti1Header()
    header.set_xyzt_units("mm", "sec")
    header["descrip"] = b"echoes"
    data = np.stack([small.data, second * small.data], 4)
    path = small.series(data=data, affine=small.affine, header=header)
    if fields:
        small.path("dwi.json").write_text(json.dumps(fields))
    return path


def echoes(scan: Scan) -> list[int] | None:
    return None if scan.gradients.echoes is None else scan.gradients.echoes.tolist()


def test_one_table_counts_for_all_and_all_goes_out_as_it_came(small: Small) -> None:
    path = five(small, EchoTime=[0.07, 0.11])
    scan = load(path)
    assert scan.shape == (5, 4, 3, 16)
    np.testing.assert_array_equal(scan.data[..., 8:], (DARKER * small.data).astype("f4"))
    np.testing.assert_array_equal(scan.gradients.bvals, np.tile(small.bvals, 2))
    assert echoes(scan) == [1] * 8 + [2] * 8
    save(scan.data, small.path("out.nii.gz"), scan, record={})
    before, after = nib.load(path), nib.load(small.path("out.nii.gz"))
    assert after.shape == (5, 4, 3, 8, 2)
    np.testing.assert_array_equal(after.get_fdata(), before.get_fdata())
    for name in ("dim", "pixdim", "xyzt_units", "descrip", "sform_code", "qform_code"):
        np.testing.assert_array_equal(after.header[name], before.header[name])
    np.testing.assert_array_equal(np.loadtxt(small.path("out.bval")), small.bvals)
    np.testing.assert_array_equal(np.loadtxt(small.path("out.bvec")).T, small.bvecs)


def test_a_table_of_all_volumes_stays_one(small: Small) -> None:
    path = five(small, EchoTime=[0.07, 0.11])
    np.savetxt(small.path("dwi.bval"), np.tile(small.bvals, 2)[None], fmt="%g")
    np.savetxt(small.path("dwi.bvec"), np.tile(small.bvecs, (2, 1)).T, fmt="%.17g")
    scan = load(path)
    save(scan.data, small.path("out.nii.gz"), scan, record={})
    assert len(np.loadtxt(small.path("out.bval"))) == 16
    save_volume(scan.data[..., :8], small.path("part.nii.gz"), scan)
    assert nib.load(small.path("part.nii.gz")).shape == (5, 4, 3, 8)


TIMES = {
    "one a series": ([0.11, 0.07], [2] * 8 + [1] * 8),
    "one a volume": ([0.07] * 8 + [0.11] * 8, [1] * 8 + [2] * 8),
    "one a volume of the fourth axis": ([0.07] * 4 + [0.11] * 4, ([1] * 4 + [2] * 4) * 2),
    "all alike": ([0.07, 0.07], None),
}


@pytest.mark.parametrize("case", TIMES)
def test_echo_times_say_which_volume_is_of_which_echo(small: Small, case: str) -> None:
    times, expected = TIMES[case]
    assert echoes(load(five(small, 1.0, EchoTime=times))) == expected


def test_without_echo_times_the_brightness_tells_echoes_from_repeats(small: Small) -> None:
    with pytest.warns(UserWarning, match=r"1, 0\.6 times as bright"):
        assert echoes(load(five(small))) == [1] * 8 + [2] * 8
    assert echoes(load(five(small, 1.02))) is None


def test_a_series_of_four_axes_may_have_echoes_too(small: Small) -> None:
    path = small.series()
    small.path("dwi.json").write_text(json.dumps({"EchoTime": [0.07] * 4 + [0.11] * 4}))
    assert echoes(load(path)) == [1] * 4 + [2] * 4
    small.path("dwi.json").write_text('{"EchoTime": 0.07}')
    assert echoes(load(path)) is None


def test_an_mrtrix_image_keeps_its_strides_and_its_table(small: Small) -> None:
    """As `mrcat -axis 4` has it: the fifth axis right after the first, one table for all."""
    data = np.stack([small.data, DARKER * small.data], 4).astype("<f4")
    layout = "-0,+2,+3,+4,+1"
    content = mif(small, layout=layout, voxels=in_file_order(data, layout))
    content = content.replace(b"dim: 5,4,3,8\n", b"dim: 5,4,3,8,2\n", 1)
    content = content.replace(b"vox: 2,2,2.5,3\n", b"vox: 2,2,2.5,3,nan\n", 1)
    cut = content.index(b"\0\0\0\0\0\0")  # the padding makes up for the longer lines
    grown = len(b",2") + len(b",nan")
    path = small.path("dwi.mif")
    path.write_bytes(content[:cut] + content[cut + grown :])
    with pytest.warns(UserWarning, match="taken for echoes"):
        scan = load(path)
    np.testing.assert_array_equal(scan.data[::-1, ..., :8], small.data)
    np.testing.assert_array_equal(scan.data[::-1, ..., 8:], data[..., 1])
    save_volume(scan.data, small.path("again.mif"), like=scan)
    again = small.path("again.mif").read_bytes()
    assert again.endswith(in_file_order(data, layout))
    assert b"dim: 5,4,3,8,2\n" in again
    assert again.count(b"dw_scheme:") == 8


REFUSED = {
    "rows": ({}, 7, Code.GRADIENTS_LENGTH, "7 b-values for 8 volumes in each of 2 series"),
    "times": ({"EchoTime": [0.07, 0.11, 0.15]}, 8, Code.GRADIENTS_LENGTH, "3 times in EchoTime"),
    "no time": ({"EchoTime": [0.07, "x"]}, 8, Code.SIDECAR_FORMAT, "what is no number"),
    "negative": ({"EchoTime": [0.07, -1]}, 8, Code.SIDECAR_FORMAT, "what is no time in s"),
    "shapes": ({"BDelta": [1, 0, 1]}, 8, Code.GRADIENTS_LENGTH, "3 values of BDelta"),
    "shape": ({"BDelta": 2}, 8, Code.GRADIENTS_VALUES, "BDelta holds 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_by_the_name_of_its_file(small: Small, case: str) -> None:
    fields, rows, code, words = REFUSED[case]
    path = five(small, **fields)
    np.savetxt(small.path("dwi.bval"), small.bvals[None, :rows], fmt="%g")
    name = "dwi.json" if fields else "dwi.bval"
    with refused(code, name, words):
        load(path)


def test_b_delta_by_option_and_by_sidecar(small: Small) -> None:
    path = small.series()
    assert load(path, b_delta="-0.5").gradients.shapes[1] == -0.5
    one_a_volume = [0, 1, 1, 0, 0, 0, -0.5, -0.5]
    small.path("shapes.txt").write_text(" ".join(map(str, one_a_volume)))
    told = load(path, b_delta=small.path("shapes.txt")).gradients
    np.testing.assert_array_equal(told.shapes, [1, 1, 1, 0, 0, 1, -0.5, -0.5])
    small.path("dwi.json").write_text(json.dumps({"BDelta": one_a_volume}))
    np.testing.assert_array_equal(load(path).gradients.shapes, told.shapes)
    np.testing.assert_array_equal(load(path, b_delta=1).gradients.shapes, np.ones(8))
    assert load(path, fields={}).gradients.b_delta is None


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("1 0 1", Code.GRADIENTS_LENGTH, "3 values of b-delta for the 8 volumes"),
        ("1 0 1 1 1 1 1 7", Code.GRADIENTS_VALUES, "b-delta holds 7"),
        ("1 0 1 1 1 1 1 x", Code.GRADIENTS_FORMAT, "'x' where a number"),
        ("1 1\n1 1\n1 1\n1 1", Code.GRADIENTS_FORMAT, "4×2 table"),
    ],
)
def test_a_faulty_file_of_shapes_is_refused(
    small: Small, text: str, code: Code, words: str
) -> None:
    path = small.series()
    small.path("shapes.txt").write_text(text)
    with refused(code, "shapes.txt", words):
        load(path, b_delta=small.path("shapes.txt"))


def test_a_number_that_is_no_shape_is_refused(small: Small) -> None:
    with refused(Code.ARGUMENT_VALUE, "--b-delta", "not 1.5"):
        load(small.series(), b_delta="1.5")
    missing = small.path("nowhere.txt")
    with refused(Code.FILE_MISSING) as error:
        load(small.series(), b_delta=missing)
    assert str(error.value).count(str(missing)) == 1
