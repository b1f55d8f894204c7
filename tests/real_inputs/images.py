"""Images: geometry, types and storage."""

import gzip
from collections.abc import Callable
from functools import cache
from typing import Any

import nibabel as nib
import numpy as np

from dwiser.simulation import Simulation, phantom
from tests.real_inputs.situation import Ran, Series, Situation, s7, s20, s36

GEOMETRY = (
    "pixdim", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c",
    "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "xyzt_units",
)  # fmt: skip
RATIO = 2.0**-30  # a power of two: scaling by it is exact


@cache
def zero_filled() -> Simulation:
    """2 b0s and 18 directions on k-space filled with zeros to twice the matrix: 32×32×8 voxels."""
    shells = ((1000.0, 18),)
    return phantom(
        shape=(32, 32, 8), shells=shells, n_b0=2, snr=20.0, noise="kspace", zero_fill=2.0, seed=5
    )


def stored(
    data: np.ndarray, series: Series, kind: type[Any] = nib.Nifti1Image, affine: Any = None
) -> Any:
    """An image on the series' grid, or with another affine, of the data's own type."""
    return kind(data, series.made.scan.affine if affine is None else affine)


def packed(image: Any, **fields: Any) -> bytes:
    """A .nii.gz's bytes, with fields of the header overwritten past nibabel's checks."""
    return gzip.compress(plain(image, **fields), 1)


def plain(image: Any, **fields: Any) -> bytes:
    """The same of a .nii."""
    content = bytearray(image.to_bytes())
    header = np.frombuffer(content, nib.nifti1.header_dtype, count=1)
    for name, value in fields.items():
        header[name][0] = value
    return bytes(content)


def replaced(data: Callable[[np.ndarray], np.ndarray]) -> Callable[[Series], None]:
    """A change of the series' voxels."""

    def change(series: Series) -> None:
        series.data = np.asarray(data(series.data), np.float32)

    return change


def mask_beside(affine: Callable[[np.ndarray], np.ndarray]) -> Callable[[Series], None]:
    """A mask of the object, m.nii.gz, whose affine is another."""

    def change(series: Series) -> None:
        made = series.made
        image = stored(made.mask.astype(np.uint8), series, affine=affine(made.scan.affine))
        series.files["m.nii.gz"] = packed(image)

    return change


def moved(affine: np.ndarray, by: tuple[float, float, float]) -> np.ndarray:
    affine = affine.copy()
    affine[:3, 3] += by
    return affine


def in_its_mask(ran: Ran) -> None:
    """It ended well, and changed the voxels of the mask and no others."""
    ran.ok("out.nii.gz")
    changed = (ran.image() != ran.image("dwi.nii.gz")).any(3)
    mask = ran.series.made.mask
    assert not changed[~mask].any()
    assert changed[mask].mean() > 0.99


def turned_mask(series: Series) -> None:
    mask = stored(series.made.mask.astype(np.uint8), series)
    turned = mask.as_reoriented(np.array([[2, 1], [0, -1], [1, 1]]))
    assert turned.shape != mask.shape
    series.files["m.nii.gz"] = packed(turned)


def qform_elsewhere(series: Series) -> None:
    image = stored(series.data, series)
    image.set_qform(moved(image.affine, (7, -3, 2)), 1)
    image.set_sform(series.made.scan.affine, 2)
    series.files["dwi.nii.gz"] = packed(image)


def mask_on_the_qform(series: Series) -> None:
    qform_elsewhere(series)
    mask_beside(lambda affine: moved(affine, (7, -3, 2)))(series)


def header_came_back(ran: Ran) -> None:
    ran.ok("out.nii.gz")
    before, after = (nib.load(ran.series.folder / n).header for n in ("dwi.nii.gz", "out.nii.gz"))
    for field in GEOMETRY:
        assert str(before[field]) == str(after[field]), field


def in_microns(series: Series) -> None:
    affine = np.diag([1000, 1000, 1000, 1]) @ series.made.scan.affine
    image = stored(series.data, series, affine=affine)
    image.header.set_xyzt_units("micron")
    series.files["dwi.nii.gz"] = packed(image)


def header_of(**fields: Any) -> Callable[[Series], None]:
    """The series in a file whose header holds these."""

    def change(series: Series) -> None:
        image = stored(series.data, series)
        image.set_qform(image.affine, 1)
        image.set_sform(image.affine, 1)
        series.files["dwi.nii.gz"] = packed(image, **fields)

    return change


