"""Names: the stem is all but the ending, and what lies beside an image is found by it."""

from pathlib import Path

import pytest

from dwiser.errors import Code
from dwiser.io import companion, find_inputs, stem
from tests.refusals import refused


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/dwi.nii.gz", "a/dwi"),
        ("a/dwi.nii", "a/dwi"),
        ("sub-1_acq-b1.5_dwi.nii.gz", "sub-1_acq-b1.5_dwi"),
        ("DWI.NII.GZ", "DWI"),
        ("a.nii.nii.gz", "a.nii"),
        ("a/dwi.mif.gz", "a/dwi"),
        ("dwi.mih", "dwi"),
        ("dwi.nrrd", "dwi"),
        ("dwi.img.gz", "dwi"),
    ],
)
def test_stem(path, expected):
    assert stem(path) == Path(expected)
    assert companion(path, ".bval") == Path(expected + ".bval")


@pytest.mark.parametrize("path", ["dwi", "dwi.npy", "dwi.nii.lz4", ".nii.gz", ".mif", "a.nii/b"])
def test_no_other_name_has_a_stem(path):
    with refused(Code.FILE_ENDING, f"{path}: ", "a name that ends in .nii or .nii.gz, .mif"):
        stem(path)


@pytest.mark.parametrize("plural", ["", "s"])
def test_gradients_are_found_beside_the_image(tmp_path, plural):
    for name in ("dwi.nii.gz", f"dwi.bval{plural}", f"dwi.bvec{plural}", "dwi.json", "dwi2.bval"):
        (tmp_path / name).write_text("x")
    inputs = find_inputs(tmp_path / "dwi.nii.gz")
    assert inputs.bval == tmp_path / f"dwi.bval{plural}"
    assert inputs.bvec == tmp_path / f"dwi.bvec{plural}"
    assert tmp_path / "dwi.json" in inputs.files


def test_tables_of_other_names_are_pointed_at(tmp_path):
    """FSL's folders have data.nii.gz, bvals and bvecs; MRtrix's users a dwi.b or grad.b."""
    image = tmp_path / "data.nii.gz"
    for name in ("data.nii.gz", "grad.b"):
        (tmp_path / name).write_text("x")
    with refused(Code.GRADIENTS_MISSING, "no b-values", "add --grad", "grad.b."):
        find_inputs(image)
    with refused(Code.GRADIENTS_MISSING, "no b-vectors", "give them with --bvec"):
        find_inputs(image, "given")  # beside which --grad would be refused
    (tmp_path / "bvals").write_text("x")
    (tmp_path / "bvecs").write_text("x")
    with refused(Code.GRADIENTS_MISSING, "no b-values", "add --bval ", "bvals --bvec ", "bvecs."):
        find_inputs(image)
    with refused(Code.GRADIENTS_MISSING, "no b-vectors", "add --bvec ", "bvecs."):
        find_inputs(image, "given")


def test_given_files_win_and_missing_ones_are_named(tmp_path):
    image = tmp_path / "dwi.nii.gz"
    for name in ("dwi.nii.gz", "dwi.bval", "other.bval"):
        (tmp_path / name).write_text("x")
    assert find_inputs(image, tmp_path / "other.bval", "v").bval == tmp_path / "other.bval"
    with refused(Code.GRADIENTS_MISSING, "dwi.bvec or dwi.bvecs", "--bvec"):
        find_inputs(image)
