"""b-tensors that are not linear: shapes checked, shells told apart, tensors fitted to them."""

import numpy as np
import pytest
from dipy.core.gradients import gradient_table
from dipy.reconst.dti import design_matrix as design_of_dipy

from dwiser import as_scan
from dwiser.b_delta import shape_name, shapes_of
from dwiser.errors import Code
from dwiser.evaluation.csd import csd_volumes
from dwiser.evaluation.groups import directed_shells, volume_groups
from dwiser.evaluation.heldout import predict_dti, predict_sh
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tensor import (
    b_tensors,
    dipy_table,
    fit_tensor,
    tensor_volumes,
)
from dwiser.methods.splitq.angular_response import fitted_tensor, response_shells, tensor_design
from dwiser.prepare.pairs import plan_pairs
from dwiser.prepare.shells import contrasts, shell_table, shells
from dwiser.prepare.tensor_fit import tensor_rows
from dwiser.scan import Gradients
from dwiser.simulation import scheme
from tests.refusals import refused

COUNT = 16  # directions of each shape
DIRECTIONS = scheme(((1000.0, COUNT),), n_b0=0).bvecs
TENSOR = np.diag([1.6e-3, 0.5e-3, 0.3e-3])  # mm²/s
EYE = np.eye(4)


def table(*shapes: float, b0s: int = 2, told: bool = True) -> Gradients:
    """b0s, then one shell of b=1000 of each shape, all with vectors of length 1."""
    bvals = np.r_[np.zeros(b0s), np.full(COUNT * len(shapes), 1000.0)]
    bvecs = np.concatenate([np.zeros((b0s, 3)), *[DIRECTIONS] * len(shapes)])
    deltas = np.r_[np.full(b0s, np.nan), np.repeat(shapes, COUNT)]
    return Gradients(bvals, bvecs, b_delta=deltas if told else None)


def signal(gradients: Gradients) -> np.ndarray:
    """Of the tensor in three equal voxels, S0 500, without noise; (3, 1, 1, V)."""
    product = np.einsum("vij,ij->v", b_tensors(gradients), TENSOR)
    return np.tile(500 * np.exp(-product), (3, 1, 1, 1)).astype(np.float32)


def test_shells_are_told_by_b_and_shape() -> None:
    mixed = table(1.0, -0.5, 0.02)
    assert shell_table(mixed) == [
        {"bval": 0.0, "volumes": 2},
        {"bval": 1000.0, "volumes": COUNT, "b_delta": 1.0},
        {"bval": 1000.0, "volumes": COUNT, "b_delta": 0.02},
        {"bval": 1000.0, "volumes": COUNT, "b_delta": -0.5},
    ]
    assert [g.name for g in volume_groups(mixed)] == [
        "b0", "b1000 linear", "b1000 spherical", "b1000 planar", "DWI",
    ]  # fmt: skip
    assert [len(s) for s in contrasts(shells(mixed))] == [2, 2, 2]
    assert [row["volumes"] for row in shell_table(table(1.0, -0.5, 0.02, told=False))] == [2, 48]


def test_a_spherical_b_tensor_has_no_direction() -> None:
    mixed = table(1.0, 0.0)
    assert mixed.without_direction.sum() == COUNT
    assert [g.name for g in directed_shells(mixed)] == ["b1000 linear"]
    part = mixed.take(np.array([0, 2, 20]))
    np.testing.assert_array_equal(part.shapes, [1, 1, 0])


def test_the_design_is_that_of_dipy() -> None:
    planar = table(-0.5)
    ours, theirs = tensor_rows(planar), design_of_dipy(dipy_table(planar))
    np.testing.assert_allclose(ours[:, [1, 4, 2, 5, 6, 3]], theirs[:, :6], atol=1e-9)
    np.testing.assert_array_equal(dipy_table(planar).btens.shape, (2 + COUNT, 3, 3))
    assert dipy_table(table(1.0)).btens is None


