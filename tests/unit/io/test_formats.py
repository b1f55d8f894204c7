"""Other formats are refused with the command that converts them, and that command works."""

import gzip
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import dwiser
from dwiser.errors import Code
from dwiser.io import stem
from dwiser.io.formats import conversion, output_conversion
from dwiser.io.names import check_output_name
from tests.refusals import refused

TABLE = "-export_grad_fsl"
needs_mrtrix = pytest.mark.skipif(
    shutil.which("mrconvert") is None, reason="MRtrix3 is not on this machine"
)


def command(sentence: str | None) -> list[str]:
    """The words between the backticks."""
    assert sentence is not None
    return shlex.split(sentence.split("`")[1])


def mif(table: bool = True, volumes: int = 7) -> bytes:
    """An MRtrix image of 4 × 3 × 2 voxels, written by its published description."""
    rows = ["0,0,0,0"] + [f"{x:.0f},{1 - x:.0f},0,1000" for x in np.arange(volumes - 1) % 2]
    scheme = "".join(f"dw_scheme: {row}\n" for row in rows) if table else ""
    head = (
        f"mrtrix image\ndim: 4,3,2,{volumes}\nvox: 2,2,2,1\nlayout: +0,+1,+2,+3\n"
        f"datatype: Float32LE\ntransform: 1,0,0,0\ntransform: 0,1,0,0\ntransform: 0,0,1,0\n{scheme}"
    )
    offset = 4096
    text = f"{head}file: . {offset}\nEND\n".encode()
    voxels = np.arange(4 * 3 * 2 * volumes, dtype="<f4")
    return text.ljust(offset, b"\0") + voxels.tobytes()


@pytest.mark.parametrize("ending", [".mif", ".mif.gz", ".MIF"])
def test_an_mrtrix_image_brings_its_table_along(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"my dwi{ending}"
    file.write_bytes(gzip.compress(mif()) if ending.endswith("gz") else mif())
    base = tmp_path / "my dwi"
    words = ["mrconvert", str(file), f"{base}.nii.gz", TABLE, f"{base}.bvec", f"{base}.bval"]
    assert command(conversion(file)) == words
    with refused(Code.FILE_ENDING, f"{file}: this is an MRtrix image", "only NIfTI is read"):
        dwiser.load(file)


def test_a_mask_of_mrtrix_has_none(tmp_path: Path) -> None:
    (tmp_path / "mask.mif").write_bytes(mif(table=False))
    assert TABLE not in command(conversion(tmp_path / "mask.mif"))


@needs_mrtrix
@pytest.mark.parametrize("table", [True, False])
def test_the_line_for_mrtrix_works_there_and_back(tmp_path: Path, table: bool) -> None:
    (tmp_path / "dwi.mif").write_bytes(mif(table))
    subprocess.run(command(conversion(tmp_path / "dwi.mif")), check=True, capture_output=True)
    image = nib.load(tmp_path / "dwi.nii.gz")
    assert image.shape == (4, 3, 2, 7)
    assert np.array_equal(np.unique(image.dataobj), np.arange(4 * 3 * 2 * 7))
    assert (tmp_path / "dwi.bval").exists() == table
    if table:
        assert dwiser.load(tmp_path / "dwi.nii.gz").gradients.bvals.max() == 1000
    (tmp_path / "dwi.nii.gz").rename(tmp_path / "out.nii.gz")
    if table:
        for end in ("bval", "bvec"):
            (tmp_path / f"dwi.{end}").rename(tmp_path / f"out.{end}")
    back = output_conversion(tmp_path / "out.mif", series=table)
    subprocess.run(command(back), check=True, capture_output=True)
    assert (b"dw_scheme" in (tmp_path / "out.mif").read_bytes()) == table


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (nib.MGHImage, "dwi.mgz"),
        (nib.Spm2AnalyzeImage, "dwi.img"),
        (nib.Nifti1Pair, "dwi.hdr"),
        (nib.MGHImage, "dwi.mgh"),
    ],
)
def test_what_nibabel_reads_its_own_program_converts(tmp_path: Path, kind, name: str) -> None:
    voxels = np.arange(4 * 3 * 2 * 7, dtype=np.float32).reshape(4, 3, 2, 7)
    nib.save(kind(voxels, np.diag([2.0, 2, 2, 1])), tmp_path / name)
    program, *rest = command(conversion(tmp_path / name))
    subprocess.run([Path(sys.executable).with_name(program), *rest], check=True)
    assert np.array_equal(np.asarray(nib.load(tmp_path / "dwi.nii.gz").dataobj), voxels)


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
        ("a/dwi.nrrd", "DWIConvert --conversionMode NrrdToFSL --inputVolume a/dwi.nrrd"),
        ("dwi+orig.HEAD", "nib-convert dwi+orig.HEAD dwi+orig.nii.gz"),
        ("dwi.REC", "parrec2nii --compressed --bvs --output-dir . dwi.PAR"),
        ("dwi.dcm", "dcm2niix -z y -f dwi -o . ."),
    ],
)
def test_a_name_is_enough(name: str, words: str) -> None:
    with refused(Code.FILE_ENDING, f"{name}: this is ", f"`{words}"):
        stem(name)


def test_an_output_says_how_to_have_it_all_the_same() -> None:
    with refused(Code.FILE_ENDING, "s.mif: only NIfTI is written: name it s.nii.gz", "s.mif`."):
        check_output_name("s.mif")
    with refused(Code.FILE_ENDING, "-fslgrad out.bvec out.bval`."):
        check_output_name("out.mif", series=True)
    with refused(Code.FILE_ENDING, "s.nrrd: only NIfTI is written: name it s.nii.gz."):
        check_output_name("s.nrrd")
    with refused(Code.FILE_ENDING, "s.txt: only NIfTI is read and written"):
        check_output_name("s.txt")
