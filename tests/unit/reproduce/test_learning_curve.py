"""The learning curve, whole at its smoke size: gone on with to the same bits, refused, drawn."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from dwiser.errors import Code, InputError
from dwiser.methods.difusion.method import Difusion
from dwiser.scan import Gradients, Scan
from reproduce import curve_data, curve_page, learning_curve, warm_start
from reproduce.curve_data import Extent, in_slices
from reproduce.curve_training import Clock
from reproduce.learning_curve import (
    ARMS,
    EXACT,
    FUSED,
    LATE,
    ONE_FLIP,
    SINGLE,
    SIZES,
    Asked,
    main,
    method_of,
    run,
)
from tests.refusals import assert_says

SMOKE = "--size", "smoke", "--passes", "3"


def asked(home: Path, arm: str = "directions", **more: object) -> Asked:
    made = Asked(arm, "phantom", "smoke", passes=3, folder=home, checkpoints=home)
    return replace(made, **more)


@pytest.fixture(scope="module", autouse=True)
def one_phantom() -> Iterator[None]:
    """The smoke size's phantom is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning_curve, "case", cache(curve_data.case))
        patch.setattr(warm_start, "case", cache(curve_data.case))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """An arm of the smoke size, measured in one go."""
    made = asked(tmp_path_factory.mktemp("whole"))
    assert run(made)
    return made


def rows(of: Asked) -> list[dict]:
    record = json.loads(of.record.read_text())
    return [{k: v for k, v in r.items() if "seconds" not in k} for r in record["rows"]]


def test_each_milestone_is_scored_in_a_single_pass_and_after_both_walks(whole: Asked) -> None:
    found = rows(whole)
    assert [(r["passes"], r["way"]) for r in found] == [
        (1, SINGLE), (1, LATE), (1, ONE_FLIP),
        (3, SINGLE), (3, LATE), (3, ONE_FLIP), (3, EXACT), (3, FUSED),
    ]  # fmt: skip
    items = json.loads(whole.record.read_text())["items"]
    assert items == 4 * (10 + 4), "slices of the DWIs and of 4 b0s"
    assert [r["iterations"] for r in found] == [7, 7, 7, 21, 21, 21, 21, 21]
    assert all(0 < r["nrmse"] < 1 and 0 < r["fa_rmse"] < 1 for r in found)


