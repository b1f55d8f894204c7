"""One script at its smoke setting in the fast suite (tests/slow runs them all), and its parts."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from dwiser.machine import Machine
from dwiser.methods.base import Denoised
from dwiser.methods.difusion.method import Difusion
from dwiser.methods.registry import build
from dwiser.simulation import phantom
from reproduce import arms, density, figure6, figure7, floor, lesions, scores
from reproduce.artefacts import corrupted, pure_noise, slope
from reproduce.data import crop, cut, dealt
from reproduce.drift import Slopes
from reproduce.page import NAMES
from reproduce.protocol import SETTINGS, Run, Setting, main
from reproduce.regions import Tract
from reproduce.x_out import Onlooker

SMALL = {"preset": "laptop", "iterations": 200}
LARGE = {"preset": "released", "iterations": None}


def test_figure7_runs_tells_and_draws(tmp_path: Path) -> None:
    found = figure7.EXPERIMENT
    path = found.run("smoke", Run(found.settings["smoke"], say=lambda _: None), tmp_path)
    record = json.loads(path.read_text())
    tcs = {row["tc"] for row in record["rows"] if "tc" in row}
    assert tcs == set(found.settings["smoke"]["tc"])
    assert (tmp_path / "figure7.png").stat().st_size > 10_000
    told = found.tell(record)
    assert {claim.verdict for claim in told.claims} == {"cannot be judged"}, "one Tc below 500"


def test_a_consistent_curve_is_confirmed_only_if_it_beats_the_noisy_scan() -> None:
    def record(error: float, drop: float) -> dict:
        where = {"source": "phantom", "seed": 0}
        rows = [where | {"way": "noisy", "nrmse": 0.1, "r2": 0.5, "r2_raw": 0.5}]
        for pairing in ("adjacent", "predicted"):
            for tc in (100, 300, 700):
                r2 = 0.9 - drop * (tc == 300)
                row = where | {
                    "pairing": pairing,
                    "tc": tc,
                    "nrmse": error,
                    "r2": r2,
                    "r2_raw": 0.7,
                }
                rows += [row | {"way": "walk"}, row | {"way": "single pass"}]
        return {"rows": rows, "size": SMALL}

    def verdicts(error: float, drop: float, size: dict = SMALL) -> set[str]:
        told = figure7.tell(record(error, drop) | {"size": size})
        return {claim.verdict for claim in told.claims}

    assert verdicts(0.05, 0.0) == {"confirmed"}
    assert verdicts(0.05, 0.1) == {"not confirmed"}
    assert verdicts(0.2, 0.0) == verdicts(0.2, 0.1) == {"cannot be judged at this budget"}
    assert verdicts(0.2, 0.0, LARGE) == {"partly"}
    assert verdicts(0.2, 0.1, LARGE) == {"not confirmed"}


def test_the_real_scan_is_judged_by_r2_alone_against_the_noisy_one() -> None:
    def verdict(noisy: float) -> str:
        where = {"source": "real", "seed": 0}
        rows = [where | {"way": "noisy", "r2": noisy, "r2_raw": noisy}]
        for tc in (100, 300, 700):
            row = where | {"pairing": "adjacent", "tc": tc, "r2": 0.5, "r2_raw": 0.5}
            rows += [row | {"way": "walk"}, row | {"way": "single pass"}]
        return figure7._claim({"rows": rows, "size": LARGE}, "adjacent", "x", "real").verdict

    assert verdict(0.4) == "confirmed"
    assert verdict(0.6) == "partly"


@pytest.fixture(scope="module")
def made():
    return phantom((20, 24, 4), shells=((1000.0, 8),), n_b0=2, snr=20.0, seed=7)


@pytest.mark.parametrize("kind", ["motion", "ghost"])
def test_a_fault_is_in_its_volume_alone_and_of_slope_one(made, kind: str) -> None:
    scan, fault = corrupted(made, kind, 5)
    change = scan.data - made.scan.data
    others = np.delete(np.arange(scan.shape[3]), 5)
    assert not change[..., others].any()
    assert slope(change[..., 5], fault, made.mask) == pytest.approx(1, abs=0.02)
    assert scan.data.min() >= 0


def test_pure_noise_has_no_structure(made) -> None:
    scan, sigma = pure_noise(made, 0)
    assert scan.data.std() == pytest.approx(sigma.mean(), rel=0.05)
    assert abs(np.corrcoef(scan.data[..., 0].ravel(), scan.data[..., 1].ravel())[0, 1]) < 0.08


def test_a_map_of_density_is_read_as_it_was_written() -> None:
    grid = np.array([[0, 3, 12], [1, 0, 255]])
    np.testing.assert_array_equal(density.read(density.written(grid)), grid)


def test_streamlines_that_leave_the_bundle_are_lost(made) -> None:
    inside = np.zeros(made.mask.shape, bool)
    inside[8:12, 2:22, 1:3] = True
    along = np.indices(inside.shape)[1]
    course = density.Course(
        made.scan, made.mask, inside & (along < 5), (inside & (along > 18),), inside,
        made.tissues["wm"], axis=0,
    )  # fmt: skip
    straight = np.array([[10.0, y, 2.0] for y in range(3, 21)])
    astray = straight + np.outer(np.arange(18), [0.5, 0.0, 0.0])
    affine = made.scan.affine
    lines = [x @ affine[:3, :3].T + affine[:3, 3] for x in (straight, astray)]
    row = density.judged(lines, course)
    assert (row["started"], row["found"], row["valid"], row["invalid"]) == (2, 1, 1, 1)
    kept, lost = (density.read(row[k]) for k in (density.KEPT, density.LOST))
    assert kept.shape == lost.shape == inside.shape[1:]
    assert kept[3:21, 2].tolist() == [1] * 18
    assert kept.sum() == 18


def test_a_box_of_a_scan_stays_where_it_was_in_space(made) -> None:
    part = crop(made.scan, (6, 0, 2), np.array([0, 0, 3]))
    assert part == (slice(0, 6), slice(0, 24), slice(2, 4))
    small = cut(made.scan, part)
    np.testing.assert_array_equal(small.data, made.scan.data[part])
    corner = small.affine @ [0, 0, 0, 1]
    np.testing.assert_allclose(corner, made.scan.affine @ [0, 0, 2, 1])


def test_dealt_directions_are_apart_and_keep_every_b0(made) -> None:
    some, others = dealt(made.scan, 5, 0)
    assert (~some.gradients.is_b0).sum() == 5
    assert (~others.gradients.is_b0).sum() == 3
    assert some.gradients.is_b0.sum() == others.gradients.is_b0.sum() == 2


def test_a_given_mask_lets_the_background_tell_its_channels() -> None:
    size = Setting((32, 40, 5), 10, 2)  # 500 voxels of background and more
    told = floor.background(floor.at_floor(Run(size, 7))["nc-χ, 4 coils"])
    assert told[floor.MASKED]["channels"] == pytest.approx(4, rel=0.15)
    assert told[""]["voxels"] < told[floor.MASKED]["voxels"]


def test_the_view_is_of_a_lesion_that_one_direction_alone_shows() -> None:
    made = phantom((26, 30, 5), shells=((1000.0, 10),), n_b0=2, seed=7, lesions=True)
    view = lesions.View.of(made)
    rare = [x for x in made.record["lesions"] if x["kind"] == "direction"]
    assert view.volume in rare[0]["volumes"]
    told = view.told(made)
    assert told["rare"] == len(rare) == 2
    outline = density.read(told["outline"]) > 0
    assert outline[made.lesions[:, :, view.z] == rare[0]["label"]].all()
    assert not outline[made.lesions[:, :, view.z] == 0].any()
    twice = density.read(view.of_data(2 * made.truth))
    shown = density.read(told["truth"])
    assert twice.max() == shown.max() == density.SHADES, "one window: brighter is whiter"
    assert (twice >= shown).all()


def test_a_bundles_ends_lie_in_it_and_apart() -> None:
    tract = Tract.of((26, 30, 26), 7, "arcuate L")
    assert tract.inside[tract.start].all()
    assert tract.inside[tract.end].all()
    assert not (tract.start & tract.end).any()
    assert np.nonzero(tract.start)[1].max() < np.nonzero(tract.end)[1].min()


def test_an_onlooker_finds_the_slope_that_was_put_in() -> None:
    import torch

    rng = np.random.default_rng(0)
    truth, partner = rng.normal(size=(2, 5, 6, 7)).astype(np.float32)
    inside = np.ones(truth.shape, bool)
    slopes = Slopes(truth, {"partner": partner}, inside, (1, 0))
    onlooker = Onlooker(2, slopes.see)
    for group in (slice(0, 3), slice(3, 5)):
        for share in (0.5, 0.25):
            out = torch.from_numpy(truth[group] + share * partner[group])
            stop = onlooker.distance(out, out, out)
            assert (stop <= onlooker.threshold).all()
    assert slopes.by_name()["partner"] == pytest.approx([0.5, 0.25], rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_script_has_a_size_for_one_card(name: str) -> None:
    settings = import_module(f"reproduce.{name}").EXPERIMENT.settings
    assert tuple(settings) == SETTINGS
    gpu, here = settings["gpu"], settings["here"]
    assert (gpu.preset, gpu.passes, gpu.iterations) == ("paper", 281, None)
    assert (gpu.shape, gpu.directions, gpu.more) == (here.shape, here.directions, here.more)


def test_passes_become_iterations_over_the_slices_of_the_dwis(made) -> None:
    method = build("difusion", "paper")
    assert Setting(passes=281).trained(method, made.scan) == 281 * 4 * 8 // 32
    assert Setting(iterations=7).trained(method, made.scan) == 7
    assert Setting(iterations=None).trained(method, made.scan) == 100_000


def test_the_asked_device_reaches_every_training(made, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def seen(*args: object, machine: Machine | None = None, device: str = "", **more: object):
        asked.append(machine.device if machine else device)
        return Denoised(made.scan.data)

    run = Run(figure7.SMOKE, say=lambda _: None, device="cuda")
    monkeypatch.setattr(arms, "denoise", seen)
    arms.denoised("difusion", made.scan, run, 0)
    monkeypatch.setattr(figure6, "denoise", seen)
    monkeypatch.setattr(Difusion, "fit", seen)
    monkeypatch.setattr(Difusion, "apply", seen)
    bench = scores.Bench(run, made.scan, made.mask, 0)
    assert len(list(figure6.arms(bench, "adjacent"))) == 8
    assert asked[0] == "cuda"
    assert set(asked) == {"cuda"}
    assert len(asked) == 1 + 2 * 4 + 3 + 1


def test_a_size_for_one_card_is_refused_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["figure7", "gpu", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main(figure7.EXPERIMENT)
    assert ended.value.code == 2
    assert "No CUDA GPU" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
