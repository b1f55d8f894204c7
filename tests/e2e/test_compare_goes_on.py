"""``compare`` goes on when a method's process dies, and the benchmark of all methods resumes."""

import csv
import json
import sys
from pathlib import Path

import pytest

from benchmarks import all_methods, record
from dwiser.cli import main
from dwiser.simulation.files import save_simulation

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")


@pytest.fixture
def scan_file(tmp_path: Path, small) -> Path:
    save_simulation(small, tmp_path / "sim")
    return tmp_path / "sim" / "dwi.nii.gz"


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "comparison.tsv").open() as text:
        return {row["method"]: row for row in csv.DictReader(text, delimiter="\t")}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_method_whose_process_is_killed_is_told_of_and_the_next_runs(
    scan_file, tmp_path, monkeypatch, capfd
) -> None:
    killer = tmp_path / "bin" / "dwidenoise"
    killer.parent.mkdir()
    killer.write_text("#!/bin/sh\nkill -9 $PPID\n")
    killer.chmod(0o755)
    monkeypatch.setenv("PATH", str(killer.parent), prepend=":")
    out = tmp_path / "out"
    words = ["--methods", "dwidenoise,patch2self,gaussian", "--seeds", "2", "--held-out", "0"]
    assert main(["compare", str(scan_file), str(out), *words, "--threads", "1", "-q"]) == 1
    rows = rows_of(out)
    assert "killed" in rows["dwidenoise"]["error"]
    assert "dwidenoise: failed: its process was killed" in capfd.readouterr().err
    assert float(rows["gaussian"]["residual_sd"]) > 0
    assert float(rows["patch2self"]["seeds_cv"]) > 0  # it draws at random: repeated
    assert rows["gaussian"]["seeds_cv"] == "n/a"  # it does not
    assert (out / "montage.png").exists()


def test_the_benchmark_of_all_methods_writes_after_each_and_repeats_nothing(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(all_methods, "RESULTS", tmp_path / "results")
    words = ["all_methods", "phantom", "--shape", "26,24,8", "--seed", "102", "--name", "tiny"]
    words += ["--out", str(tmp_path / "work"), "--methods"]
    monkeypatch.setattr(sys, "argv", [*words, "identity"])
    all_methods.main()
    results = tmp_path / "results" / "tiny.json"
    first = json.loads(results.read_text())["rows"]
    assert [row["method"] for row in first] == ["noisy", "identity"]
    assert first[1]["nrmse"] == pytest.approx(first[0]["nrmse"], rel=1e-3)
    assert (tmp_path / "results" / "tiny.png").exists()

    def stopped(words: list[str]) -> int:
        assert "gaussian" in words  # identity is done
        return 130

    monkeypatch.setattr(all_methods, "dwiser", stopped)
    monkeypatch.setattr(sys, "argv", [*words, "identity,gaussian"])
    with pytest.raises(SystemExit, match="130"):
        all_methods.main()
    assert json.loads(results.read_text())["rows"] == first
