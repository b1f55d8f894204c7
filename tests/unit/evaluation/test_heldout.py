import numpy as np
import pytest

from dwiser.evaluation.heldout import (
    BY_FA,
    HeldOut,
    binned_scores,
    held_out_score,
    leave_out,
    paired_bootstrap,
    predict_dti,
    predict_sh,
    sh_order,
    training_fa,
)
from dwiser.evaluation.kfold import folds, kfold_r2, predict_csd
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tensor import pick
from dwiser.scan import Gradients
from dwiser.simulation.scheme import scheme, spread_directions

TABLE = scheme([(1000.0, 40), (2000.0, 40)], n_b0=4)
ONE = scheme([(1000.0, 45)], n_b0=3)
AXES = spread_directions(200, seed=9)


def tensors(table: Gradients) -> np.ndarray:
    cosine = (AXES @ table.bvecs.T) ** 2
    return 100 * np.exp(-table.bvals * (0.3e-3 + 1.4e-3 * cosine))


def split(table: Gradients, count: int) -> tuple[np.ndarray, np.ndarray]:
    held = leave_out(table, count, seed=0)
    return np.setdiff1d(np.arange(len(table)), held), held


def test_held_out_volumes_are_dwis_of_every_shell_and_repeat_with_the_seed():
    held = leave_out(TABLE, 16, seed=0)
    assert sorted(TABLE.bvals[held]) == [1000.0] * 8 + [2000.0] * 8
    assert np.array_equal(held, leave_out(TABLE, 16, seed=0))
    assert not np.array_equal(held, leave_out(TABLE, 16, seed=1))
    with pytest.raises(CannotMeasure):
        leave_out(scheme([(1000.0, 7)]), 3, seed=0)


def test_dti_predicts_a_tensor_exactly():
    fitted, held = split(TABLE, 16)
    data = tensors(TABLE)
    predicted = predict_dti(data[:, fitted], pick(TABLE, fitted), pick(TABLE, held))
    assert np.allclose(predicted, data[:, held], rtol=1e-6)


def test_sh_predict_band_limited_signals_exactly_shell_by_shell():
    fitted, held = split(TABLE, 16)
    x, y, z = TABLE.bvecs.T
    data = np.stack([TABLE.bvals * (1 + x * y), 3 + z**2 + TABLE.bvals * x**2 * y**2])
    predicted = predict_sh(data[:, fitted], pick(TABLE, fitted), pick(TABLE, held))
    assert np.allclose(predicted, data[:, held], rtol=1e-6)


def test_the_order_of_the_harmonics_follows_the_count():
    assert [sh_order(n) for n in (12, 29, 30, 55, 56, 200)] == [2, 2, 4, 4, 6, 6]
    with pytest.raises(CannotMeasure):
        sh_order(11)


def test_the_excess_of_a_perfect_prediction_is_zero_and_of_a_wrong_one_its_error():
    rng = np.random.default_rng(0)
    sigma = np.linspace(2, 6, 4000)
    truth = rng.uniform(50, 100, (4000, 10))
    raw = truth + rng.normal(size=truth.shape) * sigma[:, None]
    assert abs(held_out_score(truth, raw, sigma).excess) < 0.5  # σ² is about 17
    assert np.isclose(held_out_score(truth + 4, raw, sigma).excess, 16, rtol=0.05)
    assert held_out_score(truth, raw, sigma).volume_excess.shape == (10,)


def test_an_order_asked_for_needs_one_and_a_half_directions_a_coefficient():
    rng = np.random.default_rng(0)
    held = spread_directions(4, seed=3)
    wanted = Gradients(np.full(4, 1000.0), held)
    for order, least in ((4, 23), (6, 42)):
        for count in (least - 1, least):
            table = scheme([(1000.0, count)], n_b0=0)
            data = rng.uniform(50, 60, (3, count))
            if count < least:
                with pytest.raises(CannotMeasure, match=f"order {order} need {least}"):
                    predict_sh(data, table, wanted, order)
            else:
                assert predict_sh(data, table, wanted, order).shape == (3, 4)


def test_order_4_predicts_fourth_order_signals_exactly_and_order_2_does_not():
    fitted, held = split(TABLE, 16)
    x, y, z = TABLE.bvecs.T
    data = np.stack([100 + 50 * x**4, 100 + 50 * x**2 * y * z])
    guess = [
        BY_FA["sh4"](data[:, fitted], pick(TABLE, fitted), pick(TABLE, held)),
        predict_sh(data[:, fitted], pick(TABLE, fitted), pick(TABLE, held), 2),
    ]
    assert np.allclose(guess[0], data[:, held], rtol=1e-6)
    assert np.abs(guess[1] - data[:, held]).max() > 1


