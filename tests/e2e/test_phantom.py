"""Against known truth: `laptop` is closer than the input, Di-Fusion's in a tenth of its training.

Whatever it lacks in training is lacking in the test, too: the full preset is measured in
``benchmarks/pairs.py``.
"""

import numpy as np
import pytest

import dwiser
from dwiser.evaluation.tensor import fit_tensor
from dwiser.simulation import phantom

ITERATIONS = 300


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
@pytest.mark.parametrize("snr", [10.0, 20.0])
@pytest.mark.parametrize(
    ("method", "settings"), [("splitq", {}), ("difusion", {"iterations": ITERATIONS})]
)
def test_laptop_is_closer_to_the_truth_than_the_input_in_dwis_and_fa(
    method: str, settings: dict[str, int], snr: float
) -> None:
    s = phantom(shape=(44, 52, 10), shells=((1000.0, 30),), n_b0=4, snr=snr, seed=17)
    result = dwiser.denoise(s.scan, method, threads=1, seed=0, verdict=False, **settings)
    dwis = ~s.scan.gradients.is_b0

    def rmse(data: np.ndarray) -> float:
        return float(np.sqrt(np.mean((data - s.truth)[s.mask][:, dwis] ** 2)))

    def fa_rmse(data: np.ndarray) -> float:
        fa = fit_tensor(data, s.scan.gradients, s.mask).fa
        return float(np.sqrt(np.mean((fa - s.fa)[s.mask] ** 2)))

    assert rmse(result.data) < 0.7 * rmse(s.scan.data)
    assert fa_rmse(result.data) < fa_rmse(s.scan.data)
