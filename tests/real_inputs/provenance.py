"""Where a file comes from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.real_inputs.situation import Ran, Series, Situation, s7

MERGED = "nipreps/petprep #218"
LISTED = "PennLINC/qsiprep #818"
QUICK = "--method gaussian"
PLACE = "sub-01/dwi/sub-01_dwi"
OUT = "out/sub-01/dwi/sub-01_desc-denoised_dwi.json"
BIDS = f"bids . out participant {QUICK} --skip-bids-validation"
# Names that dwiser's own block has, with values that are of another kind than dwiser's.
ODD = {
    "Method": ["EPI"],
    "Parameters": "TE 90 ms",
    "Seed": None,
    "B0Threshold": "none",
    "Verdict": ["good"],
    "SNR": "high",
    "Shape": 3,
    "GeneratedBy": "dcm2niix",
    "InputFiles": None,
    "SigmaMedian": "2.5",
    "WallTimeSeconds": "long",
    "EarlierRecords": "none",
    "coils": "32 channels",
}


def sidecar(**fields: Any) -> Callable[[Series], None]:
    """A series with this sidecar beside it."""

    def change(series: Series) -> None:
        series.files["dwi.json"] = fields

    return change


def programs(record: dict[str, Any]) -> list[str]:
    return [step["Name"] for step in record["GeneratedBy"]]


def second_method_is_its_own(ran: Ran) -> None:
    ran.ok("gaussian")
    record, before = ran.record(), ran.record("once.json")
    assert (record["Method"], record["Seed"], record["EchoTime"]) == ("gaussian", 4, 0.09)
    assert "fwhm" in record["Parameters"]
    assert "patch" not in record["Parameters"]
    assert record["InputSHA256"] != before["InputSHA256"]
    assert programs(record) == ["dwiser", "dwiser"]
    (earlier,) = record["EarlierRecords"]
    for name in ("Method", "Seed", "Parameters", "SigmaMedian", "Date", "InputSHA256", "coils"):
        assert earlier.get(name) == before.get(name), name
    assert earlier["Method"] == "mppca"


def three_steps_are_three_entries(ran: Ran) -> None:
    ran.ok("mppca")
    record = ran.record()
    assert programs(record) == ["dcm2niix", "dwiser", "dwiser", "dwiser"]
    assert [earlier["Seed"] for earlier in record["EarlierRecords"]] == [1, 2]
    assert not any("EarlierRecords" in earlier for earlier in record["EarlierRecords"])
    assert record["Seed"] == 3


def follows_the_other_program(ran: Ran) -> None:
    ran.ok("gaussian")
    record = ran.record()
    assert programs(record) == ["QSIPrep", "dwiser"]
    assert record["EchoTime"] == 0.09
    assert all("bids:raw" not in source for source in record["Sources"])
    (earlier,) = record["EarlierRecords"]
    assert earlier["Sources"] == ["bids:raw:sub-01/dwi/sub-01_dwi.nii.gz"]
    assert earlier["GeneratedBy"] == [{"Name": "QSIPrep", "Version": "1.0.1"}]


def own_values_stand(ran: Ran) -> None:
    ran.ok("gaussian")
    record = ran.record()
    assert (record["Method"], record["Seed"], record["EchoTime"]) == ("gaussian", 0, 0.09)
    assert isinstance(record["SigmaMedian"], float)
    assert programs(record) == ["dcm2niix", "dwiser"]
    (earlier,) = record["EarlierRecords"]
    assert (earlier["Method"], earlier["coils"]) == (["EPI"], "32 channels")


def warnings_are_a_list(ran: Ran) -> None:
    ran.ok("gaussian")
    assert isinstance(ran.record()["Warnings"], list)
    assert ran.record()["EarlierRecords"] == [{"Warnings": None}]


def of_a_dataset(**fields: Any) -> Callable[[Series], None]:
    """A BIDS dataset of one series, with these fields in the JSON that all its series inherit."""

    def change(series: Series) -> None:
        series.name = PLACE
        series.files["dataset_description.json"] = {"Name": "study", "BIDSVersion": "1.10.0"}
        series.files["dwi.json"] = fields
        series.files[f"{PLACE}.json"] = {"Method": "Bruker:DtiEpi"}

    return change


def nothing_is_to_do(ran: Ran) -> None:
    ran.ok("done         1", "to do        0")
    record = ran.record(OUT)
    assert (record["Method"], record["EchoTime"]) == ("gaussian", 0.09)
    assert record["EarlierRecords"][0]["Method"] == "Bruker:DtiEpi"
    assert not ran.appeared


def the_whole_series(series: Series) -> None:
    """Two scans of a session, each with a sidecar that has names of dwiser's."""
    series.files["dwi.json"] = {"EchoTime": 0.09, "Warnings": None, "Method": "DtiEpi"}
    for ending in ("nii.gz", "bval", "bvec"):
        series.files[f"dwi2.{ending}"] = Path(f"dwi.{ending}")
    series.files["dwi2.json"] = {"EchoTime": 0.08, "Series": "second"}