def too_short_a_type(series: Series) -> None:
    image = stored(series.data, series)
    series.files["dwi.nii.gz"] = packed(image, datatype=512, bitpix=16)


def not_packed(series: Series) -> None:
    series.files["dwi.nii.gz"] = plain(stored(series.data, series))


def packed_twice(series: Series) -> None:
    series.files["dwi.nii.gz"] = gzip.compress(packed(stored(series.data, series)))


def in_members(series: Series) -> None:
    content = plain(stored(series.data, series))
    parts = (content[:5000], content[5000:9000], content[9000:])
    series.files["dwi.nii.gz"] = b"".join(gzip.compress(part) for part in parts)


def five_dimensions(series: Series) -> None:
    image = stored(series.data[:, :, :, None, :], series)
    image.header.set_intent("vector")
    series.files["dwi.nii.gz"] = packed(image)


def volumes_of_a_fifth_axis(ran: Ran) -> None:
    ran.ok("out.nii.gz")
    image = nib.load(ran.series.folder / "out.nii.gz")
    assert image.shape == ran.series.data.shape
    assert image.header["intent_code"] == 0
    assert ran.error() < 0.9


def two_echoes(series: Series) -> None:
    noise = series.data - series.made.truth
    both = np.stack([series.data, np.abs(0.6 * series.made.truth + noise[::-1])], 4)
    series.files["dwi.nii.gz"] = packed(stored(both, series))


def both_echoes_denoised(ran: Ran) -> None:
    ran.ok("out.nii.gz", "2 series along the fifth axis", "taken for echoes")
    truth = ran.series.made.truth
    image = nib.load(ran.series.folder / "out.nii.gz")
    assert image.shape == (*truth.shape, 2)
    assert len(np.loadtxt(ran.series.folder / "out.bval")) == truth.shape[3]
    assert [row["echo"] for row in ran.record()["Shells"]] == [1, 2, 1, 2]
    noisy = nib.load(ran.series.folder / "dwi.nii.gz")
    for echo, scale in enumerate((1, 0.6)):
        ours, raw = (
            (i.get_fdata()[..., echo] - scale * truth)[ran.series.made.mask] for i in (image, noisy)
        )
        assert np.std(ours) < 0.8 * np.std(raw)


def overflowed(series: Series) -> None:
    values = np.round(series.data * (40000 / series.data.max())).astype(np.int64)
    series.files["dwi.nii.gz"] = packed(stored(values.astype(np.uint16).view(np.int16), series))


def clipped(data: np.ndarray) -> np.ndarray:
    return np.minimum(data, np.percentile(data[..., 0], 95))


def padded(value: float) -> Callable[[Series], None]:
    def change(series: Series) -> None:
        series.data[~series.made.mask] = value

    return change


def padding_is_no_data(value: float) -> Callable[[Ran], None]:
    def check(ran: Ran) -> None:
        ran.ok("out.nii.gz", "verdict PASS")
        assert (ran.image()[~ran.series.made.mask] == value).all()
        assert ran.error() < 0.45
        assert 37 < ran.record()["SigmaMedian"] < 42  # 39.0 is true

    return check


def coarse(series: Series) -> None:
    step = 2 * float(np.median(series.made.sigma))
    image = stored(np.round(series.data / step).astype(np.int16), series)
    series.files["dwi.nii.gz"] = packed(image, scl_slope=step, scl_inter=0)


def without_small_values(data: np.ndarray) -> np.ndarray:
    return np.where(data < 40, 0, data)


def slice_twice(data: np.ndarray) -> np.ndarray:
    return np.concatenate([data[:, :, :3], data[:, :, 2:-1]], 2)


def one_slice(series: Series) -> None:
    series.files["dwi.nii.gz"] = packed(stored(series.data[:, :, 5:6], series))


def slice_denoised(ran: Ran) -> None:
    ran.ok("out.nii.gz", "verdict PASS")
    made, image = ran.series.made, ran.image()
    assert image.shape == (*made.truth.shape[:2], 1, made.truth.shape[3])
    inside = made.mask[:, :, 5]
    off = (image[:, :, 0] - made.truth[:, :, 5])[inside] / made.sigma[:, :, 5][inside][:, None]
    assert float(np.sqrt(np.mean(off**2))) < 0.55  # raw: 0.99


def one_row(series: Series) -> None:
    series.files["dwi.nii.gz"] = packed(stored(series.data[:, 5:6, 2:3], series))


