"""What a newcomer meets."""

import gzip
import json
import re

import nibabel as nib
import numpy as np

from dwiser.io import load, read_gradients
from dwiser.io.scanner_axes import in_scanner_axes
from dwiser.simulation import Simulation
from tests.real_inputs.situation import Ran, Series, Situation, s7

DICOM_BYTES = b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0"


def mif(made: Simulation, *, table: bool) -> bytes:
    """The series as an MRtrix image, by the format's published description."""
    gradients, data = made.scan.gradients, made.scan.data.astype("<f4")
    vectors = in_scanner_axes(gradients.bvecs, made.scan.affine)
    rows = np.column_stack([vectors, gradients.bvals]).tolist() if table else []
    lines = [
        "mrtrix image",
        f"dim: {','.join(map(str, data.shape))}",
        "vox: 1,1,1,1",
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


def as_mih(series: Series) -> None:
    """As mrconvert writes it: a header without END, and the voxels beside it."""
    series.name = None
    whole = mif(series.made, table=True)
    head, voxels = whole[:8192].partition(b"file: ")[0], whole[8192:]
    series.files |= {"dwi.mih": head + b"file: dwi.dat\n", "dwi.dat": voxels}


def with_mif_mask(series: Series) -> None:
    inside = np.packbits(series.made.mask.ravel(order="F"))
    head = mif(series.made, table=False)[:8192]
    for old, new in (
        (b"dim: 10,11,5,7", b"dim: 10,11,5"),
        (b"+2,+3", b"+2"),
        (b"Float32LE", b"Bit"),
    ):
        head = head.replace(old, new)
    series.files["mask.mif"] = head.ljust(8192, b"\0") + inside.tobytes()


def cut_off_mif(series: Series) -> None:
    series.name = None
    series.files["dwi.mif"] = mif(series.made, table=True)[:-100]


def short_scheme(series: Series) -> None:
    series.name = None
    series.files["dwi.mif"] = mif(series.made, table=True).replace(b"dw_scheme", b"dw_schema", 1)


def scanner_table(series: Series) -> None:
    gradients = series.made.scan.gradients
    vectors = in_scanner_axes(gradients.bvecs, series.made.scan.affine)
    series.bvals = series.bvecs = None
    rows = (" ".join(map(str, row)) for row in np.column_stack([vectors, gradients.bvals]))
    series.files["grad.b"] = "\n".join(rows)


def as_nrrd(series: Series, *, frame: bool = True) -> None:
    """As 3D Slicer writes it: the volumes fastest, a measurement frame, one b-value."""
    series.name = None
    gradients, affine = series.made.scan.gradients, series.made.scan.affine
    to_lps = np.diag([-1.0, -1.0, 1.0])
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # its columns are the frame's vectors
    vectors = in_scanner_axes(gradients.bvecs, affine) @ to_lps @ turn
    space = to_lps @ affine[:3]
    shown = [f"({','.join(map(str, v))})" for v in (*space.T, *turn.T)]
    lines = [
        "NRRD0005", "type: float", "dimension: 4", "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, np.roll(series.data.shape, 1)))}",
        f"space directions: none {' '.join(shown[:3])}", "kinds: list space space space",
        "endian: little", "encoding: gzip", f"space origin: {shown[3]}",
        *([f"measurement frame: {' '.join(shown[4:])}"] if frame else []),
        "data file: dwi.raw.gz", "modality:=DWMRI", f"DWMRI_b-value:={gradients.bvals.max()}",
        *(f"DWMRI_gradient_{v:04d}:={' '.join(map(str, g))}" for v, g in enumerate(vectors)),
    ]  # fmt: skip
    series.files["dwi.nhdr"] = "\n".join(lines) + "\n"
    voxels = np.moveaxis(series.data, 3, 0).astype("<f4").tobytes("F")
    series.files["dwi.raw.gz"] = gzip.compress(voxels, 1)


def half_an_nrrd(series: Series) -> None:
    as_nrrd(series)
    del series.files["dwi.raw.gz"]


def as_dicom_folder(series: Series) -> None:
    series.name = None
    series.files["dicom/0001/IM00001"] = DICOM_BYTES


def other(name: str):
    """The series is there in another format; its contents do not matter, its name does."""

    def change(series: Series) -> None:
        series.name = None
        series.files[name] = b"\0" * 400

    return change


def as_analyze(series: Series) -> None:
    series.name = None
    header = nib.AnalyzeHeader()
    header.set_data_shape(series.data.shape)
    header.set_data_dtype(np.float32)
    series.files |= {"dwi.hdr": header.binaryblock, "dwi.img": series.data.tobytes("F")}


def as_it_is(series: Series) -> None:
    """A plain scan."""


def comes_out(ran: Ran) -> None:
    """The voxels, and the table in FSL's axes, as if it had been NIfTI."""
    ran.ok("out.nii.gz: identity")
    np.testing.assert_array_equal(ran.image(), ran.series.data)
    table = read_gradients(
        ran.series.folder / "out.bval", ran.series.folder / "out.bvec", volumes=7
    )
    expected = ran.series.made.scan.gradients
    np.testing.assert_allclose(table.bvals, expected.bvals, atol=1e-6)
    np.testing.assert_allclose(table.bvecs, expected.bvecs, atol=1e-6)


def measured_in_the_mask(ran: Ran) -> None:
    ran.ok("dwi.nii.gz against dwi.nii.gz; mask given")


def written_as_mif(ran: Ran) -> None:
    ran.ok("out.mif: identity")
    assert ran.appeared == {"out.mif", "out.json"}  # the table is inside
    scan = load(ran.series.folder / "out.mif")
    np.testing.assert_array_equal(scan.data, ran.series.data)
    expected = ran.series.made.scan.gradients
    np.testing.assert_allclose(scan.gradients.bvecs, expected.bvecs, atol=1e-6)
    head = (ran.series.folder / "out.mif").read_bytes().partition(b"\nEND\n")[0]
    assert b"command_history: dwiser denoise dwi.nii.gz out.mif" in head


def refused_dicom(ran: Ran) -> None:
    ran.refused("dicom: this is DICOM", "`dcm2niix -z y -f dwi -o . dicom`.")


def refused_afni(ran: Ran) -> None:
    ran.refused("dwi+orig.HEAD: this is an AFNI image", "`nib-convert --out-dtype", "nii.gz`.")


def refused_analyze(ran: Ran) -> None:
    ran.refused("dwi.img: this is an Analyze image", "`nib-convert --out-dtype float32 dwi.img")


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

ROWS: tuple[Situation, ...] = (
    Situation(
        "mrtrix-image",
        ("MRtrix3/mrtrix3 #2087", "MRtrix3/mrtrix3 #1964"),
        "The series is an MRtrix image, `dwi.mif`, with its gradient table inside.",
        "It is read; the table in scanner axes is turned into the image's.",
        BEFORE,
        as_mif,
        comes_out,
        ("denoise dwi.mif out.nii.gz --method identity",),
        s7,
    ),
    Situation(
        "mrtrix-header-and-data",
        (),
        "The series is an MRtrix image in two files, `dwi.mih` and `dwi.dat`, as `mrconvert` "
        "writes it: without a line END.",
        "It is read.",
        BEFORE,
        as_mih,
        comes_out,
        ("denoise dwi.mih out.nii.gz --method identity",),
        s7,
    ),
    Situation(
        "mrtrix-mask",
        ("MRtrix3/mrtrix3 #1964",),
        "The mask is an MRtrix image of single bits.",
        "It is read.",
        BEFORE,
        with_mif_mask,
        measured_in_the_mask,
        ("evaluate dwi.nii.gz --raw dwi.nii.gz --mask mask.mif",),
        s7,
    ),
    Situation(
        "mrtrix-output",
        ("MRtrix3/mrtrix3 #2087",),
        "The result is to be an MRtrix image.",
        "It is one, with its gradient table and the command in its header.",
        BEFORE,
        as_it_is,
        written_as_mif,
        ("denoise dwi.nii.gz out.mif --method identity",),
        s7,
    ),
    Situation(
        "mrtrix-image-cut-off",
        (),
        "A copy of an MRtrix image ended early.",
        "One sentence that says so.",
        BEFORE,
        cut_off_mif,
        lambda ran: ran.refused("dwi.mif: it is truncated or damaged", "copy it again"),
        ("denoise dwi.mif out.mif",),
        s7,
    ),
    Situation(
        "mrtrix-table-of-another-length",
        ("MRtrix3/mrtrix3 #1964",),
        "An MRtrix image lost a volume's row of its gradient table.",
        "One sentence with both numbers, and how to give the right table.",
        BEFORE,
        short_scheme,
        lambda ran: ran.refused("dwi.mif: ", "6 dw_scheme rows for the 7 volumes", "--grad"),
        ("denoise dwi.mif out.mif",),
        s7,
    ),
    Situation(
        "table-in-scanner-axes",
        ("MRtrix3/mrtrix3 #1964",),
        "The gradient table is one file of four columns in scanner axes, as MRtrix's `-grad` has.",
        "`--grad` takes it, for NIfTI too.",
        "“Unknown option: --grad”.",
        scanner_table,
        comes_out,
        ("denoise dwi.nii.gz out.nii.gz --grad grad.b --method identity",),
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
        "table-of-b-matrices",
        (),
        "The gradient table is AFNI's: six columns of b-matrices.",
        "Refused with AFNI's command that makes b-values and vectors of it.",
        "“It holds a 7×6 table, b-vectors are 3×N or N×3: give the .bvec file”.",
        lambda series: series.files.update({"bmat.1D": "# AFNI\n" + "1 0 0 0 0 0\n" * 7}),
        lambda ran: ran.refused("bmat.1D: it holds b-matrices", "`1dDW_Grad_o_Mat++ -in_col_matA"),
        ("denoise dwi.nii.gz out.nii.gz --bvec bmat.1D",),
        s7,
    ),
    Situation(
        "nrrd-image",
        ("BRAINSia/BRAINSTools #226", "SlicerDMRI/SlicerDMRI #44"),
        "The series is an NRRD image of 3D Slicer: a detached header, volumes fastest, gradients "
        "in a measurement frame.",
        "It is read, and its table turned into the image's axes.",
        BEFORE,
        as_nrrd,
        comes_out,
        ("denoise dwi.nhdr out.nii.gz --method identity",),
        s7,
    ),
    Situation(
        "nrrd-header-alone",
        (),
        "An NRRD header came without its data file.",
        "One sentence that names the file.",
        BEFORE,
        half_an_nrrd,
        lambda ran: ran.refused("dwi.nhdr: its data file dwi.raw.gz is not where", "put it there"),
        ("info dwi.nhdr",),
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
        "par-rec-image",
        ("nipy/nibabel #285",),
        "The series is a Philips PAR/REC pair.",
        "Refused with the line for dcm2niix, which turns the gradients of a tilted scan too.",
        BEFORE,
        other("dwi.PAR"),
        lambda ran: ran.refused("dwi.PAR: this is a Philips PAR/REC image", "`dcm2niix -z y"),
        ("info dwi.PAR",),
        s7,
    ),
    Situation(
        "metaimage",
        (),
        "The series is a MetaImage, `dwi.mha`, as SimpleITK and Slicer write it.",
        "Refused with the line for SimpleITK.",
        BEFORE,
        other("dwi.mha"),
        lambda ran: ran.refused("dwi.mha: this is a MetaImage", "`python -c", "ReadImage"),
        ("info dwi.mha",),
        s7,
    ),
    Situation(
        "analyze-image",
        ("daducci/AMICO #127",),
        "The series is an Analyze image, `dwi.hdr` and `dwi.img`.",
        "Refused with the line for nib-convert, which comes with dwiser.",
        BEFORE,
        as_analyze,
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
