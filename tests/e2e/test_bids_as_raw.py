"""``dwiser bids --as-raw``: denoised series under their raw names, for programs such as QSIPrep."""

import json
from pathlib import Path

import nibabel as nib
import pytest

from dwiser.cli import main
from dwiser.errors import Code
from tests.refusals import command_refused

QUICK = (
    *("--method", "gaussian", "--threads", "1", "--device", "cpu"),
    *("--skip-bids-validation", "-q"),
)


@pytest.fixture
def study(bids, tmp_path: Path) -> Path:
    """Two subjects: one with two sessions, an anatomical image, a field map and a phase."""
    root = bids(tmp_path, "sub-01/ses-a", "sub-01/ses-b", "sub-02")
    image = root / "sub-02/dwi/sub-02_dwi.nii.gz"
    for name in ("anat/sub-01_ses-a_T1w.nii.gz", "fmap/sub-01_ses-a_dir-PA_epi.nii.gz"):
        path = root / "sub-01/ses-a" / name
        path.parent.mkdir()
        nib.save(nib.load(image).slicer[..., 0], path)
    (root / "sub-01/ses-a/fmap/sub-01_ses-a_dir-PA_epi.json").write_text('{"IntendedFor": "x"}')
    copied = root / "sub-01/ses-a/dwi/sub-01_ses-a_part-phase_dwi.nii.gz"
    copied.write_bytes(image.read_bytes())
    trace = root / "sub-02/dwi/sub-02_acq-trace_dwi.nii.gz"
    nib.save(nib.load(image).slicer[..., 0], trace)
    (root / "derivatives/other/sub-01").mkdir(parents=True)
    (root / "derivatives/other/sub-01/x_dwi.nii.gz").write_bytes(b"")
    (root / ".bidsignore").write_text("*_trace*\n")
    return root


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def run(root: Path, *words: object) -> int:
    out = root / "derivatives/dwiser"
    return main(["bids", str(root), str(out), "participant", *map(str, words), *QUICK])


def test_the_dataset_is_the_raw_one_with_other_diffusion_series(study: Path, tmp_path) -> None:
    view = tmp_path / "for-qsiprep"
    assert run(study, "--as-raw", view, "--save-residual") == 0
    raw = {name for name in files(study) if not name.startswith("derivatives/")}
    raw.discard("sub-01/ses-a/dwi/sub-01_ses-a_part-phase_dwi.nii.gz")
    series = ("sub-01/ses-a/dwi/sub-01_ses-a", "sub-01/ses-b/dwi/sub-01_ses-b", "sub-02/dwi/sub-02")
    assert files(view) == raw | {f"{name}_dwi.json" for name in series}
    made = study / "derivatives/dwiser/sub-02/dwi/sub-02_desc-denoised_dwi.nii.gz"
    assert (view / "sub-02/dwi/sub-02_dwi.nii.gz").read_bytes() == made.read_bytes()
    anatomy = "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz"
    assert (view / anatomy).samefile(study / anatomy)
    assert not (view / anatomy).is_symlink()  # a container has this folder alone
    field_map = "sub-01/ses-a/fmap/sub-01_ses-a_dir-PA_epi.json"
    assert not (view / field_map).samefile(study / field_map)  # so that it may be edited
    about = json.loads((view / "dataset_description.json").read_text())
    assert about["DatasetType"] == "raw"
    assert about["GeneratedBy"][0]["Name"] == "dwiser"
    sidecar = json.loads((view / "sub-02/dwi/sub-02_dwi.json").read_text())
    assert (sidecar["Method"], sidecar["EchoTime"]) == ("gaussian", 0.09)


def test_what_nobody_asked_for_is_not_in_it(study: Path, tmp_path: Path) -> None:
    """Another session's series would be raw among denoised ones."""
    view = tmp_path / "view"
    assert run(study, "--participant-label", "01", "--session-label", "b", "--as-raw", view) == 0
    series = {name for name in files(view) if name.endswith("_dwi.nii.gz")}
    assert series == {"sub-01/ses-b/dwi/sub-01_ses-b_dwi.nii.gz"}
    assert "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz" in files(view)
    assert run(study, "--participant-label", "02", "--as-raw", view) == 0  # written anew
    assert not (view / "sub-01").exists()


def test_not_all_done_nothing_written(study: Path, tmp_path: Path, capsys) -> None:
    (study / "sub-02/dwi/sub-02_dwi.bvec").write_text("1 2\n")
    view = tmp_path / "view"
    assert run(study, "--as-raw", view) == 1
    assert "is not written: not all scans are done" in capsys.readouterr().err
    assert not view.exists()
    assert not list(tmp_path.glob(".view-*"))


@pytest.mark.parametrize("place", ["", "sub-01", "derivatives/dwiser", "derivatives/dwiser/x"])
def test_a_folder_that_would_mix_is_refused(study: Path, place: str, capsys) -> None:
    before = files(study)
    words = ["bids", str(study), str(study / "derivatives/dwiser"), "participant"]
    view = str(study / place)
    sentence = command_refused(capsys, Code.OUTPUT_FOREIGN, *words, *QUICK, "--as-raw", view)
    assert "it would mix with" in sentence
    assert files(study) == before


def test_anothers_folder_is_refused_and_unharmed(study: Path, tmp_path: Path, capsys) -> None:
    view = tmp_path / "view"
    view.mkdir()
    (view / "thesis.tex").write_text("…")
    words = ["bids", str(study), str(tmp_path / "out"), "participant"]
    sentence = command_refused(capsys, Code.OUTPUT_FOREIGN, *words, *QUICK, "--as-raw", str(view))
    assert str(view) in sentence
    assert files(view) == {"thesis.tex"}
