import numpy as np
import pytest

from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tracts import bundle, coherency, validity


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
    measured = coherency([*lines, *strays], np.diag([1.0, 1, 1, 1]))
    assert measured.streamlines == 27
    assert measured.coherent == 25


@pytest.mark.slow
def test_tracking_repeats_with_the_seed(head):
    gradients, affine = head.scan.gradients, head.scan.affine
    start = np.zeros(head.mask.shape, bool)
    fibres = np.argwhere(head.mask & (head.fa > 0.6))
    start[tuple(fibres[::40].T)] = True
    a, b = (bundle(head.truth, gradients, head.mask, affine, start, seed=2) for _ in range(2))
    assert len(a) == len(b) > 0
    assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def test_valid_streamlines_run_inside_from_end_to_end() -> None:
    inside = np.zeros((9, 21, 9), bool)
    inside[3:6, 1:20, 3:6] = True
    start, end = inside.copy(), inside.copy()
    start[:, 4:], end[:, :17] = False, False
    y = np.linspace(1, 19, 60)
    straight = np.stack([np.full(60, 4.0), y, np.full(60, 4.0)], 1)
    short = straight[:30]
    stray = straight + np.array([1, 0, 0]) * np.clip(y - 8, 0, 3)[:, None]
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 5, -7, 1
    lines = [line @ affine[:3, :3].T + affine[:3, 3] for line in (straight, short, stray)]
    counts = validity(lines, affine, inside, (start, end))
    assert (counts.valid, counts.invalid) == (1, 2)
    assert counts.share == pytest.approx(1 / 3)
