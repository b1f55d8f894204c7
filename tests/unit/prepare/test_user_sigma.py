"""A σ map that is given: holes, wrong signs, wrong units."""

import numpy as np
import pytest

from dwiser.errors import Code, DwiserWarning
from dwiser.prepare.user_sigma import fill_holes
from tests.refusals import refused

DATA = np.full((4, 4, 2, 3), 100, np.float32)


def test_a_whole_map_is_taken_as_it_is() -> None:
    sigma = np.arange(1, 33, dtype=float).reshape(4, 4, 2)
    np.testing.assert_array_equal(fill_holes(sigma, DATA), sigma)


@pytest.mark.parametrize("hole", [0.0, np.nan])
def test_holes_get_the_nearest_known_value(hole) -> None:
    sigma = np.full((4, 4, 2), 5.0)
    sigma[:2], sigma[2] = hole, 7.0
    with pytest.warns(DwiserWarning, match="50%"):
        filled = fill_holes(sigma, DATA)
    assert (filled[:3] == 7).all()
    assert (filled[3] == 5).all()


@pytest.mark.parametrize(
    ("value", "says"), [(-1, "negative"), (np.inf, "infinite"), (0, "positive"), (400, "variance")]
)
def test_what_is_no_sigma_map_is_refused(value, says) -> None:
    with refused(Code.NOISE_VALUES, "σ map", "give the noise's sd") as caught:
        fill_holes(np.full((4, 4, 2), float(value)), DATA)
    assert says in str(caught.value)
