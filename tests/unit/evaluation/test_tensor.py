import numpy as np
import pytest
from dipy.reconst.dti import TensorModel

from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tensor import (
    angles,
    angular_error,
    dipy_table,
    fit_tensor,
    map_fidelity,
    tensor_volumes,
)
from dwiser.scan import Gradients
from dwiser.simulation.scheme import scheme

TABLE = scheme([(1000.0, 12)], n_b0=2)
AXIS = np.array([1.0, 2.0, 2.0]) / 3


def stick_like(table: Gradients, along: float = 1.7e-3, across: float = 0.3e-3) -> np.ndarray:
    d = across + (along - across) * (table.bvecs @ AXIS) ** 2
    return 100 * np.exp(-table.bvals * d)


def test_a_known_tensor_is_recovered():
    data = np.tile(stick_like(TABLE), (2, 2, 2, 1))
    fitted = fit_tensor(data, TABLE, np.ones((2, 2, 2), bool))
    assert np.allclose(fitted.ad, 1.7e-3)
    assert np.allclose(fitted.rd, 0.3e-3)
    assert np.allclose(fitted.md, 2.3e-3 / 3)
    assert np.allclose(angles(fitted.v1, np.broadcast_to(AXIS, fitted.v1.shape)), 0, atol=1e-4)


def test_shells_above_1500_are_left_out_and_the_mask_is_kept():
    table = scheme([(1000.0, 12), (3000.0, 12)], n_b0=2)
    data = np.tile(stick_like(table), (2, 2, 2, 1))
    data[..., table.bvals > 1500] = 1.0
    mask = np.zeros((2, 2, 2), bool)
    mask[0] = True
    fitted = fit_tensor(data, table, mask)
    assert np.allclose(fitted.ad[0], 1.7e-3)
    assert not fitted.ad[1].any()


def test_fa_is_dipy_s():
    rng = np.random.default_rng(0)
    data = stick_like(TABLE) + rng.normal(0, 3, (3, 3, 3, len(TABLE)))
    fit = TensorModel(dipy_table(TABLE), fit_method="WLS").fit(data)
    assert np.allclose(fit_tensor(data, TABLE, np.ones((3, 3, 3), bool)).fa, fit.fa, atol=1e-6)


@pytest.mark.parametrize(
    ("bvals", "bvecs"),
    [
        ([0, 1000, 1000, 1000, 1000, 1000], np.vstack([np.zeros(3), np.eye(3), AXIS, AXIS])),
        ([0] + [1000] * 8, np.vstack([np.zeros(3), np.tile(np.eye(3), (3, 1))[:8]])),
        ([2000] * 12, scheme([(2000.0, 12)], n_b0=0).bvecs),
    ],
    ids=["few", "three directions", "high b only"],
)
def test_a_table_that_leaves_the_tensor_open_is_told(bvals, bvecs):
    with pytest.raises(CannotMeasure):
        tensor_volumes(Gradients(np.array(bvals, float), bvecs))


def test_small_angles_are_exact_and_signs_do_not_count():
    tilted = np.array([[np.cos(1e-6), np.sin(1e-6), 0.0]])
    assert np.isclose(angles(tilted, np.array([[-1.0, 0, 0]])), np.degrees(1e-6), rtol=1e-6)


def test_angular_error_looks_at_anisotropic_voxels_only():
    v1 = np.zeros((4, 1, 1, 3))
    v1[..., 0] = 1
    turned = v1.copy()
    turned[1] = [np.cos(np.radians(10)), np.sin(np.radians(10)), 0]
    turned[3] = [0, 0, 1]
    fa = np.array([0.5, 0.5, 0.5, 0.1]).reshape(4, 1, 1)
    error = angular_error(turned, v1, fa, np.ones((4, 1, 1), bool))
    assert error.voxels == 3
    assert np.isclose(error.median, 0)
    assert np.isclose(error.p95, np.percentile([0, 10, 0], 95))


def test_map_fidelity_of_a_shifted_map():
    truth = np.random.default_rng(0).uniform(0, 1, (9, 9, 9))
    error = map_fidelity(truth + 0.1, truth, np.ones((9, 9, 9), bool), 1.0)
    assert np.isclose(error.psnr, 20)
    assert np.isclose(error.rmse, 0.1)
    assert np.isclose(error.bias, 0.1)
    assert map_fidelity(truth, truth, np.ones((9, 9, 9), bool), 1.0).psnr is None
