"""Who is paired with whom, and that x' holds nothing of the noise of x."""

import numpy as np
import pytest

from dwiser.prepare.pairs import dead_volumes, fit_prediction, plan_pairs
from dwiser.scan import Gradients
from dwiser.seeds import stream


def table(bvals: list[float]) -> Gradients:
    rng = stream(0, "bvecs")
    vectors = rng.standard_normal((len(bvals), 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Gradients(np.array(bvals, float), vectors)


MIXED = [0, 1000, 2000, 1000, 0, 2000, 1000, 0, 2000]


def pairs_of(*args, **kwargs) -> dict[int, int]:
    plan = plan_pairs(*args, **kwargs)
    return dict(zip(plan.volumes.tolist(), plan.partners.tolist(), strict=True))


def test_adjacent_is_the_volume_before_in_its_own_shell_and_wraps() -> None:
    assert pairs_of(table(MIXED), "adjacent") == {1: 6, 3: 1, 6: 3, 2: 8, 5: 2, 8: 5}


def test_series_is_the_authors_order() -> None:
    pairs = pairs_of(table(MIXED), "adjacent", neighbour="series")
    assert pairs == {1: 8, 2: 1, 3: 2, 5: 3, 6: 5, 8: 6}


def test_angular_is_the_nearest_direction_of_the_shell_and_opposite_is_the_same() -> None:
    vectors = np.array([[1, 0, 0], [0, 1, 0], [-0.99, 0.14, 0], [0.1, 0.99, 0], [1, 0, 0]], float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gradients = Gradients(np.array([1000, 1000, 1000, 1000, 2000.0]), vectors)
    plan = plan_pairs(gradients, "angular")
    assert dict(zip(plan.volumes, plan.partners, strict=True)) == {0: 2, 1: 3, 2: 0, 3: 1}
    assert plan.passed == {4: "alone in its shell"}


@pytest.mark.parametrize("pairing", ["adjacent", "angular", "predicted"])
def test_few_b0s_pass_through_and_many_are_denoised(pairing) -> None:
    assert set(plan_pairs(table(MIXED), pairing).passed) == {0, 4, 7}
    many = plan_pairs(table([0, 0, 0, 0, *[1000] * 7]), pairing)
    assert many.passed == {}
    assert len(many.volumes) == 11


@pytest.mark.parametrize("pairing", ["adjacent", "angular", "predicted"])
def test_unseen_b0s_pass_through_however_many_they_are(pairing) -> None:
    plan = plan_pairs(table([0, 0, 0, 0, *[1000] * 7]), pairing, b0s="unseen")
    assert plan.passed == dict.fromkeys(range(4), "a b0 (b0s=unseen)")
    assert plan.volumes.tolist() == list(range(4, 11))
    assert not set(plan.partners) & {0, 1, 2, 3}


@pytest.mark.parametrize("pairing", ["adjacent", "angular"])
def test_no_volume_is_its_own_partner_in_the_series_order(pairing) -> None:
    plan = plan_pairs(table([0, 1000, 2000, 2000]), pairing, neighbour="series")
    assert (plan.volumes != plan.partners).all()
    lone = plan_pairs(table([0, 0, 1000]), pairing, neighbour="series")
    assert lone.volumes.tolist() == []
    assert lone.passed[2] in ("the only DWI", "alone in its shell")


def test_every_volume_is_denoised_or_passed_with_a_reason() -> None:
    for pairing in ("adjacent", "angular", "predicted"):
        plan = plan_pairs(table(MIXED), pairing, dead=frozenset({3}))
        assert sorted([*plan.volumes, *plan.passed]) == list(range(9))
        assert plan.passed[3] == "no signal in the mask"


def test_the_prediction_is_the_least_squares_one() -> None:
    rng = stream(3, "voxels")
    voxels = (rng.random((500, 3)) @ rng.random((3, 8)) + 0.1 * rng.random((500, 8))).astype("f4")
    prediction = fit_prediction(voxels)
    for j in range(8):
        design = np.column_stack([np.delete(voxels, j, 1), np.ones(500)]).astype(float)
        expected = design @ np.linalg.lstsq(design, voxels[:, j].astype(float), rcond=None)[0]
        np.testing.assert_allclose(prediction.of(voxels, j), expected, atol=2e-3)


def test_the_prediction_holds_nothing_of_its_own_volumes_noise() -> None:
    rng = stream(4, "leak")
    truth = rng.random((20_000, 3)) @ rng.random((3, 20))
    noise = 0.05 * rng.standard_normal(truth.shape)
    voxels = (truth + noise).astype(np.float32)
    prediction = fit_prediction(voxels)
    assert (np.diag(prediction.weights) == 0).all()
    for j in (0, 7, 19):
        x = prediction.of(voxels, j)
        assert abs(np.corrcoef(x - truth[:, j], noise[:, j])[0, 1]) < 0.03
        assert np.std(x - truth[:, j]) < 0.6 * 0.05


def test_dead_and_duplicated_volumes_do_not_break_the_prediction() -> None:
    voxels = stream(5, "dead").random((300, 6)).astype(np.float32)
    voxels[:, 2] = 0.0
    voxels[:, 4] = voxels[:, 1]
    dead = dead_volumes(voxels)
    assert dead == {2}
    prediction = fit_prediction(voxels, dead)
    assert np.isfinite(prediction.weights).all()
    assert (prediction.weights[2] == 0).all()
    np.testing.assert_allclose(prediction.of(voxels, 4), voxels[:, 1], atol=0.02)
