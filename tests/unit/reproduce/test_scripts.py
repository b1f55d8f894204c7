"""One script at its smoke setting in the fast suite (tests/slow runs them all), and its parts."""

import json
from pathlib import Path

import numpy as np
import pytest

from dwiser.simulate import phantom
from reproduce import figure7
from reproduce.artefacts import corrupted, pure_noise, slope
from reproduce.drift import Observer
from reproduce.protocol import Run
from reproduce.regions import Tract


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
        rows = [{"way": "noisy", "seed": 0, "nrmse": 0.1, "r2": 0.5, "r2_raw": 0.5}]
        for pairing in ("adjacent", "predicted"):
            for tc in (100, 300, 700):
                r2 = 0.9 - drop * (tc == 300)
                row = {"pairing": pairing, "tc": tc, "nrmse": error, "r2": r2, "r2_raw": 0.7}
                rows += [row | {"way": "walk"}, row | {"way": "single pass"}]
        return {"rows": rows}

    def verdicts(error: float, drop: float) -> set[str]:
        return {claim.verdict for claim in figure7.tell(record(error, drop)).claims}

    assert verdicts(0.05, 0.0) == {"confirmed"}
    assert verdicts(0.2, 0.0) == {"partly"}
    assert verdicts(0.05, 0.1) == {"not confirmed"}


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


def test_a_bundles_ends_lie_in_it_and_apart() -> None:
    tract = Tract.of((26, 30, 26), 7, "arcuate L")
    assert tract.inside[tract.start].all()
    assert tract.inside[tract.end].all()
    assert not (tract.start & tract.end).any()
    assert np.nonzero(tract.start)[1].max() < np.nonzero(tract.end)[1].min()


def test_the_observer_finds_the_slope_that_was_put_in() -> None:
    import torch

    rng = np.random.default_rng(0)
    truth, partner = rng.normal(size=(2, 5, 6, 7)).astype(np.float32)
    inside = np.ones(truth.shape, bool)
    observer = Observer(truth, {"partner": partner}, inside, (1, 0))
    for share in (0.5, 0.25):
        for group in (slice(0, 5),):
            out = torch.from_numpy(truth[group] + share * partner[group])
            stop = observer.distance(out, out, out)
            assert (stop <= observer.threshold).all()
    assert observer.slopes()["partner"] == pytest.approx([0.5, 0.25], rel=1e-5)
