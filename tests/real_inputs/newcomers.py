"""What a newcomer meets."""

import json
import re

import numpy as np

from dwiser.simulation import Simulation
from tests.real_inputs.situation import Ran, Series, Situation, s7

DICOM_BYTES = b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0"


def mif(made: Simulation, *, table: bool) -> bytes:
    """The series as an MRtrix image, by the format's published description."""
    gradients, data = made.scan.gradients, made.scan.data.astype("<f4")
    rows = np.column_stack([gradients.bvecs, gradients.bvals]).tolist() if table else []
    lines = [
        "mrtrix image",
        f"dim: {','.join(map(str, data.shape))}",
        "vox: 2.5,2.5,2.5,1",
        "layout: +0,+1,+2,+3",
        "datatype: Float32LE",
        *(f"transform: {','.join(map(str, row))}" for row in made.scan.affine[:3].tolist()),
        *(f"dw_scheme: {','.join(map(str, row))}" for row in rows),
        "file: . 8192",
        "END\n",
    ]
    return "\n".join(lines).encode().ljust(8192, b"\0") + data.tobytes("F")


def as_mif(series: Series) -> None:
    series.name = None
    series.files["dwi.mif"] = mif(series.made, table=True)


def with_mif_mask(series: Series) -> None:
    series.files["mask.mif"] = mif(series.made, table=False)


def as_dicom_folder(series: Series) -> None:
    series.name = None
    series.files["dicom/0001/IM00001"] = DICOM_BYTES


def other(name: str):
    """The series is there in another format; its contents do not matter, its name does."""

    def change(series: Series) -> None:
        series.name = None
        series.files[name] = b"NRRD0005\n" if name.endswith("nrrd") else b"\0" * 400

    return change


def as_it_is(series: Series) -> None:
    """A plain scan."""


def refused_mif(ran: Ran) -> None:
    line = "`mrconvert dwi.mif dwi.nii.gz -export_grad_fsl dwi.bvec dwi.bval`."
    ran.refused("dwi.mif: this is an MRtrix image, and only NIfTI is read", line)


def refused_mif_mask(ran: Ran) -> None:
    ran.refused("mask.mif: this is an MRtrix image", "`mrconvert mask.mif mask.nii.gz`.")


def refused_mif_output(ran: Ran) -> None:
    line = "`mrconvert out.nii.gz out.mif -fslgrad out.bvec out.bval`."
    ran.refused("out.mif: only NIfTI is written: name it out.nii.gz", line)


def refused_dicom(ran: Ran) -> None:
    ran.refused("dicom: this is DICOM", "`dcm2niix -z y -f dwi -o . dicom`.")


def refused_nrrd(ran: Ran) -> None:
    ran.refused("dwi.nrrd: this is an NRRD image", "NrrdToFSL", "dwi.bvec", "dwi.bval`.")


def refused_afni(ran: Ran) -> None:
    ran.refused("dwi+orig.HEAD: this is an AFNI image", "`nib-convert dwi+orig.HEAD", "nii.gz`.")


def refused_analyze(ran: Ran) -> None:
    ran.refused("dwi.img: this is an Analyze image", "`nib-convert dwi.img dwi.nii.gz`.")


def surveyed(ran: Ran) -> None:
    ran.ok()
    survey = json.loads(ran.out)
    assert survey["Shape"] == [10, 11, 5, 7]
    assert survey["Shells"][0]["volumes"] == 1
    assert survey["Method"] == "splitq"
    assert survey["SigmaMedian"] > 0


def timed(ran: Ran) -> None:
    ran.ok("would take  about ", "factor of two", "1 threads")


def titled(ran: Ran) -> None:
    ran.ok()
    page = (ran.series.folder / "out.html").read_text()
    title = re.search("<title>(.*)</title>", page)
    assert title is not None
    assert title[1].startswith("sub-07 dir-AP: identity, ")
    assert "denoised by dwiser" in title[1]


def no_weights(ran: Ran) -> None:
    ran.refused("splitq", "has no weights for another scan", "difusion")


def no_weights_file(ran: Ran) -> None:
    ran.refused("out.json: it is no file of weights", "difusion", "splitq has no weights")


def measured(ran: Ran) -> None:
    ran.ok("Residual")
    one, two = (ran.series.folder / f"{n}.tsv" for n in (1, 2))
    assert one.read_text() == two.read_text()


BEFORE = "Refused: “only NIfTI is read and written: give a name that ends in .nii or .nii.gz”."
CONVERT = "Refused with the command that converts it and its gradient table."

