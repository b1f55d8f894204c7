"""The page of results says what the records say; the poster's numbers are complete."""

import json
from pathlib import Path

import pytest

from reproduce.claims import judged, qualified, spread
from reproduce.page import NAMES, VERDICTS, _gathered, experiments, page, record_of
from reproduce.poster import poster
from reproduce.protocol import RESULTS, SETTINGS, shortened


def test_the_page_is_what_the_records_say() -> None:
    text = (RESULTS / "index.md").read_text()
    assert page() == text, "run make reproduce"


def test_what_was_not_run_is_said_to_be_so(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert text.count("Not run here: `python -m reproduce.") == len(NAMES)
    assert "Of 0 claims" in text


def test_a_changed_number_changes_the_page(tmp_path: Path) -> None:
    name = next(n for n in NAMES if record_of(n, RESULTS) is not None)
    record = json.loads((RESULTS / f"{name}.json").read_text())
    (tmp_path / f"{name}.json").write_text(json.dumps(record))
    before = page(tmp_path)
    record["cpu_seconds"] += 1000
    (tmp_path / f"{name}.json").write_text(json.dumps(record))
    assert page(tmp_path) != before


def test_every_record_tells_its_origin_and_is_no_smoke() -> None:
    for name in NAMES:
        record = record_of(name, RESULTS)
        if record is None:
            continue
        assert record["setting"] in ("here", "full")
        assert {"seed", "date", "machine", "versions", "seconds", "size"} <= set(record)


def test_every_experiment_has_three_settings_and_a_name_of_its_own() -> None:
    found = list(experiments())
    assert [e.name for e in found] == list(NAMES)
    for experiment in found:
        assert set(experiment.settings) == set(SETTINGS), experiment.name
        assert experiment.settings["full"].preset == "paper"
        assert experiment.settings["full"].iterations is None
        told = json.dumps(experiment.settings["here"].told())
        assert json.loads(told)["shape"] == list(experiment.settings["here"].shape)


def test_the_claims_of_the_records_have_known_verdicts() -> None:
    for experiment in experiments():
        record = record_of(experiment.name, RESULTS)
        if record is not None:
            for claim in experiment.tell(record).claims:
                assert claim.verdict in VERDICTS
                assert "nan" not in claim.ours


def test_the_posters_numbers_are_complete() -> None:
    told = poster()
    for kind in ("psnr", "ssim"):
        for name in ("fa", "md", "rd", "ad"):
            row = told["table1"][kind][name]
            assert len(row) == len(told["table1"]["methods"]) == 7
            assert max(row) == row[-1], "on the poster Di-Fusion is bold in every row"
        assert set(told["table2"][kind]) == {"Noisy", "P2S", "Nr2N", "DDM2", "Di-Fusion"}
        assert set(told["table2"][f"{kind}_sd"]) == {"Nr2N", "DDM2", "Di-Fusion"}
        for part in (kind, f"{kind}_sd"):
            assert all(len(row) == 5 for row in told["table2"][part].values())
    assert len(told["figure4"]["streamlines"]) == 8


@pytest.mark.parametrize(
    ("right", "of", "expected"),
    [(3, 3, "confirmed"), (1, 3, "partly"), (0, 3, "not confirmed"), (0, 0, "cannot be judged")],
)
def test_verdicts_follow_counts(right: int, of: int, expected: str) -> None:
    assert judged(right, of) == expected


def test_an_advantage_below_the_noisy_scan_is_half_a_one() -> None:
    assert qualified(True, False) == "partly"
    assert qualified(True, True) == "confirmed"
    assert qualified(False, True) == "not confirmed"


def test_claims_of_one_text_are_gathered_with_what_they_are_told_of() -> None:
    told = ["A: b (the poster's) (x)", "C", "A: b (the poster's) (y, z)"]
    assert _gathered(told) == ["- A: b (the poster's) (x; y, z)", "- C"]


def test_the_spread_is_the_samples() -> None:
    assert spread([1.0, 3.0]) == "2.00 ± 1.41"
    assert spread([2.0]) == "2.00"


def test_what_is_not_finite_becomes_null() -> None:
    assert shortened({"a": float("nan"), "b": [1 / 3]}) == {"a": None, "b": [0.333333]}
