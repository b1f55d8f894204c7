"""K² is SciPy's."""

import numpy as np
import pytest
import scipy

from dwiser.evaluation.normality import k_squared
from dwiser.seeds import stream


@pytest.mark.parametrize("count", [20, 61, 5000])
@pytest.mark.parametrize("power", [1, 2, 3])
def test_the_statistic_is_that_of_scipy(count: int, power: int) -> None:
    values = stream(count, "values").normal(size=count)
    values = np.sign(values) * np.abs(values) ** power + (0.2 * values) ** 2
    expected = scipy.stats.normaltest(values).statistic
    assert k_squared(values) == pytest.approx(expected, rel=1e-9)
