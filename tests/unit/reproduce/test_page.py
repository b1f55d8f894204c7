"""The page of results says what the records say; the poster's numbers are complete."""

import json
from pathlib import Path

import pytest

from reproduce import table2
from reproduce.arms import POSTER, preset_of
from reproduce.claims import (
    AgainstNoisy,
    Claim,
    at_budget,
    is_small,
    judged,
    qualified,
    row_name,
    spread,
)
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


SMALL = {"preset": "laptop", "iterations": 200}
FULL = {"preset": "paper", "iterations": None}


@pytest.mark.parametrize("verdict", ["confirmed", "partly", "not confirmed"])
@pytest.mark.parametrize(
    ("size", "own", "noisy", "more", "judgeable"),
    [
        (SMALL, 0.05, 0.1, False, True),
        (SMALL, 0.2, 0.1, False, False),
        (SMALL, 0.2, 0.1, True, True),
        (SMALL, 0.05, 0.1, True, False),
        (SMALL, None, 0.1, False, False),
        (FULL, 0.2, 0.1, False, True),
    ],
)
def test_a_network_below_the_noisy_scan_is_not_judged_at_a_small_budget(
    verdict, size, own, noisy, more, judgeable
) -> None:
    claim = Claim("c", verdict, "We found it.")
    told = at_budget(claim, size, AgainstNoisy("its single pass", "NRMSE", own, noisy, more))
    if judgeable:
        assert told == claim
    else:
        assert told.verdict == "cannot be judged at this budget"
        assert told.ours.startswith("We found it. ")
        assert ("No single pass was recorded." in told.ours) == (own is None)


def test_what_cannot_be_judged_at_all_stays_so() -> None:
    claim = Claim("c", "cannot be judged", "No image.")
    assert at_budget(claim, SMALL, AgainstNoisy("its result", "NRMSE", 0.2, 0.1)) == claim


@pytest.mark.parametrize("preset", ["paper", "released"])
def test_a_posters_name_stands_alone_only_at_the_posters_budget(preset: str) -> None:
    full, cut = ({"preset": preset, "iterations": n} for n in (None, 500))
    assert not is_small(full)
    assert is_small(cut)
    learned = "Nr2N", "DDM2", "Di-Fusion"
    for method in POSTER:
        assert row_name(method, full) == method
        assert row_name(method, cut) == (f"small {method}" if method in learned else method)


def test_di_fusions_claims_are_judged_with_the_authors_program() -> None:
    assert preset_of("difusion", "paper") == "released"
    assert preset_of("ddm2", "paper") == "paper"
    assert preset_of("difusion", "laptop") == "laptop"


def test_claims_of_ssim_wait_for_an_image_whose_noisy_ssim_is_the_posters() -> None:
    record = record_of("table2", RESULTS)
    assert record is not None
    by_name = {c.poster: c.verdict for c in table2.tell(record).claims}
    waiting = "Table 2: Di-Fusion has the best SSIM at every level"
    assert table2.ssim_missed(record) > table2.SSIM_AGREES
    assert by_name[waiting] == "cannot be judged"
    told = poster()["table2"]["ssim"]["Noisy"]
    for row in record["rows"]:
        if row["method"] == table2.NOISY:
            row["ssim"] = told[row["level"] - 1] / 100
    agreeing = {c.poster: c.verdict for c in table2.tell(record).claims}
    assert agreeing[waiting] != "cannot be judged"


def test_claims_of_one_text_are_gathered_with_what_they_are_told_of() -> None:
    told = ["A: b (the poster's) (x)", "C", "A: b (the poster's) (y, z)"]
    assert _gathered(told) == ["- A: b (the poster's) (x; y, z)", "- C"]


def test_the_spread_is_the_samples() -> None:
    assert spread([1.0, 3.0]) == "2.00 ± 1.41"
    assert spread([2.0]) == "2.00"


def test_what_is_not_finite_becomes_null() -> None:
    assert shortened({"a": float("nan"), "b": [1 / 3]}) == {"a": None, "b": [0.333333]}
