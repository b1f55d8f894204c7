import numpy as np
import pytest

from dwiser.evaluation.anatomy import anatomy, correlation, halves, reference
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.residual import Residual
from dwiser.scan import Gradients
from dwiser.simulation.scheme import scheme

SHAPE = (16, 15, 14)
MASK = np.ones(SHAPE, bool)
TABLE = scheme([(1000.0, 20), (2000.0, 15)], n_b0=2)


def test_halves_share_no_volume_and_split_every_shell():
    first, second = halves(TABLE)
    assert not set(first) & set(second)
    assert sorted([*first, *second]) == list(np.flatnonzero(~TABLE.is_b0))
    for b in (1000, 2000):
        counts = [(TABLE.bvals[h] == b).sum() for h in (first, second)]
        assert abs(counts[0] - counts[1]) <= 1


def test_three_dwis_cannot_be_split():
    with pytest.raises(CannotMeasure):
        halves(Gradients(np.array([0.0, 1000, 1000, 1000]), np.vstack([np.zeros(3), np.eye(3)])))


def test_correlation_is_pearson_s_or_absent():
    a, b = np.random.default_rng(0).normal(size=(2, 50))
    assert np.isclose(correlation(a, b), np.corrcoef(a, b)[0, 1])
    assert correlation(a, np.ones(50)) is None


def test_noise_has_no_anatomy_and_planted_anatomy_is_measured():
    rng = np.random.default_rng(0)
    signal = rng.uniform(50, 150, SHAPE)
    raw = np.tile(signal[..., None], len(TABLE)) + rng.normal(0, 5, (*SHAPE, len(TABLE)))
    first, second = halves(TABLE)
    raw_anatomy = reference(raw, TABLE, first, MASK)
    noise = rng.normal(size=(MASK.sum(), len(TABLE)))
    clean = anatomy(Residual(noise, "gaussian", MASK), raw_anatomy, second)
    assert clean.structure < 0.1
    for value in (clean.mean_signal, clean.mean_gradient, clean.energy_signal, clean.mean_fa):
        assert abs(value) < 0.07
    scaled = (signal - 100)[MASK] / signal.std()
    planted = noise + 0.5 * scaled[:, None]
    dirty = anatomy(Residual(planted, "gaussian", MASK), raw_anatomy, second)
    assert np.isclose(dirty.structure, 0.5, rtol=0.05)
    noise_of_mean = 1 / np.sqrt(len(second))
    assert np.isclose(dirty.mean_signal, 0.5 / np.hypot(0.5, noise_of_mean), rtol=0.03)


def test_fa_is_absent_where_half_of_the_directions_fix_no_tensor():
    table = scheme([(1000.0, 8)], n_b0=1)
    raw = np.random.default_rng(0).uniform(50, 100, (*SHAPE, 9))
    assert reference(raw, table, halves(table)[0], MASK).fa is None
