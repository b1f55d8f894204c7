"""Signals against DIPY and closed forms; gradient tables."""

import numpy as np
import pytest
from dipy.core.gradients import gradient_table
from dipy.sims.voxel import multi_tensor

from dwiser.errors import Code
from dwiser.simulation.scheme import scheme, spread_directions
from dwiser.simulation.signal import Compartment, ball, synthesise
from tests.refusals import refused


def test_crossing_tensors_equal_dipys_multi_tensor() -> None:
    table = scheme(((1000, 20), (2500, 20)), n_b0=2)
    angles = np.array([(90.0, 0.0), (90.0, 70.0)])
    radians = np.radians(angles)
    axes = np.stack(
        [
            np.sin(radians[:, 0]) * np.cos(radians[:, 1]),
            np.sin(radians[:, 0]) * np.sin(radians[:, 1]),
            np.cos(radians[:, 0]),
        ],
        axis=1,
    )
    evals = np.array([[1.7e-3, 3e-4, 3e-4], [1.5e-3, 0.0, 0.0]])
    dipys, _ = multi_tensor(
        gradient_table(table.bvals, bvecs=table.bvecs),
        evals,
        S0=500,
        angles=angles,
        fractions=[60, 40],
        snr=None,
    )
    parts = [
        Compartment(np.array([500 * f]), np.array([e[0]]), np.array([e[1]]), axis[None])
        for f, e, axis in zip((0.6, 0.4), evals, axes, strict=True)
    ]
    np.testing.assert_allclose(synthesise(parts, table)[0], dipys, rtol=1e-5)


def test_a_ball_decays_alike_in_all_directions() -> None:
    table = scheme(((700, 6), (3000, 12)), n_b0=1)
    signal = synthesise([ball(np.array([900.0, 0.0]), np.array([3e-3, 1e-3]))], table)
    np.testing.assert_allclose(signal[0], 900 * np.exp(-table.bvals * 3e-3), rtol=1e-6)
    assert not signal[1].any()


@pytest.mark.parametrize(("n", "least"), [(6, 60.0), (30, 20.0), (64, 13.0)])
def test_directions_spread_over_the_half_sphere(n: int, least: float) -> None:
    points = spread_directions(n, seed=3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-9)
    aligned = np.abs(points @ points.T) - np.eye(n)
    assert np.degrees(np.arccos(aligned.max())) > least


def test_every_beginning_of_the_series_covers_the_sphere() -> None:
    points = spread_directions(64, seed=0)
    for beginning in (8, 16, 32):
        moments = np.linalg.eigvalsh(points[:beginning].T @ points[:beginning]) / beginning
        assert moments.min() > 0.2  # 1/3 for a perfect spread, 0 for a plane


def test_tables_hold_what_was_asked_for() -> None:
    table = scheme(((1000, 32), (2000, 64)), n_b0=6, seed=1)
    values, counts = np.unique(table.bvals, return_counts=True)
    assert dict(zip(values, counts, strict=True)) == {0: 6, 1000: 32, 2000: 64}
    assert table.is_b0[0]
    gaps = np.diff(np.flatnonzero(table.is_b0))
    assert gaps.max() - gaps.min() <= 1
    halves = table.bvals[:51], table.bvals[51:]
    assert abs((halves[0] == 1000).sum() - (halves[1] == 1000).sum()) <= 1
    np.testing.assert_array_equal(table.bvecs, scheme(((1000, 32), (2000, 64)), seed=1).bvecs)
    assert not np.allclose(table.bvecs, scheme(((1000, 32), (2000, 64)), seed=2).bvecs)


@pytest.mark.parametrize(("place", "index"), [("first", [0, 1, 2]), ("last", [10, 11, 12])])
def test_b0s_lie_where_asked(place: str, index: list[int]) -> None:
    table = scheme(((1000, 10),), n_b0=3, b0_place=place)
    assert np.flatnonzero(table.is_b0).tolist() == index


@pytest.mark.parametrize("shells", [(), ((1000, 0),), ((20, 6),), ((float("nan"), 6),)])
def test_impossible_shells_are_refused(shells: tuple[tuple[float, int], ...]) -> None:
    with refused(Code.ARGUMENT_VALUE):
        scheme(shells)
