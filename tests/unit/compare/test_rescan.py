"""Scan and rescan: closed forms of their agreement, and grids that differ are refused."""

import numpy as np
import pytest

from dwiser.compare.rescan import Rescan, rescan_scores
from dwiser.errors import Code
from dwiser.io import save_volume, write_bvals, write_bvecs
from dwiser.scan import Gradients
from dwiser.simulation import Simulation
from tests.refusals import refused


def test_a_rescan_of_another_gain_has_the_same_fa_and_the_gain_s_spread(small: Simulation):
    table = small.scan.gradients
    pair = small.truth, 1.1 * small.truth
    scores, absent = rescan_scores(*pair, (table, table), small.mask)
    assert absent == {}
    assert scores["fa"].sd == pytest.approx(0, abs=1e-5)
    assert scores["md"].correlation == pytest.approx(1)
    inside = small.truth[small.mask].astype(float)
    sd = 0.1 / np.sqrt(2) * np.sqrt(np.mean(inside**2))
    assert scores["signal"].sd == pytest.approx(sd, rel=1e-4)


def test_other_directions_leave_fa_and_say_why_there_is_no_signal(small: Simulation):
    table = small.scan.gradients
    turned = Gradients(table.bvals, table.bvecs[:, [1, 2, 0]])
    scores, absent = rescan_scores(small.truth, small.truth, (table, turned), small.mask)
    assert set(scores) == {"fa", "md"}
    assert "different gradient tables" in absent["rescan of the signal"]


@pytest.mark.parametrize(("cut", "shift", "said"), [(1, 0.0, "shape"), (0, 1.0, "affine")])
def test_a_rescan_on_another_grid_is_refused_by_name(
    small: Simulation, tmp_path, cut: int, shift: float, said: str
):
    scan = small.scan
    affine = scan.affine.copy()
    affine[0, 3] += shift
    path = tmp_path / "second.nii.gz"
    save_volume(scan.data[cut:], path, like=type(scan)(scan.data[cut:], affine, scan.gradients))
    write_bvals(scan.gradients, tmp_path / "second.bval")
    write_bvecs(scan.gradients, tmp_path / "second.bvec")
    with refused(Code.SCANS_DIFFER, "second.nii.gz: the rescan has ", said, "bring it onto"):
        Rescan(path).read(scan)
