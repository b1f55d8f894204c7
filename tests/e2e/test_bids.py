"""``dwiser bids``: a dataset in, a derivative out; what is done is not done again."""

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.cli import main
from dwiser.errors import Code
from tests.refusals import command_refused

QUICK = ("--threads", "1", "--device", "cpu", "--skip-bids-validation")


def command(*words: object) -> list[str]:
    method = () if "--method" in words else ("--method", "gaussian")
    return ["bids", *map(str, words), *method, *QUICK]


def bids_app(*words: object) -> int:
    return main(command(*words))


def files(out: Path) -> set[str]:
    every = (p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    return {name for name in every if not name.startswith(".dwiser/")}


def of(name: str, *, residual: bool = False) -> set[str]:
    sub, *_ = name.split("_")
    ses = [part for part in name.split("_") if part.startswith("ses-")]
    home = "/".join([sub, *ses, "dwi", name])
    files = {f"{home}_desc-denoised_dwi.{e}" for e in ("nii.gz", "json", "bval", "bvec")}
    files |= {f"{home}_desc-sigma_dwimap.{e}" for e in ("nii.gz", "json")}
    files |= {f"{home}_desc-denoised_mask.{e}" for e in ("nii.gz", "json")}
    if residual:
        kinds, endings = ("residual", "standardised"), ("nii.gz", "json", "bval", "bvec")
        files |= {f"{home}_desc-{kind}_dwi.{e}" for kind in kinds for e in endings}
    return files | {f"{sub}/figures/{name}_desc-denoised_dwi.png", f"{sub}.html"}


DATASET = {"dataset_description.json", ".bidsignore", "README", "cohort.tsv", "cohort.html"}


def test_the_derivative_is_whole_and_says_what_it_was_made_of(bids, tmp_path: Path, capsys) -> None:
    root, out = (
        bids(tmp_path, "sub-01/ses-a run-1", "sub-01/ses-a run-2", "sub-02"),
        tmp_path / "out",
    )
    saved = ("--save-residual", "--save-standardised")
    assert bids_app(root, out, "participant", *saved, "--seed", 3) == 0
    names = ("sub-01_ses-a_run-1", "sub-01_ses-a_run-2", "sub-02")
    wanted = DATASET.union(*(of(name, residual=True) for name in names))
    assert files(out) == wanted
    sidecar = json.loads((out / "sub-02/dwi/sub-02_desc-denoised_dwi.json").read_text())
    assert sidecar["EchoTime"] == 0.09  # inherited from the dataset's own dwi.json
    assert sidecar["Sources"][0] == "bids:raw:sub-02/dwi/sub-02_dwi.nii.gz"
    assert sidecar["SkullStripped"] is False
    assert (sidecar["Method"], sidecar["Seed"]) == ("gaussian", 3)
    assert sidecar["Verdict"]["Level"] in ("PASS", "WARN", "FAIL")
    assert sidecar["SNR"][0]["snr"] > 5
    raw = nib.load(root / "sub-02/dwi/sub-02_dwi.nii.gz")
    clean = nib.load(out / "sub-02/dwi/sub-02_desc-denoised_dwi.nii.gz")
    residual = nib.load(out / "sub-02/dwi/sub-02_desc-residual_dwi.nii.gz")
    np.testing.assert_array_equal(raw.affine, clean.affine)
    difference = np.asarray(raw.dataobj) - np.asarray(clean.dataobj)
    np.testing.assert_allclose(np.asarray(residual.dataobj), difference, atol=1e-3)
    described = json.loads((out / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    page = (out / "sub-01.html").read_text()
    assert page.count("<section") == 2
    assert 'src="sub-01/figures/sub-01_ses-a_run-2_desc-denoised_dwi.png"' in page
    assert "3 of 3 scans done" in capsys.readouterr().out


def test_a_second_run_does_only_what_is_new_or_changed(bids, tmp_path: Path, capsys) -> None:
    root, out = bids(tmp_path, "sub-01", "sub-02"), tmp_path / "out"
    assert bids_app(root, out, "participant", "--participant-label", "sub-01", "-q") == 0
    image = out / "sub-01/dwi/sub-01_desc-denoised_dwi.nii.gz"
    first = image.stat().st_mtime_ns
    assert bids_app(root, out, "participant", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "to do        1: 1 new" in printed
    assert not (out / "sub-02").exists()
    assert bids_app(root, out, "participant", "-q") == 0
    assert image.stat().st_mtime_ns == first
    assert "sub-02" in (out / "cohort.tsv").read_text()
    assert bids_app(root, out, "participant", "--random-seed", 2) == 0
    assert "2 Seed was 0, is 2" in capsys.readouterr().out
    assert image.stat().st_mtime_ns != first


def test_a_bad_scan_is_named_and_the_others_are_done(bids, tmp_path: Path, capsys) -> None:
    root, out = bids(tmp_path, "sub-01", "sub-02", "sub-03", "sub-04"), tmp_path / "out"
    (root / "sub-01/dwi/sub-01_dwi.nii.gz").write_bytes(b"not an image")
    (root / "sub-02/dwi/sub-02_dwi.bvec").unlink()
    assert bids_app(root, out, "participant") == 1
    printed = capsys.readouterr().err
    assert "2 scans failed: sub-01, sub-02." in printed
    assert "there are no b-vectors" in printed
    assert "Traceback" not in printed
    assert files(out) == DATASET | of("sub-03") | of("sub-04")
    rows = (out / "cohort.tsv").read_text().splitlines()
    assert [row.split("\t")[3] for row in rows[1:]] == ["failed", "failed", "done", "done"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("raw", "raw", "participant"), Code.OUTPUT_IS_INPUT, "this is the input dataset"),
        (("nowhere", "out", "participant"), Code.FILE_MISSING, "there is no such folder"),
        (
            ("raw", "out", "participant", "--method", "spliq"),
            Code.METHOD_UNKNOWN,
            "did you mean 'splitq'?",
        ),
        (
            ("raw", "out", "participant", "--participant-label", "7"),
            Code.BIDS_NO_SERIES,
            "Unknown participant '7'",
        ),
        (
            ("raw", "out", "participant", "--seed", "-1"),
            Code.ARGUMENT_VALUE,
            "must not be negative",
        ),
        (
            ("raw", "out", "participant", "--save-uncertainty"),
            Code.METHOD_UNCERTAINTY,
            "gaussian gives no uncertainty",
        ),
        (
            ("raw", "out", "participant", "--phase"),
            Code.METHOD_PHASE,
            "gaussian cannot use a phase",
        ),
        (
            ("raw", "out", "participant", "--noise-maps", "no"),
            Code.FILE_MISSING,
            "check --noise-maps",
        ),
        (
            ("raw", "out", "participant", "--memory", "much"),
            Code.ARGUMENT_VALUE,
            "is no amount of memory",
        ),
        (("raw", "out", "participant", "--mask", "m.nii"), None, "Did you mean --masks?"),
        (("raw", "out", "group"), None, "group"),
        (("raw", "other", "participant"), Code.OUTPUT_FOREIGN, "another program's dataset"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    bids, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, words, code, sentence: str
) -> None:
    bids(tmp_path, "sub-01")
    other = tmp_path / "other"
    other.mkdir()
    (other / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "fMRIPrep"}]}')
    monkeypatch.chdir(tmp_path)
    assert sentence in command_refused(capsys, code, *command(*words), silent=False)
    assert not (tmp_path / "out").exists()


def test_masks_come_from_a_derivative_by_the_series_name(bids, tmp_path: Path) -> None:
    root, out = bids(tmp_path, "sub-01"), tmp_path / "out"
    raw = nib.load(root / "sub-01/dwi/sub-01_dwi.nii.gz")
    mask = np.zeros(raw.shape[:3], np.uint8)
    mask[3:7, 3:7, 1:4] = 1
    home = tmp_path / "masks/sub-01/dwi"
    home.mkdir(parents=True)
    nib.save(nib.Nifti1Image(mask, raw.affine), home / "sub-01_desc-brain_mask.nii.gz")
    assert bids_app(root, out, "participant", "--masks", tmp_path / "masks", "-q") == 0
    clean = nib.load(out / "sub-01/dwi/sub-01_desc-denoised_dwi.nii.gz")
    same = np.asarray(clean.dataobj) == np.asarray(raw.dataobj)
    assert same[mask == 0].all()
    assert same[mask == 1].mean() < 0.1
    assert bids_app(root, out, "participant", "--dry-run") == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_refused(bids, tmp_path: Path, capsys) -> None:
    root, out = bids(tmp_path, "sub-01"), tmp_path / "out"
    out.mkdir(mode=0o500)
    words = command(root, out, "participant")
    assert "may not be written" in command_refused(capsys, Code.OUTPUT_FOLDER, *words)


def test_a_scan_has_its_report_when_asked_and_none_of_an_earlier_result(
    bids, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, "sub-01 run-1"), tmp_path / "out"
    assert bids_app(root, out, "participant", "--report", "--save-residual", "-q") == 0
    page = "sub-01/figures/sub-01_run-1_desc-denoised_dwi.html"
    html = (out / page).read_text(encoding="utf-8")
    sidecar = json.loads((out / "sub-01/dwi/sub-01_run-1_desc-denoised_dwi.json").read_text())
    assert f"Verdict: {sidecar['Verdict']['Level']}" in html
    image = out / "sub-01/dwi/sub-01_run-1_desc-denoised_dwi.nii.gz"
    assert f"dwiser denoise {root}/sub-01/dwi/sub-01_run-1_dwi.nii.gz {image}" in html
    assert "/.dwiser/work/" not in html
    for index in ("sub-01.html", "cohort.html"):
        assert f'href="{page}"' in (out / index).read_text()
    assert page in (out / "cohort.tsv").read_text()
    modified = image.stat().st_mtime_ns
    assert bids_app(root, out, "participant", "-q") == 0  # nobody asks for a report: it is done
    assert image.stat().st_mtime_ns == modified
    assert (out / page).read_text(encoding="utf-8") == html
    assert bids_app(root, out, "participant", "--seed", 5, "-q") == 0
    assert files(out) == DATASET | of("sub-01_run-1")
    assert 'href="sub-01.html#sub-01_run-1"' in (out / "cohort.html").read_text()


def test_noise_maps_come_from_a_derivative_too(bids, tmp_path: Path) -> None:
    root, out = bids(tmp_path, "sub-01", "sub-02"), tmp_path / "out"
    raw = nib.load(root / "sub-01/dwi/sub-01_dwi.nii.gz")
    home = tmp_path / "maps/sub-01/dwi"
    home.mkdir(parents=True)
    sigma = nib.Nifti1Image(np.full(raw.shape[:3], 12.5, np.float32), raw.affine)
    nib.save(sigma, home / "sub-01_desc-sigma_dwimap.nii.gz")
    words = ("participant", "--noise-maps", tmp_path / "maps", "-q")
    assert bids_app(root, out, *words) == 0
    first, second = (
        json.loads((out / f"{sub}/dwi/{sub}_desc-denoised_dwi.json").read_text())
        for sub in ("sub-01", "sub-02")
    )
    assert first["SigmaMedian"] == 12.5
    assert set(first["InputFiles"]) == {"dwi", "bval", "bvec", "noise_map"}
    assert "NoiseMap" not in second
    assert bids_app(root, out, "participant", "--dry-run", "--noise-maps", tmp_path / "maps") == 0


def test_the_phase_beside_a_series_is_taken_where_it_is_asked_for(
    bids, tmp_path: Path, capsys
) -> None:
    root, out = bids(tmp_path, "sub-01 part-mag", "sub-02"), tmp_path / "out"
    raw = nib.load(root / "sub-01/dwi/sub-01_part-mag_dwi.nii.gz")
    ramp = np.linspace(-3.1, 3.1, raw.shape[0], dtype=np.float32)[:, None, None, None]
    phase = nib.Nifti1Image(np.broadcast_to(ramp, raw.shape), raw.affine)
    nib.save(phase, root / "sub-01/dwi/sub-01_part-phase_dwi.nii.gz")
    splitq = ("participant", "--method", "splitq", "--phase")
    assert bids_app(root, out, *splitq) == 1
    said = capsys.readouterr().err
    assert "1 scans failed: sub-02." in said
    assert "sub-02_dwi.nii.gz: there is no part-phase beside it" in said
    sidecar = json.loads((out / "sub-01/dwi/sub-01_part-mag_desc-denoised_dwi.json").read_text())
    assert sidecar["Phase"].endswith("sub-01_part-phase_dwi.nii.gz")
    assert "bids:raw:sub-01/dwi/sub-01_part-phase_dwi.nii.gz" in sidecar["Sources"]