def tiny(series: Series) -> None:
    series.data *= np.float32(RATIO)


def error_as_ever(ran: Ran) -> None:
    ran.ok("out.nii.gz")
    made = ran.series.made
    assert ran.error(ran.image() / np.float32(RATIO)) < 0.45
    assert abs(ran.record()["SigmaMedian"] / RATIO / np.median(made.sigma) - 1) < 0.05


ROWS: tuple[Situation, ...] = (
    Situation(
        name="mask-with-its-axes-in-another-order",
        reported=("dipy/dipy #2269",),
        happens="A mask on the scan's voxels is stored with its axes flipped and in another order, "
        "as programs write it that turn every image to a standard orientation.",
        expected="The mask is turned to the scan's axes, which loses nothing; so is a σ map, a "
        "phase, a truth and a denoised image to evaluate.",
        before="Refused: another shape or, with flipped axes only, another affine.",
        change=turned_mask,
        check=in_its_mask,
        commands=("denoise dwi.nii.gz out.nii.gz --mask m.nii.gz",),
        base=s7,
    ),
    Situation(
        name="mask-of-a-program-that-keeps-the-qform",
        reported=("ANTsX/ANTs #1337", "ANTsX/ANTs #1363"),
        happens="The scan's qform and sform differ, and the mask was written by a program that "
        "keeps the qform only.",
        expected="The mask is taken: either transform of the scan's header may be its grid.",
        before="Refused: the mask's affine is up to 7 off.",
        change=mask_on_the_qform,
        check=in_its_mask,
        commands=("denoise dwi.nii.gz out.nii.gz --mask m.nii.gz",),
        base=s7,
    ),
    Situation(
        name="mask-whose-affine-was-rounded",
        reported=("PennLINC/qsiprep #1036", "nipreps/fmriprep #800"),
        happens="Two programs round an affine differently, and a mask's is 0.01 mm off the scan's.",
        expected="The mask is taken: corners of the field of view may be a twentieth of a voxel "
        "apart.",
        before="Refused: the mask's affine is up to 0.01 off, where 0.001 was allowed.",
        change=mask_beside(lambda affine: moved(affine, (0.01, 0, 0))),
        check=in_its_mask,
        commands=("denoise dwi.nii.gz out.nii.gz --mask m.nii.gz",),
        base=s7,
    ),
    Situation(
        name="mask-half-a-voxel-off",
        reported=("nipreps/fmriprep #222",),
        happens="A mask lies half a voxel beside the scan.",
        expected="One sentence that says how many voxels it is off.",
        before="The sentence gave the greatest difference of two numbers of the affines.",
        change=mask_beside(lambda affine: moved(affine, (1.25, 0, 0))),
        check=lambda ran: ran.refused("m.nii.gz: ", "up to 0.5 voxels off", "on the scan's grid"),
        commands=("denoise dwi.nii.gz out.nii.gz --mask m.nii.gz",),
        base=s7,
    ),
    Situation(
        name="qform-and-sform-differ",
        reported=("hMRI-group/hMRI-toolbox #125",),
        happens="Qform and sform differ, and so do their codes.",
        expected="Both come back as they were, with codes, units and voxel sizes.",
        before="The same.",
        change=qform_elsewhere,
        check=header_came_back,
        base=s7,
    ),
    Situation(
        name="units-of-length-that-are-not-mm",
        reported=("nipreps/fmriprep #786",),
        happens="The header's unit of length is the micrometre, as of a small animal's scan.",
        expected="Voxels of 2.5 mm: the unit is read, and every width in mm is one.",
        before="`info` said 2.5e+03 mm; with metres the scan got another σ (38.67, not 38.76) and "
        "a larger error (0.440 σ, not 0.433).",
        change=in_microns,
        check=lambda ran: ran.ok("voxel       2.5 × 2.5 × 2.5 mm"),
        commands=("info dwi.nii.gz",),
        base=s7,
    ),
    Situation(
        name="sform-of-zeros",
        reported=("nipy/nibabel #624", "pnlbwh/dMRIharmonization #49"),
        happens="The sform is marked as valid and holds zeros, while the qform is right.",
        expected="One sentence: set the sform's code to 0, so that the qform counts.",
        before="“Repair the header”, not how.",
        change=header_of(srow_x=[0] * 4, srow_y=[0] * 4, srow_z=[0] * 4),
        check=lambda ran: ran.refused("dwi.nii.gz: ", "sform", "set its sform_code to 0"),
        base=s7,
    ),
    Situation(
        name="axes-in-one-plane",
        reported=("ImagingDataCommons/highdicom #440",),
        happens="Two columns of the affine are parallel, so that voxels have no volume.",
        expected="Refused before the work, in a sentence that says so.",
        before="Denoised; with --report the work ended in “the report could not be made (Cannot "
        "drop coordinates …): report this”.",
        change=header_of(
            qform_code=0, srow_x=[-2, 0, 0, 9], srow_y=[0, 2, 2, -9], srow_z=[0, 2, 2, -9]
        ),
        check=lambda ran: ran.refused("dwi.nii.gz: ", "no volume", "repair the header"),
        base=s7,
    ),
    Situation(
        name="slices-of-no-thickness",
        reported=("rordenlab/dcm2niix #837",),
        happens="A converter wrote slices 0 mm apart.",
        expected="One sentence: the voxels have no size.",
        before="The same.",
        change=header_of(
            qform_code=0, srow_x=[-2, 0, 0, 9], srow_y=[0, 2, 0, -9], srow_z=[0, 0, 0, -9]
        ),
        check=lambda ran: ran.refused("dwi.nii.gz: ", "no size", "repair the header"),
        base=s7,
    ),
    Situation(
        name="header-of-another-type-than-the-voxels",
        reported=(),
        happens="The header says unsigned 16-bit integers, the voxels are 32-bit floats: the "
        "file holds more than the header tells, as it does where volumes were lost from its count.",
        expected="Refused: the file holds more voxels than its header says.",
        before="The first half of the bytes was read as integers, denoised and written (error "
        "387 σ), with a WARN about shifted intensities.",
        change=too_short_a_type,
        check=lambda ran: ran.refused("dwi.nii.gz: ", "more voxels than its header says", "type"),
        base=s7,
    ),
    Situation(
        name="not-compressed-as-its-name-says",
        reported=("nipy/nibabel #898", "nipreps/fmriprep #1717"),
        happens="A plain NIfTI file is named .nii.gz.",
        expected="One sentence with the name that it should have.",
        before="“Give a NIfTI image”, which it is.",
        change=not_packed,
        check=lambda ran: ran.refused("dwi.nii.gz: ", "not gzip-compressed", "name it dwi.nii."),
        base=s7,
    ),
    Situation(
        name="compressed-twice",
        reported=(),
        happens="A .nii.gz was compressed once more on its way.",
        expected="One sentence that says so, and how to undo it.",
        before="“It is no NIfTI image, or a damaged one: export it again”.",
        change=packed_twice,
        check=lambda ran: ran.refused("dwi.nii.gz: ", "compressed twice", "gunzip"),
        base=s7,
    ),
    Situation(
        name="gzip-in-several-members",
        reported=(),
        happens="A parallel or appending compressor wrote several gzip members into one file.",
        expected="All of them are read.",
        before="The same.",
        change=in_members,
        check=header_came_back,
        base=s7,
    ),
    Situation(
        name="volumes-along-the-fifth-axis",
        reported=("daducci/AMICO #147", "SebastianoF/bruker2nifti #68"),
        happens="The volumes lie along the fifth axis, as vector images have them, or repetitions "
        "do.",
        expected="They are the volumes, in the order of the file; the result is 4-D.",
        before="Refused: “the image has 5 dimensions: a 4-D series is needed”.",
        change=five_dimensions,
        check=volumes_of_a_fifth_axis,
        base=s7,
    ),
    Situation(
        name="echoes-along-the-fifth-axis",
        reported=("SebastianoF/bruker2nifti #68",),
        happens="Two echoes lie along the fifth axis, and the table is of one of them.",
        expected="Both are denoised as one scan with shells by echo; the result is 5-D, its table "
        "as it came.",
        before="“The image has 5 dimensions: a 4-D series is needed”.",
        change=two_echoes,
        check=both_echoes_denoised,
        base=s7,
    ),
    Situation(
        name="bright-values-that-overflowed",
        reported=("nipreps/mriqc #1315", "rordenlab/dcm2niix #215", "BRAINSia/BRAINSTools #457"),
        happens="Values above 32767 were stored as 16-bit signed integers and became negative.",
        expected="Refused: bright values overflowed, convert again.",
        before="A warning of interpolation, an error of 2.2 σ, and a FAIL whose advice is about "
        "the noise floor.",
        change=overflowed,
        check=lambda ran: ran.refused("dwi.nii.gz: ", "negative", "overflowed", "uint16"),
    ),
    Situation(
        name="bright-values-cut-off",
        reported=("rordenlab/dcm2niix #198", "PennLINC/aslprep #516"),
        happens="Fluid in the b0s is brighter than the scanner's highest number, 4095 or another.",
        expected="A warning names the volumes and the value: what is cut off is no measurement.",
        before="Not a word of it.",
        change=replaced(clipped),
        check=lambda ran: ran.ok("Bright values of volume 0 ", "cut off at"),
        base=s7,
    ),
    Situation(
        name="padding-that-is-not-zero",
        reported=(),
        happens="Outside the object a program filled in a value, such as 10, in all volumes.",
        expected="It is no data: σ, mask and result are to the bit those of a background of "
        "zeros, and the padding comes back.",
        before="Taken for the object: σ 50.5 for 39.0, an error of 8.4 σ (raw: 1), and no verdict "
        "(the whole mask is darker than noise can be).",
        change=padded(10),
        check=padding_is_no_data(10),
    ),
    Situation(
        name="padding-that-is-negative",
        reported=(),
        happens="The padding is −1.",
        expected="The same.",
        before="Refused: “41% of the voxels are negative (a phase or real part?)”.",
        change=padded(-1),
        check=padding_is_no_data(-1),
    ),
    Situation(
        name="values-rounded-to-coarse-steps",
        reported=("BRAINSia/BRAINSTools #261", "rordenlab/dcm2niix #682"),
        happens="The scan was stored in steps of twice the noise's σ.",
        expected="A warning says how coarse the steps are; rounding is an error of its own.",
        before="A WARN about too much noise removed from a shell; with steps of 3 to 5 σ PASS, "
        "and a note that the scanner had suppressed the background.",
        change=coarse,
        check=lambda ran: ran.ok("rounded to steps of 1.", "finer scale"),
        commands=("info dwi.nii.gz",),
    ),
    Situation(
        name="small-values-set-to-zero",
        reported=("nipy/nipype #1878",),
        happens="The scanner set all values below a threshold to 0, one by one.",
        expected="A warning names the threshold and how many voxels it took.",
        before="No word of the zeros; on 36 volumes a WARN that too much noise was removed.",
        change=replaced(without_small_values),
        check=lambda ran: ran.ok("Values below 40", "were set to 0", "without that threshold"),
        base=s7,
    ),
    Situation(
        name="slice-stored-twice",
        reported=("icometrix/dicom2nifti #21",),
        happens="A slice is in the file twice, in every volume.",
        expected="A warning names it: its noise counts twice.",
        before="Not a word of it; on 36 volumes σ 36.5 for 39.0.",
        change=replaced(slice_twice),
        check=lambda ran: ran.ok("Along z, plane 3 ", "stored twice"),
        base=s7,
    ),
    Situation(
        name="zero-filled-k-space",
        reported=("MRtrix3/mrtrix3 #1118",),
        happens="The scanner enlarged the matrix to twice its size by zeros in k-space.",
        expected="A warning: denoise before any interpolation.",
        before="The same.",
        change=lambda series: None,
        check=lambda ran: ran.ok("looks zero-filled"),
        commands=("info dwi.nii.gz",),
        base=zero_filled,
    ),
    Situation(
        name="one-slice",
        reported=("dipy/dipy #2579",),
        happens="The scan is a single slice.",
        expected="Denoised (error 0.48 σ; raw: 0.99).",
        before="The same.",
        change=one_slice,
        check=slice_denoised,
        base=s36,
    ),
    Situation(
        name="one-row-of-voxels",
        reported=("NYU-DiffusionMRI/mppca_denoise #6",),
        happens="The scan is a single row of voxels.",
        expected="Refused: splitq learns from a slice at least.",
        before="Made worse (error 1.04 σ; raw: 0.96), with a WARN; a single voxel got 6.4 σ.",
        change=one_row,
        check=lambda ran: ran.refused("row of voxels (10 long)", "splitq", "give a slice"),
        base=s7,
    ),
    Situation(
        name="very-small-numbers",
        reported=("dipy/dipy #1763",),
        happens="The values lie far below 1, since a program normalised them.",
        expected="The same result, scaled.",
        before="The same.",
        change=tiny,
        check=error_as_ever,
        base=s20,
    ),
)