@pytest.mark.parametrize("shapes", [(-0.5,), (0.6,), (1.0, -0.5, 0.0)])
def test_the_tensor_is_the_same_by_every_shape(shapes: tuple[float, ...]) -> None:
    gradients = table(*shapes)
    data, mask = signal(gradients), np.ones((3, 1, 1), bool)
    maps = fit_tensor(data, gradients, mask)
    np.testing.assert_allclose(maps.ad, 1.6e-3, rtol=1e-4)
    np.testing.assert_allclose(np.abs(maps.v1[..., 0]), 1, atol=1e-6)
    volumes, fit = tensor_design(gradients)
    ours = fitted_tensor(data.reshape(3, -1)[:, volumes], fit, 1e-3)
    np.testing.assert_allclose(ours[:, 1:4], np.tile([1.6, 0.5, 0.3], (3, 1)), rtol=1e-4)


def test_a_planar_tensor_taken_for_linear_points_elsewhere() -> None:
    gradients = table(-0.5)
    mask = np.ones((3, 1, 1), bool)
    maps = fit_tensor(signal(gradients), table(-0.5, told=False), mask)
    assert np.abs(maps.v1[..., 0]).max() < 0.1


def test_without_a_direction_there_is_no_tensor_and_the_reason_is_said() -> None:
    with pytest.raises(CannotMeasure, match="16 DWIs are spherical b-tensors"):
        tensor_volumes(table(0.0))
    assert tensor_design(table(0.0)) is None
    assert response_shells(table(0.0), np.arange(2 + COUNT)) == ()
    with pytest.raises(CannotMeasure, match="DWIs of linear b-tensors"):
        csd_volumes(table(-0.5))
    assert len(csd_volumes(table(-0.5, 1.0))[0]) == 2 + COUNT


@pytest.mark.parametrize("predict", [predict_dti, predict_sh])
def test_each_shape_is_predicted_from_its_own(predict) -> None:
    gradients = table(1.0, -0.5)
    data = signal(gradients).reshape(3, -1)
    held = np.array([3, 2 + COUNT + 3])
    rest = np.setdiff1d(np.arange(len(gradients)), held)
    guess = predict(data[:, rest], gradients.take(rest), gradients.take(held))
    np.testing.assert_allclose(guess, data[:, held], rtol=0.06)  # order 2 of 15 directions


def test_partners_are_of_one_shape() -> None:
    plan = plan_pairs(table(1.0, -0.5), "angular")
    first = 2 + COUNT
    assert ((plan.volumes < first) == (plan.partners < first)).all()


def test_shapes_of_b_tensors_are_read_back() -> None:
    shapes = np.array([1.0, -0.5, 0.0, 0.4])
    gradients = Gradients(np.full(4, 700.0), DIRECTIONS[:4], b_delta=shapes)
    np.testing.assert_allclose(shapes_of(b_tensors(gradients)), shapes, atol=1e-9)
    assert [shape_name(s) for s in shapes] == ["linear", "planar", "spherical", "b-delta 0.4"]


def test_a_table_of_dipy_brings_its_b_tensors() -> None:
    planar = table(-0.5)
    gtab = gradient_table(planar.bvals, bvecs=planar.bvecs, btens="PTE")
    scan = as_scan(np.tile(signal(planar), (1, 2, 2, 1)), gtab=gtab, affine=EYE)
    np.testing.assert_allclose(scan.gradients.shapes[2:], -0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("b_delta", "code", "words"),
    [
        (1.2, Code.GRADIENTS_VALUES, "b-delta of volume 2 is 1.2"),
        (np.nan, Code.GRADIENTS_VALUES, "-0.5 (planar)"),
        (np.ones(5), Code.GRADIENTS_LENGTH, "5 values of b-delta for 18 volumes"),
    ],
)
def test_a_shape_that_there_is_not_is_refused(b_delta, code, words) -> None:
    linear = table(1.0, told=False)
    with refused(code, words):
        Gradients(linear.bvals, linear.bvecs, b_delta=b_delta)
