"""Files that are not there."""

from pathlib import Path

from tests.real_inputs.situation import Ran, Series, Situation, s7

NO_FILE = "“There is no such file: check the name”."
QUICK = "--method gaussian"
DATALAD = "ReproNim/reproin #69"
POINTER = "/annex/objects/MD5E-s152998--c8d2672a467cd80deff39c4daddcd616"
SENTENCE = "its contents are not on this disk, only git-annex's link to them: fetch them with"
BIDS = "sub-01/dwi/sub-01_dwi"
DESCRIPTION = {"Name": "study", "BIDSVersion": "1.10.0"}
EXPECTED = "One sentence before the work: which file is missing, and what fetches it."


def annexed(name: str) -> Path:
    """The target of git-annex's link to a file that was not fetched."""
    key = f"MD5E-s152998--c8d2672a467cd80deff39c4daddcd616{name[name.index('.') :]}"
    return Path(f".git/annex/objects/x9/25/{key}/{key}")


def linked(*names: str):
    """A series whose files of these names are links to contents that were not fetched."""

    def change(series: Series) -> None:
        series.files.update({name: annexed(name) for name in names})

    return change


def refused(name: str):
    return lambda ran: ran.refused(f"{name}: ", SENTENCE, f"`datalad get {name}`")


def in_a_dataset(*names: str):
    """A BIDS dataset of one series, whose files of these names were not fetched."""

    def change(series: Series) -> None:
        series.name = BIDS
        series.files["dataset_description.json"] = DESCRIPTION
        series.files.update({name: annexed(name) for name in names})

    return change


def the_scan_failed(name: str):
    def check(ran: Ran) -> None:
        assert ran.exit_code == 1, ran.err
        said = " ".join((ran.out + ran.err).split())
        for part in (f"{name}: ", SENTENCE, "`datalad -C ", f" get {name}`"):
            assert part in said, said
        assert not list(Path("out").rglob("*.nii.gz"))

    return check


def a_text_in_place_of_the_table(series: Series) -> None:
    series.files["dwi.bvec"] = f"{POINTER}.bvec\n"


def a_text_in_place_of_the_image(series: Series) -> None:
    series.files["dwi.nii.gz"] = f"../{annexed('dwi.nii.gz')}"


def a_text_in_place_of_the_sidecar(series: Series) -> None:
    series.files["dwi.json"] = f"{POINTER}.json\n"


def warned_of_the_sidecar(ran: Ran) -> None:
    ran.ok("dwi.json", SENTENCE, "`datalad get dwi.json`", "fields are not carried over")
    (warning,) = (line for line in ran.record()["Warnings"] if "dwi.json" in line)
    assert SENTENCE in warning


def elsewhere(series: Series) -> None:
    series.files["mask.nii.gz"] = Path("/nowhere/masks/mask.nii.gz")


def masks_that_were_not_fetched(series: Series) -> None:
    in_a_dataset()(series)
    series.files["masks/sub-01/dwi/sub-01_desc-brain_mask.nii.gz"] = annexed("mask.nii.gz")


