"""The benchmarks are a package whose every module can be imported from the repository's folder."""

import json
from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
# what the others are made of
SHARED = {
    "record", "phantom_options", "phantom_errors", "spread", "slabs", "confirmation",
    "moving_head", "ringing",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_module_of_the_package_that_runs_by_name(name: str) -> None:
    module = import_module(f"benchmarks.{name}")
    assert name in SHARED or callable(module.main)


def test_the_check_of_a_gpu_runs_whole_on_a_cpu(monkeypatch, tmp_path) -> None:
    from benchmarks import gpu_check, record

    monkeypatch.setattr(record, "RESULTS", tmp_path)
    gpu_check.main(["--smoke"])
    rows = json.loads((tmp_path / "gpu_check_smoke.json").read_text())["rows"]
    assert not [row for row in rows.values() if "not_measured" in row]
    assert rows["training float32"]["ms_an_iteration"] > 0
    others = [row for name, row in rows.items() if name.startswith("training of ")]
    assert len(others) == 6
    assert all(row["ms_an_iteration"] > 0 for row in others)
    assert rows["sampling bf16"]["evaluations"] == 2
    assert rows["paper, estimated"]["estimated_minutes_all"] > 0
    assert rows["default method"]["seconds"] > 0
    assert rows["learning curve"] == {
        "record": "smoke_phantom_adjacent_0.json", "passes": 1, "all": True,
    }  # fmt: skip


def test_the_check_begins_no_row_that_it_has_no_time_for(monkeypatch, tmp_path) -> None:
    from benchmarks import gpu_check, record

    def failing() -> dict[str, object]:
        raise RuntimeError("no kernel image is available\nand more")

    monkeypatch.setattr(record, "RESULTS", tmp_path)
    check = gpu_check.Check("check", gpu_check.Sizes(), "cpu")
    check.row("one", lambda: {"ms": 1.0})
    check.row("two", failing)
    check.begun -= gpu_check.SECONDS - 60  # a minute is left
    check.row("three", lambda: {"ms": 3.0}, gpu_check.DEFAULT_ROWS)
    check.row("four", lambda: {"ms": 4.0})
    check.begun -= 30
    check.row("five", failing)
    assert [path.name for path in tmp_path.iterdir()] == ["check.json"]
    assert json.loads((tmp_path / "check.json").read_text())["rows"] == {
        "one": {"ms": 1.0},
        "two": {"not_measured": "no kernel image is available"},
        "three": {"not_measured": "no time left"},
        "four": {"ms": 4.0},
        "five": {"not_measured": "no time left"},
    }
