"""A model refitted to a scan gives that scan back, on its own scheme and on another."""

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.scan import Gradients, Scan
from dwiser.simulation import phantom, phantom_from, scheme
from dwiser.simulation.refit import ACROSS, refit
from dwiser.simulation.signal import Compartment, ball, synthesise
from dwiser.watch import Progress
from tests.refusals import refused

N = 27


def mixture(table: Gradients) -> np.ndarray:
    """(3, 3, 3, V): two fibres at 90°, grey matter and water, in shares that vary."""
    share = np.linspace(0.1, 0.9, N)
    one = np.ones(N)
    axes = np.array([[1.0, 0, 0], [0, 0.6, 0.8]])
    parts = [
        Compartment(400 * s, 1.7e-3 * one, ACROSS * one, np.tile(axis, (N, 1)))
        for s, axis in zip((share, 1 - share), axes, strict=True)
    ]
    parts += [ball(200 * share, 0.8e-3 * one), ball(300 * (1 - share), 3e-3 * one)]
    return synthesise(parts, table).reshape(3, 3, 3, -1)


@pytest.fixture(scope="module")
def scan() -> Scan:
    table = scheme(((1000.0, 32),), n_b0=2)
    return Scan(mixture(table), np.eye(4), table, mask=np.ones((3, 3, 3), bool))


def test_refit_reproduces_a_noiseless_mixture(scan: Scan) -> None:
    reports: list[Progress] = []
    fitted = refit(scan, reports.append)
    assert fitted.misfit < 0.02
    assert (fitted.weights >= 0).all()
    assert reports[-1].done == reports[-1].total == N


def test_refit_predicts_another_scheme(scan: Scan) -> None:
    table = scheme(((1500.0, 20),), n_b0=1, seed=9)
    predicted = refit(scan).signal(table)
    expected = mixture(table).reshape(N, -1)
    assert np.linalg.norm(predicted - expected) / np.linalg.norm(expected) < 0.04


def test_refitted_axes_are_the_fibres(scan: Scan) -> None:
    simulated = phantom_from(scan, noise="none")
    middle = simulated.axes.reshape(N, 3, 3)[N // 2]
    for axis in ([1.0, 0, 0], [0, 0.6, 0.8]):
        assert np.abs(middle[:2] @ np.array(axis)).max() > np.cos(np.radians(8))
    np.testing.assert_allclose(simulated.shares.sum(-1), 1, atol=1e-5)


def test_a_refitted_phantom_keeps_the_scans_place_and_scheme() -> None:
    real = phantom((24, 28, 5), shells=((1000.0, 20),), n_b0=2, seed=4)
    simulated = phantom_from(real.scan, snr=30, seed=1)
    np.testing.assert_array_equal(simulated.scan.affine, real.scan.affine)
    np.testing.assert_array_equal(simulated.scan.gradients.bvals, real.scan.gradients.bvals)
    inner = simulated.mask & real.mask
    assert inner.sum() > 0.7 * real.mask.sum()
    error = np.linalg.norm((simulated.truth - real.truth)[inner])
    noise = np.linalg.norm((real.scan.data - real.truth)[inner])
    assert error < 0.75 * noise
    np.testing.assert_allclose(sum(simulated.tissues.values()), simulated.mask, atol=1e-5)
    for name in ("wm", "gm", "csf"):
        assert np.corrcoef(simulated.tissues[name][inner], real.tissues[name][inner])[0, 1] > 0.6
    white = simulated.truth[..., 0][simulated.tissues["wm"] > 0.5].mean()
    assert white / simulated.sigma[simulated.mask].mean() == pytest.approx(30, rel=0.01)


def test_a_refitted_phantom_takes_any_scheme(scan: Scan) -> None:
    simulated = phantom_from(scan, shells=((700.0, 6), (2000.0, 12)), n_b0=3, lesions=False)
    assert simulated.truth.shape == (3, 3, 3, 21)
    assert simulated.record["shells"] == [[700.0, 6], [2000.0, 12]]


def test_without_a_b0_nothing_is_refitted(scan: Scan) -> None:
    table = Gradients(scan.gradients.bvals[2:4] + 1000, np.eye(3)[:2])
    with refused(Code.GRADIENTS_NO_B0, "no b0", "give one"):
        refit(Scan(scan.data[..., 2:4], scan.affine, table))
