"""Bins of FA part the mask, and each tells its own voxels' error."""

import numpy as np
import pytest

from dwiser.evaluation.bins import ENOUGH, FA_EDGES, binned_rows, drawn_fa, fa_bins
from dwiser.evaluation.records import Absent, Metric
from dwiser.evaluation.suite import evaluate
from dwiser.evaluation.tensor import RANGES, TensorMaps, fit_tensor
from dwiser.reports.scores import BY_FA, tables
from dwiser.simulation import NoiseModel, Simulation

SHAPE = (20, 20, 5)
MASK = np.ones(SHAPE, bool)


def maps(fa: np.ndarray, md: np.ndarray, v1: np.ndarray) -> TensorMaps:
    return TensorMaps(fa, md, md / 2, 2 * md, v1)


@pytest.fixture
def true() -> TensorMaps:
    fa = np.random.default_rng(0).uniform(0, 1, SHAPE)
    return maps(fa, np.full(SHAPE, 1e-3), np.tile([1.0, 0, 0], (*SHAPE, 1)))


def value(rows: list, metric: str, group: str) -> float:
    return next(r.value for r in rows if (r.metric, r.group) == (metric, group))


def test_bins_part_all_voxels_at_the_edges() -> None:
    fa = np.array([*FA_EDGES, 0.05, 1.1])
    bins = fa_bins(fa)
    assert sorted(np.concatenate(list(bins.values()))) == list(range(len(fa)))
    assert list(bins) == [
        "FA 0.00-0.10", "FA 0.10-0.20", "FA 0.20-0.30", "FA 0.30-0.45", "FA 0.45-0.70",
        "FA 0.70-1.00",
    ]  # fmt: skip
    assert list(bins["FA 0.00-0.10"]) == [0, 7]
    assert list(bins["FA 0.70-1.00"]) == [5, 6, 8]


def test_an_error_in_one_bin_shows_in_that_bin_alone(true: TensorMaps) -> None:
    where = (true.fa >= 0.45) & (true.fa < 0.7)
    turned = true.v1.copy()
    turned[where] = [np.cos(0.1), np.sin(0.1), 0]
    fitted = maps(true.fa - 0.05 * where, true.md + 1e-4 * where, turned)
    rows = list(binned_rows(fitted, true, true.fa, MASK))
    assert value(rows, "fa.rmse", "FA 0.45-0.70") == pytest.approx(0.05)
    assert value(rows, "fa.bias", "FA 0.45-0.70") == pytest.approx(-0.05)
    assert value(rows, "ad.bias", "FA 0.45-0.70") == pytest.approx(2e-4)
    assert value(rows, "v1.angle.median", "FA 0.45-0.70") == pytest.approx(np.degrees(0.1))
    assert value(rows, "tensor.voxels", "FA 0.45-0.70") == where.sum()
    for r in rows:
        if r.group != "FA 0.45-0.70" and r.metric != "tensor.voxels":
            assert r.value == pytest.approx(0, abs=1e-6)
    assert {r.unit for r in rows if r.metric == "md.rmse"} == {"mm²/s"}


def test_bins_squared_errors_add_up_to_the_mask_s(true: TensorMaps) -> None:
    noisy = true.fa + np.random.default_rng(1).normal(0, 0.05, SHAPE)
    rows = list(binned_rows(maps(noisy, true.md, true.v1), true, noisy, MASK, "drawn "))
    total = sum(
        value(rows, "fa.rmse", f"drawn {name}") ** 2 * value(rows, "tensor.voxels", f"drawn {name}")
        for name in fa_bins(noisy[MASK])
    )
    assert total == pytest.approx(((noisy - true.fa) ** 2).sum())


def test_a_bin_of_few_voxels_is_absent_with_its_number(true: TensorMaps) -> None:
    fa = np.full(SHAPE, 0.5)
    fa.flat[: ENOUGH - 1] = 0.8
    rows = list(binned_rows(true, true, fa, MASK))
    absent = {r.group: r.reason for r in rows if isinstance(r, Absent)}
    assert set(absent) == set(fa_bins(fa[MASK])) - {"FA 0.45-0.70"}
    assert absent["FA 0.70-1.00"].startswith(f"{ENOUGH - 1} voxels")
    assert {r.group for r in rows if isinstance(r, Metric)} == {"FA 0.45-0.70"}


def test_a_draw_is_the_truth_with_noise_that_is_not_the_scan_s(head: Simulation) -> None:
    gradients = head.scan.gradients
    scan_fa = fit_tensor(head.scan.data, gradients, head.mask).fa
    model = NoiseModel(snr=20.0, sigma_map="gfactor")
    fa = drawn_fa(head.truth, gradients, head.mask, head.sigma, model, seed=1)
    again = drawn_fa(head.truth, gradients, head.mask, head.sigma, model, seed=1)
    np.testing.assert_array_equal(fa, again)
    white = head.tissues["wm"] > 0.9
    errors = (fa - head.fa)[white], (scan_fa - head.fa)[white]
    assert abs(np.corrcoef(*errors)[0, 1]) < 0.15
    assert errors[0].std() == pytest.approx(errors[1].std(), rel=0.1)


def test_an_evaluation_with_truth_has_every_bin_or_its_reason(head: Simulation, head_scan) -> None:
    evaluation = evaluate(head_scan.data, head_scan, truth=head.truth)
    bins = {m.group for m in evaluation.metrics if m.group.startswith("FA ")}
    absent = {a.group for a in evaluation.absent if a.group.startswith("FA ")}
    assert bins | absent == set(fa_bins(head.fa[head.mask]))
    assert "FA 0.45-0.70" in bins
    for name in RANGES:
        assert evaluation.value(f"{name}.rmse", "FA 0.45-0.70") > 0
    by_title = {t.title: t for t in tables(evaluation)}
    assert "FA 0.45-0.70" in by_title[BY_FA].heads
    overall = {r[0]: r for r in by_title["Tensor maps against the truth's"].rows}["fa"]
    assert f"{evaluation.value('fa.rmse'):.4g}" in overall
