"""Directions held out: which voxels count in the bins of FA."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.compare.trial import TrialPlan, _held_out
from dwiser.simulation import phantom


def test_air_in_a_wide_mask_is_in_no_bin_of_fa() -> None:
    """Noise alone has an FA too, often above 0.7: it outnumbered white matter there."""
    head = phantom((20, 22, 10), shells=((1000.0, 16),), n_b0=2, snr=20.0, seed=2)
    scores = []
    for mask in (head.mask, np.ones_like(head.mask)):
        scan = replace(head.scan, mask=mask)
        _, by_fa = _held_out(scan, head.sigma, lambda some, _: some.data, TrialPlan(4), {})
        scores.append(by_fa["dti"])
    assert scores[0].keys() == scores[1].keys()
    for name, known in scores[0].items():
        assert scores[1][name].voxels == pytest.approx(known.voxels, rel=0.03)
        assert scores[1][name].rmse == pytest.approx(known.rmse, rel=0.03)