ROWS: tuple[Situation, ...] = (
    Situation(
        "mrtrix-image",
        ("MRtrix3/mrtrix3 #2087", "MRtrix3/mrtrix3 #1964"),
        "The series is an MRtrix image, `dwi.mif`, with its gradient table inside.",
        CONVERT,
        BEFORE,
        as_mif,
        refused_mif,
        ("denoise dwi.mif out.nii.gz",),
        s7,
    ),
    Situation(
        "mrtrix-image-to-evaluate",
        ("MRtrix3/mrtrix3 #1964",),
        "The mask is an MRtrix image, which has no gradient table.",
        "Refused with the command that converts it; without the option that would fail.",
        BEFORE,
        with_mif_mask,
        refused_mif_mask,
        ("evaluate dwi.nii.gz --raw dwi.nii.gz --mask mask.mif",),
        s7,
    ),
    Situation(
        "mrtrix-output",
        ("MRtrix3/mrtrix3 #2087",),
        "The result is to be an MRtrix image.",
        "Refused with the name to give and the command that converts it, its table with it.",
        BEFORE,
        as_it_is,
        refused_mif_output,
        ("denoise dwi.nii.gz out.mif",),
        s7,
    ),
    Situation(
        "dicom-folder",
        (),
        "The series is a folder of DICOM files without an ending.",
        "Refused with the line for dcm2niix.",
        "Refused: “this is a folder: give a file”.",
        as_dicom_folder,
        refused_dicom,
        ("info dicom",),
        s7,
    ),
    Situation(
        "nrrd-image",
        ("BRAINSia/BRAINSTools #226",),
        "The series is an NRRD image of 3D Slicer.",
        "Refused with the line for DWIConvert, which writes the gradient table too.",
        BEFORE,
        other("dwi.nrrd"),
        refused_nrrd,
        ("info dwi.nrrd",),
        s7,
    ),
    Situation(
        "afni-image",
        ("nilearn/nilearn #1662",),
        "The series is an AFNI image, `dwi+orig.HEAD` and `.BRIK`.",
        "Refused with the line for nib-convert, which comes with dwiser.",
        BEFORE,
        other("dwi+orig.HEAD"),
        refused_afni,
        ("info dwi+orig.HEAD",),
        s7,
    ),
    Situation(
        "analyze-image",
        ("daducci/AMICO #127",),
        "The series is an Analyze image, `dwi.hdr` and `dwi.img`.",
        "Refused with the line for nib-convert, which comes with dwiser.",
        BEFORE,
        other("dwi.img"),
        refused_analyze,
        ("info dwi.img",),
        s7,
    ),
    Situation(
        "threads-of-evaluate",
        ("dipy/dipy #608",),
        "A cluster gives a job one core, and `evaluate` is to keep to it.",
        "`--threads 1`, as with every other command; the numbers are the same with two.",
        "“Unknown option: --threads. Did you mean --b0-threshold?”, exit code 2.",
        as_it_is,
        measured,
        (
            "evaluate dwi.nii.gz --raw dwi.nii.gz --threads 1 --tsv 1.tsv",
            "evaluate dwi.nii.gz --raw dwi.nii.gz --threads 2 --tsv 2.tsv",
        ),
        s7,
    ),
    Situation(
        "weights-of-splitq",
        (),
        "The default method's weights are to be kept for `dwiser apply`.",
        "Refused in a sentence: splitq has none; the methods that have are named.",
        "Refused: “--save-weights is not for splitq, which learns its weights …”; README's line "
        "for `apply` did not say so.",
        as_it_is,
        no_weights,
        ("denoise dwi.nii.gz out.nii.gz --save-weights weights.safetensors",),
        s7,
    ),
    Situation(
        "apply-without-weights",
        (),
        "A result of splitq is given to `apply` as its weights.",
        "Refused in a sentence: splitq has none; the methods that have are named.",
        "Refused: “it is no safetensors file, or a damaged one: create it again”.",
        lambda series: series.files.update({"out.json": {"Method": "splitq"}}),
        no_weights_file,
        ("apply out.json dwi.nii.gz again.nii.gz",),
        s7,
    ),
    Situation(
        "survey-for-a-program",
        (),
        "A script is to read what `dwiser info` says.",
        "`--json`: one JSON object on standard output, with the sidecar's names.",
        "“Unknown option: --json”, exit code 2.",
        as_it_is,
        surveyed,
        ("info dwi.nii.gz --json --threads 1",),
        s7,
    ),
    Situation(
        "time-of-the-default-method",
        (),
        "How long will the default method take?",
        "About so long, from the scan's size and how fast the machine is now.",
        "“not known beforehand for this method”.",
        as_it_is,
        timed,
        ("info dwi.nii.gz --threads 1",),
        s7,
    ),
    Situation(
        "forty-reports",
        (),
        "Forty reports are open in a browser.",
        "Each is titled by its series, method and verdict.",
        "Each title was “dwiser report: ” and a bare file name, such as dwi.nii.gz.",
        lambda series: setattr(series, "name", "sub-07_dir-AP_dwi"),
        titled,
        ("denoise sub-07_dir-AP_dwi.nii.gz out.nii.gz --method identity --report out.html",),
        s7,
    ),
)
