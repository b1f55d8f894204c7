"""Sidecars."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.real_inputs.situation import Ran, Series, Situation, s7

LATIN = "mne-tools/mne-bids #987"
NO_FILE = "“There is no such file: check the name”."
JSON_WARNING = "A warning that it is not a readable JSON object."
QUICK = "--method gaussian"
DENOISE = f"denoise dwi.nii.gz out.nii.gz {QUICK}"
PLACE = "sub-01/dwi/sub-01_dwi"
OUT = "out/sub-01/dwi/sub-01_desc-denoised_dwi.json"
BIDS = f"bids . out participant {QUICK}"
HOSPITAL = '{\n  "EchoTime": 0.09,\n  "InstitutionName": "Hôpital"\n}\n'
WARNED = (
    "One sentence as a warning before the work, and in the record: the file, {}; the series is "
    "denoised without its fields."
)


def beside(content: str | bytes | dict[str, Any] | Path) -> Callable[[Series], None]:
    """A series with this sidecar."""

    def change(series: Series) -> None:
        series.files["dwi.json"] = content

    return change


def above(content: str | bytes, name: str = "dwi.json") -> Callable[[Series], None]:
    """A BIDS dataset of one series, which inherits this JSON file."""

    def change(series: Series) -> None:
        series.name = PLACE
        series.files["dataset_description.json"] = {"Name": "study", "BIDSVersion": "1.10.0"}
        series.files[f"{PLACE}.json"] = {"FlipAngle": 90}
        series.files[name] = content

    return change


def warned(*words: str, record: str = "out.json") -> Callable[[Ran], None]:
    """A warning that names file and fault, printed once and in the record; all else is written."""

    def check(ran: Ran) -> None:
        ran.ok("warning", "dwi.json: ", *words, "its acquisition fields are not carried over.")
        assert ran.err.count("not carried over") == 1, ran.err
        sentences = [line for line in ran.record(record)["Warnings"] if "dwi.json" in line]
        assert len(sentences) == 1
        assert all(part in sentences[0] for part in words), sentences
        assert "EchoTime" not in ran.record(record)

    return check


def is_read(ran: Ran) -> None:
    ran.ok("gaussian")
    assert "dwi.json: " not in ran.err
    assert ran.record()["EchoTime"] == 0.09
    assert ran.record()["InstitutionName"] == "Hôpital"


def nan_is_null(ran: Ran) -> None:
    ran.ok("gaussian")
    assert ran.record()["EchoTime"] == 0.09
    assert ran.record()["RepetitionTime"] is None
    assert ran.record()["SliceTiming"] == [0, None]


def a_folder(series: Series) -> None:
    (series.folder / "dwi.json").mkdir()


def surrogate_is_text(ran: Ran) -> None:
    ran.ok("gaussian")
    assert ran.record()["PatientName"] == "M\\udcfcller"


def described(ran: Ran) -> None:
    ran.ok("done")
    assert "Étude" in ran.record("out/dataset_description.json")["Name"]


def inherited_is_warned_of(ran: Ran) -> None:
    warned("line 3 is not UTF-8 (byte 0xF4", "save the file as UTF-8", record=OUT)(ran)
    assert ran.record(OUT)["FlipAngle"] == 90
    assert ran.err.index("not carried over") < ran.err.index("sub-01")


ROWS: tuple[Situation, ...] = (
    Situation(
        name="sidecar-utf-16",
        reported=("PennLINC/aslprep #180",),
        happens="The sidecar was saved as UTF-16, as Windows editors and shells do.",
        expected="It is read: a byte order mark leaves no doubt.",
        before=JSON_WARNING,
        change=beside(HOSPITAL.encode("utf-16")),
        check=is_read,
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="sidecar-latin-1",
        reported=("rordenlab/dcm2niix #878", LATIN),
        happens="The sidecar has an ô of a hospital's name in Latin-1.",
        expected=WARNED.format("the line, and that it is not UTF-8"),
        before=JSON_WARNING,
        change=beside(HOSPITAL.encode("latin-1")),
        check=warned("line 3 is not UTF-8 (byte 0xF4", "Latin-1", "save the file as UTF-8"),
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="sidecar-trailing-comma",
        reported=("rordenlab/dcm2niix #616", "ExploreASL/ExploreASL #1419"),
        happens="A list in the sidecar ends in a comma.",
        expected=WARNED.format("the line, and the comma"),
        before=JSON_WARNING,
        change=beside('{\n  "EchoTime": 0.09,\n  "FrameDuration": [\n    1200,\n  ]\n}\n'),
        check=warned("line 4 has a comma with nothing after it: remove the comma"),
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="sidecar-line-break",
        reported=("rordenlab/dcm2niix #472",),
        happens="An address in the sidecar has line breaks, as its DICOM field has.",
        expected=WARNED.format("the line, and the line break"),
        before=JSON_WARNING,
        change=beside('{\n  "EchoTime": 0.09,\n  "InstitutionAddress": "200\n  Main Street"\n}\n'),
        check=warned("line 3 has a line break or a tab inside a text: remove it"),
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="sidecar-smart-quotes",
        reported=("PennLINC/aslprep #180",),
        happens="A word processor made the quotes of a field curly.",
        expected=WARNED.format("the line, and what stands there"),
        before=JSON_WARNING,
        change=beside('{\n  "FlipAngle": 90,\n  “EchoTime”: 0.09\n}\n'),
        check=warned("line 3 is no JSON at '“EchoTime”: 0.09': correct it"),
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="sidecar-empty",
        reported=(),
        happens="The sidecar is empty: the converter's disk was full.",
        expected=WARNED.format("that it is empty"),
        before=JSON_WARNING,
        change=beside(b""),
        check=warned("it is empty: remove it, or write a JSON object"),
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="sidecar-cut-off",
        reported=(),
        happens="The sidecar was not copied to its end.",
        expected=WARNED.format("that it ends in the middle"),
        before=JSON_WARNING,
        change=beside('{\n  "EchoTime": 0.0'),
        check=warned("it ends in the middle: copy it again"),
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="sidecar-list",
        reported=(),
        happens="The sidecar holds a list of objects.",
        expected=WARNED.format("what it holds"),
        before=JSON_WARNING,
        change=beside('[{"EchoTime": 0.09}]'),
        check=warned("it holds a list and no JSON object in braces"),
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="sidecar-folder",
        reported=(),
        happens="A folder has the sidecar's name.",
        expected=WARNED.format("that it is a folder"),
        before=JSON_WARNING,
        change=a_folder,
        check=warned("this is a folder"),
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="sidecar-nan",
        reported=(),
        happens="The sidecar has NaN and Infinity, which JSON lacks and many programs write.",
        expected="It is read, and these values are null in the result's.",
        before="The same.",
        change=beside('{"EchoTime": 0.09, "RepetitionTime": NaN, "SliceTiming": [0, -Infinity]}'),
        check=nan_is_null,
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="sidecar-half-a-character",
        reported=(),
        happens="The sidecar has a name with an escaped byte that is no character (`\\udcfc`).",
        expected="It is read, and the escape is text in the result's.",
        before="“Something inside dwiser broke (UnicodeEncodeError)”, after the work.",
        change=beside('{"PatientName": "M\\udcfcller"}'),
        check=surrogate_is_text,
        commands=(DENOISE,),
        base=s7,
    ),
    Situation(
        name="inherited-latin-1",
        reported=("nipreps/fmriprep #2636", LATIN),
        happens="The JSON that all series of a dataset inherit is in Latin-1.",
        expected="The same sentence, once before the work, and in every scan's record.",
        before="The scan was denoised, then failed: “it is not a readable JSON object”.",
        change=above(HOSPITAL.encode("latin-1")),
        check=inherited_is_warned_of,
        commands=(f"{BIDS} --skip-bids-validation",),
        base=s7,
    ),
    Situation(
        name="inherited-not-fetched",
        reported=("bids-standard/pybids #631",),
        happens="The JSON that all series inherit is git-annex's link to contents not fetched.",
        expected="The same sentence, once before the work, and in every scan's record.",
        before="The scan was denoised, then failed: “there is no such file”.",
        change=above(Path(".git/annex/objects/x9/25/MD5E-s90--c8d.json/MD5E-s90--c8d.json")),
        check=warned("git-annex", "get dwi.json`", record=OUT),
        commands=(f"{BIDS} --skip-bids-validation",),
        base=s7,
    ),
    Situation(
        name="description-not-fetched",
        reported=("bids-standard/pybids #631",),
        happens="The dataset's description is a link to nothing.",
        expected="One sentence that names the file and the `datalad get` that fetches it.",
        before=NO_FILE,
        change=above(
            Path(".git/annex/objects/x9/25/MD5E-s90--c8d.json/MD5E-s90--c8d.json"),
            "dataset_description.json",
        ),
        check=lambda ran: ran.refused(
            "dataset_description.json: ", "git-annex", "get dataset_description.json`"
        ),
        commands=(BIDS,),
        base=s7,
    ),
    Situation(
        name="description-latin-1",
        reported=("nipreps/fmriprep #1850", "bids-standard/pybids #704"),
        happens="The dataset's description has an é in Latin-1.",
        expected="One sentence before the work: the file, the line, and that it is not UTF-8.",
        before="“It is not a readable JSON object: correct or remove it”.",
        change=above(
            '{"BIDSVersion": "1.10.0",\n"Name": "Étude"}'.encode("latin-1"),
            "dataset_description.json",
        ),
        check=lambda ran: ran.refused("dataset_description.json: line 2 is not UTF-8 (byte 0xC9"),
        commands=(BIDS,),
        base=s7,
    ),
)