def test_a_training_that_the_clock_ended_goes_on_to_the_same_bits(
    whole: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = asked(tmp_path)
    monkeypatch.setattr(Clock, "over", lambda self, done=0: done in (4, 13))
    assert not run(broken)
    assert not broken.record.exists() or not rows(broken)
    assert broken.checkpoint.exists()
    assert not run(broken)
    assert [r["passes"] for r in rows(broken)] == [1, 1, 1]
    assert run(broken)
    assert rows(broken) == rows(whole)


def test_no_scoring_is_begun_that_the_clock_would_cut_off(
    whole: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads(whole.record.read_text())
    record["rows"] = [r | {"scoring_seconds": 1e6} for r in record["rows"] if r["passes"] == 1]
    short = asked(tmp_path)
    short.record.write_text(json.dumps(record))
    short.checkpoint.write_bytes(whole.checkpoint.read_bytes())
    weights_of = learning_curve.Training.milestones

    def from_its_end(self, passes, course, clock):
        for wanted in passes:
            assert wanted == 3
            yield wanted, next(weights_of(self, (wanted,), course, clock))[1]

    monkeypatch.setattr(learning_curve.Training, "milestones", from_its_end)
    assert not run(short)
    assert {r["passes"] for r in rows(short)} == {1}


def test_a_checkpoint_of_another_arm_is_refused_and_stays(
    whole: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = asked(tmp_path, "adjacent")
    before = whole.checkpoint.read_bytes()
    other.checkpoint.write_bytes(before)
    words = ["adjacent", "phantom", *SMOKE, "--out", str(tmp_path), "--checkpoints", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert_says(
        capsys.readouterr().err.strip(), other.checkpoint, "of another training (arm, parameters)",
        "remove the file",
    )  # fmt: skip
    assert other.checkpoint.read_bytes() == before
    assert not other.record.exists()


def test_a_record_that_was_removed_is_not_filled_with_later_weights(
    whole: Asked, tmp_path: Path
) -> None:
    lost = asked(tmp_path)
    lost.checkpoint.write_bytes(whole.checkpoint.read_bytes())
    with pytest.raises(InputError, match="past 1 passes") as refused:
        run(lost)
    assert refused.value.code is Code.CHECKPOINT_OTHER_RUN
    assert lost.checkpoint.exists()


def test_a_device_without_memory_is_told_and_the_checkpoint_stays(
    whole: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **more: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    full_device = asked(tmp_path)
    full_device.checkpoint.write_bytes(before := whole.checkpoint.read_bytes())
    full_device = replace(full_device, machine=replace(full_device.machine, device="cuda"))
    monkeypatch.setattr(Difusion, "_prepare", full)
    with pytest.raises(InputError) as refused:
        run(full_device)
    assert refused.value.code is Code.MEMORY_RAN_OUT
    assert_says(str(refused.value), "The GPU's memory ran out", "--device cpu", "stays")
    assert full_device.checkpoint.read_bytes() == before


def test_the_paper_size_is_the_papers_training() -> None:
    for arm in ARMS:
        method = method_of(arm, SIZES["paper"], "phantom")
        assert (method.network, method.batch, method.patch) == ("unet", 32, None)
        assert (method.learning_rate, method.decay) == (1e-4, "constant")
        assert method_of(arm, SIZES["paper"], "oil_phantom").batch == 8
        assert method_of(arm, SIZES["compact"], "phantom").decay == "constant"
    told = method_of("directions", SIZES["paper"], "phantom")
    assert (told.pairing, told.directions, told.stop) == ("adjacent", "embedded", "never")


def test_scored_slices_are_spread_over_the_object() -> None:
    mask = np.zeros((2, 2, 30), bool)
    mask[:, :, 5:25] = True
    some = np.flatnonzero(in_slices(mask, 3).any((0, 1)))
    assert some.tolist() == [10, 15, 19]
    assert in_slices(mask, None) is mask


def test_real_scans_are_scored_against_what_was_not_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A brain whose directions agree, and repeats: the truth has no error, noise has some."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(40, 3))
    table = Gradients(
        np.r_[np.full(40, 1000.0), 0.0], np.r_[axes / np.linalg.norm(axes, axis=1)[:, None],
                                               np.zeros((1, 3))],
    )  # fmt: skip
    ball = (np.indices((14, 14, 6)).T - [6.5, 6.5, 2.5]) / [6, 6, 9]
    ball = ((ball.T**2).sum(0) < 1)[..., None]
    truth = ball * (300 + 700 * (np.indices((14, 14, 6))[0][..., None] % 5) / 5)
    truth = np.repeat(truth, 41, 3)
    scan = Scan(np.abs(truth + 20 * rng.normal(size=truth.shape)), np.diag([2.0, 2, 2, 1]), table)
    monkeypatch.setattr(curve_data, "scanned", lambda name: scan)
    extent = Extent((0, 0, 0), 0, 0, 0.0, (0, 0, 6), 24)
    oil = curve_data.case("oil_phantom", extent, 0)
    assert oil.scan.shape[3] == 21
    noisy, clean = oil.score(oil.scan.data), oil.score(truth[..., ::2])
    assert noisy["excess"] == pytest.approx(1, abs=0.3)
    assert abs(clean["excess"]) < 0.1
    brain = curve_data.case("sherbrooke_1p8mm", extent, 0)
    assert brain.told["held_out"] == 16
    assert (~brain.scan.gradients.is_b0).sum() == 24
    noisy, clean = brain.score(brain.scan.data), brain.score(truth[..., :25])
    assert clean["held_out_rmse"] < noisy["held_out_rmse"]
    monkeypatch.undo()
    monkeypatch.delenv("DWISER_DATA", raising=False)
    with pytest.raises(InputError, match="set DWISER_DATA") as refused:
        curve_data.case("oil_phantom", extent, 0)
    assert refused.value.code is Code.FILE_MISSING


def test_the_page_and_its_pictures_are_made_from_records(whole: Asked, tmp_path: Path) -> None:
    record = json.loads(whole.record.read_text())
    record |= {"size": "compact"}
    (tmp_path / "compact_phantom_directions_0.json").write_text(json.dumps(record))
    noisy = {"way": "noisy scan", **{k: v for k, v in record["rows"][0].items() if k != "way"}}
    noisy |= {"nrmse": 0.05}
    told = record | {"arm": "references", "rows": [noisy]}
    (tmp_path / "compact_phantom_references_0.json").write_text(json.dumps(told))
    text = curve_page.page(tmp_path)
    error, alone = (record["rows"][i]["nrmse"] for i in (3, 5))
    assert f"against {alone:.4f} for the single pass with one flip, as the walks have" in text
    assert f"stays above the noisy scan's, ends at {error:.4f} after 3 (noisy 0.0500)" in text
    assert "**No cell of it was measured: there was no GPU.**" in text
    (picture,) = curve_page.drawn(tmp_path, tmp_path)
    assert picture.stat().st_size > 10_000
    panel = curve_page.draw(curve_page.Curves.read("compact", tmp_path)).axes[0]
    curve, level = panel.lines
    assert list(curve.get_xdata()) == [1, 3]
    assert set(level.get_ydata()) == {0.05}
    assert panel.get_xscale() == "log"


def test_a_second_scan_begins_with_the_weights_of_the_first(
    whole: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--arms", "directions", "--size", "smoke", "--passes", "1", "--out", str(tmp_path)]
    warm_start.main([*words, "--checkpoints", str(whole.checkpoints), "--device", "cpu"])
    record = json.loads((tmp_path / "warm_smoke_phantom_directions_0.json").read_text())
    single = {r["start"]: r for r in record["rows"] if r.get("way") == SINGLE}
    assert {start: r["passes"] for start, r in single.items()} == {
        "applied as they are": 0, "cold": 1, "warm": 1,
    }  # fmt: skip
    assert len({r["nrmse"] for r in single.values()}) == 3
    assert record["phantom_seed"] == 311, "another subject than the curve's"
    record |= {"size": "compact"}
    for name in ("warm_compact_phantom_directions_0", "compact_phantom_directions_0"):
        of = record if name.startswith("warm") else json.loads(whole.record.read_text())
        (tmp_path / f"{name}.json").write_text(json.dumps(of))
    text = curve_page.page(tmp_path)
    assert f"applied as they are they give {single['applied as they are']['nrmse']:.4f}" in text
    with pytest.raises(SystemExit) as ended:
        warm_start.main([*words, "--checkpoints", str(tmp_path), "--device", "cpu"])
    assert ended.value.code == 2
    assert_says(capsys.readouterr().err.strip(), "smoke_phantom_directions_0.safetensors")


def test_the_page_is_what_the_records_say() -> None:
    assert curve_page.PAGE.read_text() == curve_page.page(), "run make reproduce"
