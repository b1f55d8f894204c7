"""Other formats are refused with the command that converts them, and that command works."""

import shlex
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import dwiser
from dwiser.errors import Code, InputError
from dwiser.io import stem
from dwiser.io.formats import conversion
from dwiser.io.names import check_output_name
from dwiser.io.opening import open_image
from tests.refusals import refused


def command(sentence: str | None) -> list[str]:
    """The words between the backticks."""
    assert sentence is not None
    return shlex.split(sentence.split("`")[1])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (nib.MGHImage, "dwi.mgz"),
        (nib.Spm2AnalyzeImage, "dwi.img"),
        (nib.AnalyzeImage, "dwi.hdr"),
        (nib.MGHImage, "dwi.mgh"),
    ],
)
def test_what_nibabel_reads_its_own_program_converts(tmp_path: Path, kind, name: str) -> None:
    voxels = np.arange(4 * 3 * 2 * 7, dtype=np.float32).reshape(4, 3, 2, 7)
    nib.save(kind(voxels, np.diag([2.0, 2, 2, 1])), tmp_path / name)
    with pytest.raises(InputError) as caught:
        open_image(tmp_path / name)
    program, *rest = command(str(caught.value))
    subprocess.run([Path(sys.executable).with_name(program), *rest], check=True)
    assert np.array_equal(np.asarray(nib.load(tmp_path / "dwi.nii.gz").dataobj), voxels)


def test_factors_of_each_volume_survive_the_conversion(tmp_path: Path) -> None:
    """AFNI's volumes have factors of their own; what was 0 stays 0, and no step becomes coarser."""
    stored = np.tile(np.arange(24, dtype="<i2").reshape(4, 3, 2, 1), 3)
    factors = [0.01, 0.02, 1000.0]
    (tmp_path / "dwi+orig.HEAD").write_text(afni_header(stored.shape, factors))
    (tmp_path / "dwi+orig.BRIK").write_bytes(stored.tobytes("F"))
    program, *rest = command(conversion(tmp_path / "dwi+orig.HEAD"))
    subprocess.run([Path(sys.executable).with_name(program), *rest], check=True)
    converted = nib.load(tmp_path / "dwi+orig.nii.gz").get_fdata()
    np.testing.assert_allclose(converted, stored * factors, rtol=1e-6)


def afni_header(shape: tuple[int, ...], factors: list[float]) -> str:
    """What nibabel needs of a header, by AFNI's description of its attributes."""
    attributes = {
        "DATASET_RANK": ("integer", [3, shape[3]]),
        "DATASET_DIMENSIONS": ("integer", list(shape[:3])),
        "ORIENT_SPECIFIC": ("integer", [0, 3, 4]),
        "ORIGIN": ("float", [0.0, 0.0, 0.0]),
        "DELTA": ("float", [2.0, 2.0, 2.0]),
        "IJK_TO_DICOM_REAL": ("float", [2.0, 0, 0, 0, 0, 2.0, 0, 0, 0, 0, 2.0, 0]),
        "BRICK_TYPES": ("integer", [1] * shape[3]),
        "BRICK_FLOAT_FACS": ("float", factors),
    }
    text = [
        f"type = {kind}-attribute\nname = {name}\ncount = {len(values)}\n"
        f" {' '.join(map(str, values))}\n"
        for name, (kind, values) in attributes.items()
    ]
    words = {"TYPESTRING": "3DIM_HEAD_ANAT", "BYTEORDER_STRING": "LSB_FIRST"}
    text += [
        f"type = string-attribute\nname = {name}\ncount = {len(word) + 1}\n'{word}~\n"
        for name, word in words.items()
    ]
    return "\n" + "\n".join(text)


def test_a_metaimage_is_converted_by_the_program_that_wrote_it() -> None:
    program, option, lines = command(conversion("my data/dwi.mha"))
    assert (program, option) == ("python", "-c")
    compile(lines, "lines", "exec")
    assert 'ReadImage("my data/dwi.mha"), "my data/dwi.nii.gz"' in lines


def test_dicom_is_known_by_its_bytes_in_a_file_and_in_a_folder(tmp_path: Path) -> None:
    series = tmp_path / "study" / "series 1"
    series.mkdir(parents=True)
    (series / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
    convert = ["dcm2niix", "-z", "y", "-f", "dwi", "-o", "."]
    assert command(conversion(series / "IM0001")) == [*convert, str(series)]
    with refused(Code.FILE_KIND, f"{tmp_path / 'study'}: this is DICOM", "dcm2niix"):
        dwiser.load(tmp_path / "study")
    (tmp_path / "empty").mkdir()
    with refused(Code.FILE_KIND, f"{tmp_path / 'empty'}: this is a folder: give a file."):
        dwiser.load(tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a/dwi.mgz", "nib-convert a/dwi.mgz a/dwi.nii.gz"),
        ("dwi+orig.HEAD", "nib-convert --out-dtype float32 dwi+orig.HEAD dwi+orig.nii.gz"),
        ("a/dwi.REC", "dcm2niix -z y -f dwi -o a a/dwi.PAR"),
        ("dwi.mnc", "mnc2nii dwi.mnc dwi.nii"),
        ("a/mask.nii.bz2", "bunzip2 -k a/mask.nii.bz2"),
        ("dwi.dcm", "dcm2niix -z y -f dwi -o . ."),
    ],
)
def test_a_name_is_enough(name: str, words: str) -> None:
    with refused(Code.FILE_ENDING, f"{name}: this is ", f"`{words}"):
        stem(name)


def test_an_output_says_how_to_have_it_all_the_same() -> None:
    with refused(Code.FILE_ENDING, "s.mgz: only NIfTI, MRtrix", "name it s.nii.gz", "s.mgz`."):
        check_output_name("s.mgz")
    with refused(Code.FILE_ENDING, "s.par: only NIfTI, MRtrix", "name it s.nii.gz."):
        check_output_name("s.par")
    with refused(Code.FILE_ENDING, "s.txt: only NIfTI, MRtrix and NRRD", "read and written"):
        check_output_name("s.txt")