def each_has_its_own(ran: Ran) -> None:
    ran.ok("gaussian")
    first, second = ran.record("out/dwi.json"), ran.record("out/dwi2.json")
    assert (first["Method"], second["Method"]) == ("gaussian", "gaussian")
    assert (first["EchoTime"], second["EchoTime"]) == (0.09, 0.08)
    assert first["EarlierRecords"] == [{"Warnings": None, "Method": "DtiEpi"}]
    assert second["EarlierRecords"] == [{"Series": "second"}]
    assert second["Series"]["Files"] == ["dwi.nii.gz", "dwi2.nii.gz"]


ROWS: tuple[Situation, ...] = (
    Situation(
        name="denoised-twice",
        reported=(MERGED,),
        happens="A series that dwiser denoised by one method is denoised again by another.",
        expected="The record is that of the second run; the first one's is an entry of "
        "`EarlierRecords`, and `GeneratedBy` has both steps.",
        before="The record of the result by gaussian said mppca, with mppca's seed, σ and date.",
        change=sidecar(EchoTime=0.09),
        check=second_method_is_its_own,
        commands=(
            "denoise dwi.nii.gz once.nii.gz --method mppca --seed 3",
            f"denoise once.nii.gz out.nii.gz {QUICK} --seed 4",
        ),
        base=s7,
    ),
    Situation(
        name="three-steps",
        reported=(LISTED,),
        happens="A series goes through dwiser three times.",
        expected="Every step is an entry of `GeneratedBy`, in order, and no record is inside "
        "another.",
        before="The record of the result by mppca said gaussian, with the first run's seed, and "
        "`GeneratedBy` did not name dwiser.",
        change=sidecar(GeneratedBy=[{"Name": "dcm2niix"}]),
        check=three_steps_are_three_entries,
        commands=(
            f"denoise dwi.nii.gz once.nii.gz {QUICK} --seed 1",
            f"denoise once.nii.gz twice.nii.gz {QUICK} --seed 2",
            "denoise twice.nii.gz out.nii.gz --method mppca --seed 3",
        ),
        base=s7,
    ),
    Situation(
        name="derivative-of-another-program",
        reported=(LISTED,),
        happens="The input is another program's derivative, with `GeneratedBy` and `Sources`.",
        expected="dwiser is the last entry of `GeneratedBy`; the other program's `Sources` are "
        "in `EarlierRecords`.",
        before="`GeneratedBy` named the other program alone.",
        change=sidecar(
            EchoTime=0.09,
            GeneratedBy=[{"Name": "QSIPrep", "Version": "1.0.1"}],
            Sources=["bids:raw:sub-01/dwi/sub-01_dwi.nii.gz"],
        ),
        check=follows_the_other_program,
        commands=(f"denoise dwi.nii.gz out.nii.gz {QUICK}",),
        base=s7,
    ),
    Situation(
        name="raw-fields-with-names-of-dwiser",
        reported=(MERGED,),
        happens="The raw sidecar has fields named as dwiser's own, with values of any kind.",
        expected="dwiser's own stand; the raw ones are in `EarlierRecords`.",
        before="The raw ones replaced dwiser's: `Method` was a list, the seed null, σ a text.",
        change=sidecar(EchoTime=0.09, **ODD),
        check=own_values_stand,
        commands=(f"denoise dwi.nii.gz out.nii.gz {QUICK}",),
        base=s7,
    ),
    Situation(
        name="raw-warnings-null",
        reported=(),
        happens='The raw sidecar has `"Warnings": null`.',
        expected="The series is denoised, and the record has dwiser's own warnings.",
        before="“Something inside dwiser broke (TypeError)”, after the work; nothing was written.",
        change=sidecar(Warnings=None),
        check=warnings_are_a_list,
        commands=(f"denoise dwi.nii.gz out.nii.gz {QUICK}",),
        base=s7,
    ),
    Situation(
        name="raw-method-in-a-dataset",
        reported=(MERGED,),
        happens="Raw sidecars of a BIDS dataset, own and inherited, have a field `Method`.",
        expected="The second run finds the scan done.",
        before="Every run denoised the scan again, for “Method was Bruker:DtiEpi, is gaussian”.",
        change=of_a_dataset(EchoTime=0.09, Method="EPI", Seed=12, Parameters={}),
        check=nothing_is_to_do,
        commands=(BIDS, BIDS),
        base=s7,
    ),
    Situation(
        name="several-series-with-names-of-dwiser",
        reported=(MERGED,),
        happens="Several series are denoised at once, and their sidecars have such fields.",
        expected="Each result has its own acquisition fields, and dwiser's own block.",
        before="“Something inside dwiser broke (TypeError)”, after the work; nothing was written.",
        change=the_whole_series,
        check=each_has_its_own,
        commands=(f"denoise dwi.nii.gz dwi2.nii.gz --outdir out --together {QUICK}",),
        base=s7,
    ),
)
