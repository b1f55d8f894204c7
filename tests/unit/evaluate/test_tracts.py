import numpy as np
import pytest

from dwiser.evaluate.records import CannotMeasure
from dwiser.evaluate.tracts import bundle, coherency


def test_one_streamline_has_no_coherency():
    with pytest.raises(CannotMeasure):
        coherency([np.zeros((20, 3))], np.eye(4))


@pytest.mark.slow
def test_strays_are_less_coherent_than_the_bundle():
    x = np.arange(30.0)
    lines = [
        np.stack([x, 15 + 0 * x + dy, 15 + 0 * x + dz], 1)
        for dy in np.linspace(-1, 1, 5)
        for dz in np.linspace(-1, 1, 5)
    ]
    strays = [np.stack([15 + 0 * x, x + 0.1 * k, 4 + 0 * x], 1) for k in (0, 60)]
    found = coherency([*lines, *strays], np.diag([1.0, 1, 1, 1]))
    assert found.streamlines == 27
    assert found.coherent == 25


@pytest.mark.slow
def test_tracking_repeats_with_the_seed(head):
    gradients, affine = head.scan.gradients, head.scan.affine
    start = np.zeros(head.mask.shape, bool)
    fibres = np.argwhere(head.mask & (head.fa > 0.6))
    start[tuple(fibres[::40].T)] = True
    a, b = (bundle(head.truth, gradients, head.mask, affine, start, seed=2) for _ in range(2))
    assert len(a) == len(b)
    assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))
