import numpy as np
import pytest

from dwiser.evaluation.crossing import crossing_error
from dwiser.evaluation.records import CannotMeasure
from dwiser.scan import Gradients
from dwiser.simulation.scheme import scheme

TABLE = scheme([(2500.0, 60)], n_b0=3)


def fibre(table: Gradients, degrees: float) -> np.ndarray:
    axis = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0])
    return np.exp(-table.bvals * (0.2e-3 + 1.5e-3 * (table.bvecs @ axis) ** 2))


def field(second: float) -> np.ndarray:
    """Twenty voxels of a single fibre, for the response, and twenty of a crossing."""
    single, crossing = fibre(TABLE, 0), (fibre(TABLE, 0) + fibre(TABLE, second)) / 2
    return (
        100 * np.concatenate([np.tile(single, (20, 1)), np.tile(crossing, (20, 1))])[:, None, None]
    )


EVERYWHERE = np.ones((40, 1, 1), bool)


def test_a_crossing_turned_by_twenty_degrees_is_off_by_twenty():
    error = crossing_error(field(60), field(80), TABLE, EVERYWHERE)
    assert error.voxels == 20
    assert error.found == 1
    assert np.isclose(error.angle, 20, atol=8)  # the sphere's vertices are some 5° apart
    assert crossing_error(field(80), field(80), TABLE, EVERYWHERE).angle == 0


def test_a_lost_crossing_is_counted_as_lost():
    single = field(0)
    error = crossing_error(single, field(80), TABLE, EVERYWHERE)
    assert (error.found, error.angle) == (0, None)


def test_a_truth_without_crossings_and_a_scheme_too_small():
    with pytest.raises(CannotMeasure, match="no crossing"):
        crossing_error(field(80), field(0), TABLE, EVERYWHERE)
    few = scheme([(1000.0, 10)])
    data = np.ones((40, 1, 1, len(few)))
    with pytest.raises(CannotMeasure, match="15 directions"):
        crossing_error(data, data, few, EVERYWHERE)
