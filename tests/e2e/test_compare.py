"""``dwiser compare``: the table, the pictures, and going on when one method fails."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dwiser.cli import main
from dwiser.compare.variants import parse_variants
from dwiser.errors import Code
from dwiser.io import load, save_volume
from dwiser.simulation import phantom
from dwiser.simulation.files import save_simulation
from tests.refusals import command_refused, refused

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
SMOKE = "difusion:preset=smoke:iterations=3"


@pytest.fixture
def scan_folder(tmp_path: Path, small) -> Path:
    save_simulation(small, tmp_path / "sim")
    return tmp_path / "sim"


@pytest.fixture
def lesioned(tmp_path: Path) -> Path:
    """A phantom with tissues, lesions and crossings, enough directions for CSD."""
    scan_folder = phantom((26, 26, 12), shells=((1000.0, 24),), n_b0=2, lesions=True, seed=3)
    save_simulation(scan_folder, tmp_path / "sim")
    return tmp_path / "sim"


def test_methods_side_by_side_and_one_that_fails(scan_folder: Path, tmp_path: Path, capfd) -> None:
    out = tmp_path / "out"
    broken = f"{SMOKE}:learning_rate=1e30"  # diverges
    words = [
        str(scan_folder / "dwi.nii.gz"),
        str(out),
        "--truth",
        str(scan_folder / "truth.nii.gz"),
    ]
    more = ["--methods", f"{SMOKE},{SMOKE}:pairing=angular,{broken}", "--seeds", "2"]
    code = main(["compare", *words, *more, "--held-out", "2", "--halves", "--threads", "1"])
    printed = capfd.readouterr()
    rows = list(csv.DictReader((out / "comparison.tsv").open(), delimiter="\t"))
    assert [row["method"] for row in rows] == ["noisy", SMOKE, f"{SMOKE}:pairing=angular", broken]
    for row in rows[:3]:
        assert 0 < float(row["nrmse"]) < 1
        assert row["verdict"] in ("PASS", "WARN", "FAIL")
        assert row["heldout_dti"] != "n/a"
    assert float(rows[1]["seconds"]) > 0
    assert float(rows[1]["peak_mib"]) > 50
    assert rows[1]["trained"].startswith("smoke, network=compact, pairing=predicted, iterations=")
    assert "pairing=angular" in rows[2]["trained"]
    assert rows[0]["trained"] == "n/a"
    assert float(rows[1]["seeds_cv"]) > 0
    assert (out / "montage.png").read_bytes()[:4] == b"\x89PNG"
    record = json.loads((out / "comparison.json").read_text())
    assert record["HeldOutPaired"][0]["model"] in ("dti", "sh")
    by_fa = record["HeldOutByFaPaired"]
    assert {(p["method"], p["against"]) for p in by_fa} >= {(SMOKE, "noisy")}
    assert {p["model"] for p in by_fa} == {"dti"}  # 22 directions stay: order 4 wants 23
    assert "order 4 need 23 directions" in printed.out
    for p in by_fa:
        of_group = record["Methods"][0]["held_out_by_fa"]["dti"][p["group"]]
        assert p["voxels"] == of_group["voxels"] >= 30
        assert p["low"] <= p["difference"] <= p["high"]
    assert "FA 0.45-0.70 (" in printed.out
    assert float(rows[0]["heldout_dti_fa_0.45-0.70"]) == pytest.approx(
        record["Methods"][0]["held_out_by_fa"]["dti"]["FA 0.45-0.70"]["excess"]
    )
    assert (out / "difusion_preset_smoke_iterations_3.nii.gz").exists()
    assert code == 1
    assert f"{SMOKE} against noisy, dti: " in printed.out
    assert 0 <= float(rows[1]["halves_fa"]) < 1
    assert "fewer" in printed.out or "15 directions" in printed.out  # why there is no R² by CSD
    assert "failed: The loss of the training is inf" in printed.err
    assert "diverged" in rows[3]["error"]
    assert rows[3]["nrmse"] == "n/a"


def test_what_files_tell_is_in_the_tables(lesioned: Path, tmp_path: Path, capsys) -> None:
    """Truth, tissues, lesions, σ and a rescan: each has its columns; what is missing, a reason."""
    home, out = lesioned, tmp_path / "out"
    words = ["compare", str(home / "dwi.nii.gz"), str(out), "--methods", "identity,gaussian"]
    for name in ("truth", "mask", "sigma", "lesions"):
        words += [f"--{name}", str(home / f"{name}.nii.gz")]
    words += ["--tissues", str(home), "--rescan", str(home / "dwi.nii.gz"), "--held-out", "0"]
    assert main([*words, "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    rows = list(csv.DictReader((out / "comparison.tsv").open(), delimiter="\t"))
    noisy, same, blur = rows
    truth = ("nrmse", "crossings_found", "edge_mm", "lesion_least_kept")
    for head in (*truth, "r2_dti", "r2_csd", "r2_dti_own", "r2_csd_own"):
        assert float(blur[head]) > 0, head
        assert same[head] == noisy[head]
    columns = [head for head in noisy if head.startswith("csd_density_") and noisy[head] != "n/a"]
    assert columns
    assert all(same[head] == noisy[head] != blur[head] for head in columns)
    assert float(blur["edge_mm"]) > float(noisy["edge_mm"])
    assert float(blur["lesion_least_kept"]) < float(noisy["lesion_least_kept"])
    assert float(noisy["rescan_signal"]) == float(blur["rescan_fa"]) == 0  # the same scan twice
    assert "own: of the denoised" in printed
    assert "no volumes were to be held out" in printed
    record = json.loads((out / "comparison.json").read_text())
    assert record["References"]["truth"].endswith("truth.nii.gz")
    assert record["Methods"][2]["rescan"]["fa"]["sd"] == 0
    groups = {m["group"] for m in record["Methods"][0]["evaluation"]["metrics"]}
    assert {"b1000 wm", "lesion 1", "white matter"} <= groups
    assert all(m["evaluation"]["inputs"]["sigma"] == "given" for m in record["Methods"])


def test_a_noise_map_and_a_phase_go_to_the_methods_that_take_them(
    scan_folder, tmp_path, capfd
) -> None:
    scan, out, phase = load(scan_folder / "dwi.nii.gz"), tmp_path / "out", tmp_path / "phase.nii.gz"
    turned = np.zeros(scan.shape, np.float32)
    turned[..., 0] = 3  # so that it spans radians
    save_volume(turned, phase, like=scan)
    words = ["compare", str(scan_folder / "dwi.nii.gz"), str(out), "--methods", "splitq,gaussian"]
    maps = ["--noise-map", str(scan_folder / "sigma.nii.gz"), "--phase", str(phase)]
    plain = ["--folds", "0", "--held-out", "2", "--seeds", "1", "--preset", "laptop"]
    assert main([*words, *maps, *plain, "--threads", "1"]) == 0
    assert "gaussian: running (it has no use for the noise map and phase)" in capfd.readouterr().err
    noisy, splitq, blur = json.loads((out / "comparison.json").read_text())["Methods"]
    assert splitq["record"]["NoiseModel"] == "Gaussian, real part; sd from the map that was given"
    assert "NoiseMap" not in blur["record"]
    assert splitq["held_out"]["dti"]  # the rest of the volumes came with their phase
    assert all(m["evaluation"]["inputs"]["sigma"] == "given" for m in (noisy, splitq, blur))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--noise-map OTHER --sigma OTHER", Code.ARGUMENT_CONFLICT, "give one of the two"),
        ("--phase OTHER", Code.GRID_SHAPE, "phase"),
        ("--phase OTHER --rescan OTHER", Code.ARGUMENT_CONFLICT, "leave out --rescan"),
        ("--rescan OTHER", Code.SCANS_DIFFER, "the rescan has shape"),
        ("--rescan-bval OTHER", Code.ARGUMENT_MISSING, "give --rescan"),
        ("--tissues nowhere.nii.gz", Code.FILE_MISSING, "nowhere.nii.gz"),
        ("--folds 1", Code.ARGUMENT_VALUE, "--folds"),
    ],
)
def test_wrong_files_are_refused_before_any_work(
    scan_folder: Path, tmp_path, words, code, said, capsys
):
    scan = load(scan_folder / "dwi.nii.gz")
    other = tmp_path / "other.nii.gz"
    save_volume(scan.data[1:], other, like=scan)
    for name in ("bval", "bvec"):
        shutil.copy(scan_folder / f"dwi.{name}", tmp_path / f"other.{name}")
    options = words.replace("OTHER", str(other)).split()
    line = [
        "compare",
        str(scan_folder / "dwi.nii.gz"),
        str(tmp_path / "out"),
        "--methods",
        "identity",
    ]
    assert said in command_refused(capsys, code, *line, *options)
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", Code.ARGUMENT_VALUE, "--methods is empty: name at least one"),
        ("difusion,difusion", Code.ARGUMENT_CONFLICT, "'difusion' twice: name each variant once"),
        ("diffusion", Code.METHOD_UNKNOWN, "did you mean 'difusion'"),
        ("difusion:fuson=target", Code.SETTING_UNKNOWN, "did you mean 'fusion'"),
        ("difusion:preset=tiny", Code.PRESET_UNKNOWN, "preset"),
        ("difusion:fusion", Code.SETTING_VALUE, "field=value"),
    ],
)
def test_a_wrong_list_is_refused_before_any_work(text: str, code: Code, said: str) -> None:
    with refused(code, said):
        parse_variants(text)


def test_variants_keep_their_text_as_label_and_make_names_of_files() -> None:
    one, two = parse_variants("difusion, difusion:fusion=neighbour:preset=smoke")
    assert (one.label, one.preset, one.settings) == ("difusion", "laptop", {})
    assert (two.preset, two.settings) == ("smoke", {"fusion": "neighbour"})
    assert two.file_name == "difusion_fusion_neighbour_preset_smoke"


def test_results_that_exist_are_not_replaced_without_force(
    scan_folder: Path, tmp_path: Path, capsys
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "montage.png").write_text("mine")
    words = ["compare", str(scan_folder / "dwi.nii.gz"), str(tmp_path / "out"), "--methods", SMOKE]
    assert "--force" in command_refused(capsys, Code.OUTPUT_EXISTS, *words)
    assert (tmp_path / "out" / "montage.png").read_text() == "mine"


def test_what_is_refused_leaves_no_folder(files: Path, dwiser) -> None:
    out = files / "refused"
    done = dwiser(
        "compare", files / "dwi.nii.gz", out, "--methods", "identity", "--rescan", "nope.nii.gz"
    )
    assert done.returncode == 2
    assert "nope.nii.gz" in done.stderr
    assert not out.exists()