ROWS = (
    Situation(
        name="link-image",
        reported=(DATALAD,),
        happens="The image is git-annex's link, and its contents were not fetched.",
        expected=EXPECTED,
        before=NO_FILE,
        change=linked("dwi.nii.gz"),
        check=refused("dwi.nii.gz"),
        commands=("info dwi.nii.gz",),
        base=s7,
    ),
    Situation(
        name="link-b-values",
        reported=("datalad/datalad #3513",),
        happens="The image was fetched, its b-values were not.",
        expected=EXPECTED,
        before="“There are no b-values beside it: give them with --bval”.",
        change=linked("dwi.bval"),
        check=refused("dwi.bval"),
        base=s7,
    ),
    Situation(
        name="link-b-vectors-in-a-pointer",
        reported=("G-Node/gin-cli #311", "incf-nidash/PyNIDM #320"),
        happens="In an unlocked dataset a text of git-annex stands in place of the b-vectors.",
        expected=EXPECTED,
        before="“It holds '/annex/objects/MD5E-…' where a number should be: correct it”.",
        change=a_text_in_place_of_the_table,
        check=refused("dwi.bvec"),
        commands=("info dwi.nii.gz",),
        base=s7,
    ),
    Situation(
        name="link-image-in-a-pointer",
        reported=("G-Node/gin-cli #311",),
        happens="A disk without links has git-annex's link to the image as a text file.",
        expected=EXPECTED,
        before="“It is not gzip-compressed as a .nii.gz must be: give a NIfTI image”.",
        change=a_text_in_place_of_the_image,
        check=refused("dwi.nii.gz"),
        base=s7,
    ),
    Situation(
        name="link-sidecar",
        reported=("bids-standard/pybids #631",),
        happens="Image and tables were fetched, the sidecar was not.",
        expected="The same sentence as a warning before the work and in the record, and the "
        "series is denoised without its acquisition fields.",
        before="Denoised without the acquisition fields, and without a word.",
        change=linked("dwi.json"),
        check=warned_of_the_sidecar,
        commands=(f"denoise dwi.nii.gz out.nii.gz {QUICK}",),
        base=s7,
    ),
    Situation(
        name="link-sidecar-in-a-pointer",
        reported=("incf-nidash/PyNIDM #320",),
        happens="A text of git-annex stands in place of the sidecar.",
        expected="As with a link: a warning before the work and in the record.",
        before="A warning that it is not a readable JSON object.",
        change=a_text_in_place_of_the_sidecar,
        check=warned_of_the_sidecar,
        commands=(f"denoise dwi.nii.gz out.nii.gz {QUICK}",),
        base=s7,
    ),
    Situation(
        name="link-mask-elsewhere",
        reported=(),
        happens="The mask is a link to a disk that is not mounted.",
        expected="One sentence before the work: where the link points to.",
        before=NO_FILE,
        change=elsewhere,
        check=lambda ran: ran.refused(
            "mask.nii.gz: it is a link to /nowhere/masks/mask.nii.gz, which is not there"
        ),
        commands=("denoise dwi.nii.gz out.nii.gz --mask mask.nii.gz",),
        base=s7,
    ),
    Situation(
        name="link-noise-map",
        reported=(),
        happens="The σ map was not fetched.",
        expected=EXPECTED,
        before=NO_FILE,
        change=linked("sigma.nii.gz"),
        check=refused("sigma.nii.gz"),
        commands=("denoise dwi.nii.gz out.nii.gz --noise-map sigma.nii.gz",),
        base=s7,
    ),
    Situation(
        name="link-phase",
        reported=(),
        happens="The phase was not fetched.",
        expected=EXPECTED,
        before=NO_FILE,
        change=linked("phase.nii.gz"),
        check=refused("phase.nii.gz"),
        commands=("denoise dwi.nii.gz out.nii.gz --phase phase.nii.gz",),
        base=s7,
    ),
    Situation(
        name="link-weights",
        reported=(),
        happens="The weights to apply were not fetched.",
        expected=EXPECTED,
        before=NO_FILE,
        change=linked("w.safetensors"),
        check=refused("w.safetensors"),
        commands=("apply w.safetensors dwi.nii.gz out.nii.gz",),
        base=s7,
    ),
    Situation(
        name="link-evaluate",
        reported=(),
        happens="The denoised series that is to be measured was not fetched.",
        expected=EXPECTED,
        before=NO_FILE,
        change=linked("out.nii.gz"),
        check=refused("out.nii.gz"),
        commands=("evaluate out.nii.gz --raw dwi.nii.gz",),
        base=s7,
    ),
    Situation(
        name="link-compare",
        reported=(),
        happens="The truth that methods are compared with was not fetched.",
        expected=EXPECTED,
        before=NO_FILE,
        change=linked("truth.nii.gz"),
        check=refused("truth.nii.gz"),
        commands=("compare dwi.nii.gz scores --methods gaussian --truth truth.nii.gz",),
        base=s7,
    ),
    Situation(
        name="link-image-of-a-dataset",
        reported=(DATALAD,),
        happens="An image of a BIDS dataset was not fetched.",
        expected="The same sentence, as the reason why this scan failed.",
        before="“It is a link to a file that is not here: fetch it first”, for this scan.",
        change=in_a_dataset(f"{BIDS}.nii.gz"),
        check=the_scan_failed("sub-01_dwi.nii.gz"),
        commands=(f"bids . out participant {QUICK} --skip-bids-validation",),
        base=s7,
    ),
    Situation(
        name="link-masks-of-a-dataset",
        reported=(),
        happens="The folder of masks was not fetched.",
        expected="The same sentence: a scan is not denoised without the mask that it has.",
        before="Denoised with a mask of its own, and without a word.",
        change=masks_that_were_not_fetched,
        check=the_scan_failed("sub-01_desc-brain_mask.nii.gz"),
        commands=(f"bids . out participant {QUICK} --masks masks --skip-bids-validation",),
        base=s7,
    ),
    Situation(
        name="link-phase-of-a-dataset",
        reported=(),
        happens="A series of a BIDS dataset was fetched, the phase beside it was not.",
        expected="The same sentence, as the reason why this scan failed.",
        before="“There is no part-phase beside it: leave out --phase”.",
        change=in_a_dataset("sub-01/dwi/sub-01_part-phase_dwi.nii.gz"),
        check=the_scan_failed("sub-01_part-phase_dwi.nii.gz"),
        commands=("bids . out participant --phase --skip-bids-validation",),
        base=s7,
    ),
)
