"""BIDS names: which series there are, what speaks for them, what ours are called."""

import json
from pathlib import Path

from dwiser.errors import Code
from dwiser.io.bids import dataset_description, entities, find_scans, inherited_sidecars
from tests.refusals import refused


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def test_the_series_of_all_sessions_are_found_and_nothing_else_is(tmp_path: Path) -> None:
    put(
        tmp_path,
        "sub-02/ses-b/dwi/sub-02_ses-b_run-2_dwi.nii.gz",
        "sub-02/ses-b/dwi/sub-02_ses-b_run-1_dwi.nii",
        "sub-01/dwi/sub-01_dwi.nii.gz",
        "sub-01/dwi/sub-01_part-mag_dwi.nii.gz",
        "sub-01/dwi/sub-01_part-phase_dwi.nii.gz",
        "sub-01/dwi/sub-01_sbref.nii.gz",
        "sub-01/dwi/sub-01_ADC.nii.gz",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "derivatives/other/sub-01/dwi/sub-01_desc-x_dwi.nii.gz",
    )
    assert [scan.name for scan in find_scans(tmp_path)] == [
        "sub-01",
        "sub-01_part-mag",
        "sub-02_ses-b_run-1",
        "sub-02_ses-b_run-2",
    ]
    last = find_scans(tmp_path)[-1]
    assert (last.subject, last.session) == ("02", "b")
    assert last.entities == {"sub": "02", "ses": "b", "run": "2"}
    named = last.derived("denoised", "dwi", ".nii.gz")
    assert named == Path("sub-02/ses-b/dwi/sub-02_ses-b_run-2_desc-denoised_dwi.nii.gz")


def test_the_phase_of_a_series_is_the_part_beside_it(tmp_path: Path) -> None:
    home = "sub-01/dwi/sub-01_"
    put(
        tmp_path,
        *(f"{home}run-{n}_part-{part}_dwi.nii.gz" for n in (1, 2) for part in ("mag", "phase")),
        f"{home}run-3_dwi.nii.gz",
        f"{home}run-3_part-phase_dwi.nii",
        f"{home}run-4_chunk-1_dwi.nii.gz",
        f"{home}run-4_part-phase_chunk-1_dwi.nii.gz",
        f"{home}run-5_dwi.nii.gz",
    )
    phases = [scan.phase for scan in find_scans(tmp_path)]
    assert [path and path.name.removeprefix("sub-01_") for path in phases] == [
        "run-1_part-phase_dwi.nii.gz",
        "run-2_part-phase_dwi.nii.gz",
        "run-3_part-phase_dwi.nii",
        "run-4_part-phase_chunk-1_dwi.nii.gz",
        None,
    ]


def test_labels_choose_with_or_without_their_key(tmp_path: Path) -> None:
    put(tmp_path, *(f"sub-{s}/ses-{t}/dwi/sub-{s}_ses-{t}_dwi.nii.gz" for s in "12" for t in "ab"))
    assert [s.name for s in find_scans(tmp_path, ["sub-2"], ["ses-a"])] == ["sub-2_ses-a"]
    assert [s.name for s in find_scans(tmp_path, ["2", "1"], ["b"])] == [
        "sub-1_ses-b",
        "sub-2_ses-b",
    ]
    with refused(Code.BIDS_NO_SERIES, "participant '12'", "did you mean '2'?"):
        find_scans(tmp_path, ["12"])
    with refused(Code.BIDS_NO_SERIES, tmp_path, "session 'z'", "check the label"):
        find_scans(tmp_path, sessions=["a", "z"])


def test_a_dataset_without_a_series_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz")
    with refused(Code.BIDS_NO_SERIES, tmp_path, "no diffusion series", "_dwi.nii.gz"):
        find_scans(tmp_path)
    with refused(Code.FILE_MISSING, tmp_path / "nowhere", "give the BIDS dataset's"):
        find_scans(tmp_path / "nowhere")


def test_gradients_and_fields_are_inherited_from_above_the_nearest_first(tmp_path: Path) -> None:
    place = "sub-1/ses-a/dwi/sub-1_ses-a_acq-x_run-1_dwi"
    put(tmp_path, f"{place}.nii.gz", "dwi.bval", "dwi.bvec", "acq-y_dwi.bvec", "acq-x_dwi.bval")
    put(tmp_path, "sub-1/sub-1_dwi.bvec", "sub-2/sub-2_dwi.bvec")
    (scan,) = find_scans(tmp_path)
    assert scan.bval == tmp_path / "acq-x_dwi.bval"  # the more specific of two in one folder
    assert scan.bvec == tmp_path / "sub-1/sub-1_dwi.bvec"  # the nearer of two folders
    put(tmp_path, "dwi.json", "sub-1/sub-1_dwi.json", f"{place}.json", "sub-2/sub-2_dwi.json")
    put(tmp_path, "acq-y_dwi.json", "acq-x_dwi.json")
    names = ["dwi.json", "acq-x_dwi.json", "sub-1/sub-1_dwi.json"]  # its own is read elsewhere
    assert inherited_sidecars(tmp_path, scan) == tuple(tmp_path / name for name in names)


def test_without_gradient_files_there_are_none(tmp_path: Path) -> None:
    put(tmp_path, "sub-1/dwi/sub-1_dwi.nii.gz", "sub-1/dwi/sub-1_run-2_dwi.bval")
    (scan,) = find_scans(tmp_path)
    assert (scan.bval, scan.bvec) == (None, None)


def test_a_derivative_says_what_it_was_made_of() -> None:
    raw = {"Name": "study", "License": "CC0", "DatasetDOI": "doi:1", "Authors": ["A"]}
    description = dataset_description(raw, "9.9", "../..")
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "dwiser"
    assert description["GeneratedBy"][0]["Version"] == "9.9"
    assert description["SourceDatasets"] == [{"URL": "../..", "DOI": "doi:1"}]
    assert (description["License"], description["Authors"]) == ("CC0", ["A"])
    assert json.dumps(description)


def test_parts_of_a_name_without_a_hyphen_are_no_entities() -> None:
    assert entities("sub-1_dwi") == {"sub": "1"}
