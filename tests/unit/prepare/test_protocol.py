"""One protocol: the same up to a tilt and small errors; another is told in words."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dwiser.prepare.protocol import Protocol, same_table
from dwiser.scan import Gradients
from dwiser.simulation.scheme import scheme

RNG = np.random.default_rng(4)


@pytest.fixture
def ours() -> Protocol:
    bvecs = RNG.standard_normal((30, 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    bvals = np.repeat([0.0, 1000.0, 2500.0], [3, 12, 15])
    bvecs[bvals == 0] = 0
    return Protocol(bvals, bvecs, np.array([2.0, 2, 2.5]))


def test_it_survives_a_file(ours: Protocol) -> None:
    assert ours.differs(Protocol.from_plain(ours.plain())) is None


def test_a_tilt_signs_and_small_errors_make_no_other_protocol(ours: Protocol) -> None:
    turn = Rotation.from_euler("xyz", [20, -8, 5], degrees=True)
    wobble = Rotation.from_rotvec(np.radians(3) * np.array([0, 1, 0]))
    bvecs = turn.apply(ours.bvecs) * RNG.choice([-1, 1], 30)[:, None]
    bvecs[5] = wobble.apply(bvecs[5])
    near = Protocol(ours.bvals * 1.03, bvecs, ours.voxel * 1.05)
    assert ours.differs(near) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: replace(p, bvals=p.bvals[:-1], bvecs=p.bvecs[:-1]), "29 volumes and not 30"),
        (lambda p: replace(p, bvals=p.bvals * 1.3), "volume 3 has b = 1300 and not 1000"),
        (lambda p: replace(p, bvals=p.bvals[::-1]), "volume 0 has b = 2500 and not 0"),
        (lambda p: replace(p, bvecs=np.roll(p.bvecs, 7, 0)), "directions differ"),
        (lambda p: replace(p, voxel=p.voxel * 1.25), "voxels are 2.5 × 2.5 × 3.12 and not 2"),
    ],
)
def test_another_is_told_in_words(ours: Protocol, change, says) -> None:
    difference = ours.differs(change(ours))
    assert difference is not None
    assert says in difference


def test_a_table_is_the_same_up_to_signs_and_a_scanner_s_rounding() -> None:
    table = scheme([(1000.0, 12)], n_b0=2)
    assert same_table(table, Gradients(table.bvals * 1.004, -table.bvecs))
    assert not same_table(table, Gradients(table.bvals * 1.2, table.bvecs))
    assert not same_table(table, scheme([(1000.0, 11)], n_b0=2))
    assert not same_table(table, scheme([(1000.0, 11)], n_b0=3))


def test_a_tilted_table_is_the_same_protocol_but_not_the_same_table() -> None:
    table = scheme([(1000.0, 12)], n_b0=2)
    tilt = Rotation.from_euler("x", 20, degrees=True)
    tilted = Gradients(table.bvals, tilt.apply(table.bvecs))
    ours, theirs = (Protocol(t.bvals, t.bvecs, np.array([2.0, 2, 2])) for t in (table, tilted))
    assert ours.differs(theirs) is None
    assert not same_table(table, tilted)
