"""``dwiser compare``: the table, the pictures, and going on when one method fails."""

import csv
import json
from pathlib import Path

import pytest

from dwiser.cli import main
from dwiser.errors import InputError
from dwiser.run.simulation import save_simulation
from dwiser.run.variants import parse_variants

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
SMOKE = "difusion:preset=smoke:iterations=3"


@pytest.fixture
def made(tmp_path: Path, small) -> Path:
    save_simulation(small, tmp_path / "sim")
    return tmp_path / "sim"


def test_methods_side_by_side_and_one_that_fails(made: Path, tmp_path: Path, capfd) -> None:
    out = tmp_path / "out"
    broken = f"{SMOKE}:learning_rate=1e30"  # diverges
    words = [str(made / "dwi.nii.gz"), str(out), "--truth", str(made / "truth.nii.gz")]
    more = ["--methods", f"{SMOKE},{SMOKE}:pairing=angular,{broken}", "--seeds", "2"]
    code = main(["compare", *words, *more, "--held-out", "2", "--threads", "1"])
    told = capfd.readouterr()
    rows = list(csv.DictReader((out / "comparison.tsv").open(), delimiter="\t"))
    assert [row["method"] for row in rows] == ["noisy", SMOKE, f"{SMOKE}:pairing=angular", broken]
    for row in rows[:3]:
        assert 0 < float(row["nrmse"]) < 1
        assert row["verdict"] in ("PASS", "WARN", "FAIL")
        assert row["heldout_dti"] != "n/a"
    assert float(rows[1]["seconds"]) > 0
    assert float(rows[1]["peak_mib"]) > 50
    assert float(rows[1]["seeds_cv"]) > 0
    assert (out / "montage.png").read_bytes()[:4] == b"\x89PNG"
    record = json.loads((out / "comparison.json").read_text())
    assert record["HeldOutPaired"][0]["model"] in ("dti", "sh")
    assert (out / "difusion_preset_smoke_iterations_3.nii.gz").exists()
    assert code == 1
    assert "failed: The result holds NaN" in told.err
    assert "diverged" in rows[3]["error"]
    assert rows[3]["nrmse"] == "n/a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("difusion,difusion", "twice"),
        ("diffusion", "did you mean 'difusion'"),
        ("difusion:fuson=target", "did you mean 'fusion'"),
        ("difusion:preset=tiny", "preset"),
        ("difusion:fusion", "field=value"),
    ],
)
def test_a_wrong_list_is_refused_before_any_work(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_variants(text)


def test_variants_keep_their_text_as_label_and_make_names_of_files() -> None:
    one, two = parse_variants("difusion, difusion:fusion=neighbour:preset=smoke")
    assert (one.label, one.preset, one.settings) == ("difusion", "laptop", {})
    assert (two.preset, two.settings) == ("smoke", {"fusion": "neighbour"})
    assert two.file_name == "difusion_fusion_neighbour_preset_smoke"


def test_results_that_exist_are_not_replaced_without_force(made: Path, tmp_path: Path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "montage.png").write_text("mine")
    words = ["compare", str(made / "dwi.nii.gz"), str(tmp_path / "out"), "--methods", SMOKE]
    assert main(words) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "out" / "montage.png").read_text() == "mine"
