"""The share of variance that was removed: 0, 1, and in between as it is defined."""

import numpy as np
import pytest

from dwiser.evaluation.variance import variance_removed
from dwiser.scan import Gradients, Scan

BVALS = np.array([0.0, 0, 1000, 1000, 1000, 3000, 3000])


@pytest.fixture
def scan() -> Scan:
    rng = np.random.default_rng(0)
    vectors = np.tile([1.0, 0, 0], (7, 1))
    data = 100 * np.exp(-BVALS / 2000) + rng.uniform(1, 9, (4, 3, 2, 7))
    return Scan(data.astype(np.float32), np.eye(4), Gradients(BVALS, vectors))


def shell_means(data: np.ndarray) -> np.ndarray:
    out = data.copy()
    for b in (0, 1000, 3000):
        out[..., b == BVALS] = data[..., b == BVALS].mean(-1, keepdims=True)
    return out


def test_nothing_removed_is_none_and_all_that_differs_in_a_shell_is_all(scan) -> None:
    assert not variance_removed(scan.data, scan).any()
    means = shell_means(scan.data)
    np.testing.assert_allclose(variance_removed(means, scan), 1, rtol=1e-4)
    np.testing.assert_allclose(variance_removed(means - 3, scan), 1, rtol=1e-4)  # a floor too


def test_half_of_each_deviation_removed_is_a_quarter(scan) -> None:
    half = (scan.data + shell_means(scan.data)) / 2
    np.testing.assert_allclose(variance_removed(half, scan), 0.25, rtol=1e-3)


def test_mask_and_volumes_alone_count(scan) -> None:
    means, mask = shell_means(scan.data), np.zeros(scan.shape[:3], bool)
    mask[1] = True
    means[..., 4] = 0  # a volume that is no measurement
    share = variance_removed(means, scan, mask, np.array([0, 1, 2, 3, 5, 6]))
    assert not share[~mask].any()
    assert ((share[mask] > 0.8) & (share[mask] < 1.2)).all()