def test_scores_by_fa_tell_where_the_prediction_is_wrong_and_add_up_to_the_whole():
    rng = np.random.default_rng(0)
    fa = rng.uniform(0, 0.69, 6000)
    fa[:9] = 0.9
    sigma = np.full(6000, 2.0)
    raw = 100 + rng.normal(0, 2, (6000, 12))
    wrong = np.where((fa > 0.45) & (fa < 0.7), 105.0, 100.0)[:, None].repeat(12, axis=1)
    scores, few = binned_scores(wrong, raw, sigma, fa)
    assert set(few) == {"FA 0.70-1.00"}
    assert few["FA 0.70-1.00"].startswith("9 voxels")
    for name, score in scores.items():
        assert score.excess == pytest.approx(25 if name == "FA 0.45-0.70" else 0, abs=0.5)
    total = sum(s.voxels * s.volume_excess for s in scores.values())
    rest = held_out_score(wrong[fa < 0.7], raw[fa < 0.7], sigma[fa < 0.7])
    assert np.allclose(total, rest.voxels * rest.volume_excess)


def test_the_fa_to_sort_by_is_of_all_shells_only_where_the_lower_ones_give_no_tensor():
    high = scheme([(2000.0, 15)], n_b0=1)
    image, mask = tensors(high).reshape(5, 8, 5, 16), np.ones((5, 8, 5), bool)
    true = (1.4 / np.sqrt(1.7**2 + 2 * 0.3**2)) * np.ones(200)
    assert np.allclose(training_fa(image, high, mask, np.arange(16)), true, atol=1e-6)
    two = tensors(TABLE)
    two[:, TABLE.bvals > 1500] = 1.0  # not looked at
    both = training_fa(two.reshape(5, 8, 5, -1), TABLE, mask, np.arange(len(TABLE)))
    assert np.allclose(both, true, atol=1e-6)
    with pytest.raises(CannotMeasure):
        training_fa(image, high, mask, np.arange(5))


def test_bins_of_other_edges_hold_the_same_voxels():
    fa = np.random.default_rng(0).uniform(0, 1, 500)
    values = np.ones((500, 2))
    scores, _ = binned_scores(values, values, np.ones(500), fa, (0.0, 0.5, 1.0))
    assert {name: s.voxels for name, s in scores.items()} == {
        "FA 0.00-0.50": int((fa < 0.5).sum()),
        "FA 0.50-1.00": int((fa >= 0.5).sum()),
    }


def test_paired_bootstrap_sees_a_small_steady_difference_under_large_shared_spread():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 20, 15)
    a = HeldOut(shared, 1.0, float(shared.mean()))
    b = HeldOut(shared + 1 + rng.normal(0, 0.5, 15), 1.0, 0.0)
    paired = paired_bootstrap(a, b)
    assert paired.low < paired.difference < paired.high < 0
    assert paired.p < 0.01
    assert paired_bootstrap(a, b) == paired
    same = paired_bootstrap(a, a)
    assert (same.difference, same.p) == (0.0, 1.0)


def test_bootstrap_limits_cover_the_mean_like_a_normal_interval():
    d = np.random.default_rng(1).normal(0, 1, 400)
    zero = np.zeros(400)
    paired = paired_bootstrap(HeldOut(d, 0.0, 0.0), HeldOut(zero, 0.0, 0.0))
    half = 1.96 * d.std() / 20
    assert np.isclose(paired.high - paired.low, 2 * half, rtol=0.05)


def test_folds_part_the_dwis_and_follow_the_seed():
    parts = folds(TABLE, seed=3)
    assert sorted(np.concatenate(parts)) == list(np.flatnonzero(~TABLE.is_b0))
    assert all((TABLE.bvals[p] == 1000).sum() in (13, 14) for p in parts)
    assert not np.array_equal(parts[0], folds(TABLE, seed=4)[0])


@pytest.mark.parametrize("predict", [predict_dti, predict_csd])
def test_kfold_r2_of_clean_tensors_is_near_one_and_of_noise_near_zero(predict):
    data = tensors(ONE)
    clean = kfold_r2(data, data, ONE, predict=predict)
    assert np.median(clean) > (0.999 if predict is predict_dti else 0.95)
    noise = np.random.default_rng(0).uniform(40, 60, data.shape)
    assert np.median(kfold_r2(data, noise, ONE, predict=predict)) < 0.1


def test_r2_is_the_squared_pearson_correlation():
    data = tensors(ONE)
    target = data + np.random.default_rng(0).normal(0, 8, data.shape)
    dwis = ~ONE.is_b0
    r2 = kfold_r2(data, target, ONE)  # DTI predicts the clean data, so this is corr(data, target)
    true = [
        np.corrcoef(d, t)[0, 1] ** 2 for d, t in zip(data[:, dwis], target[:, dwis], strict=True)
    ]
    assert np.allclose(r2, true, atol=1e-5)
