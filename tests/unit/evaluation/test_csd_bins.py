"""Fibres by FA: no error where nothing changed, and each change in its own figure."""

import numpy as np
import pytest

from dwiser.evaluation.csd_bins import csd_rows
from dwiser.evaluation.records import CannotMeasure, Metric
from dwiser.scan import Gradients
from dwiser.simulation import Simulation, phantom

HIGH = "FA 0.70-1.00"


@pytest.fixture(scope="module")
def made() -> Simulation:
    return phantom((24, 26, 5), shells=((2000.0, 28),), n_b0=2, noise="none", seed=3)


def values(made: Simulation, denoised: np.ndarray) -> dict[tuple[str, str], float]:
    scan = made.scan
    rows = csd_rows(denoised, made.truth, scan.gradients, made.mask, made.fa)
    return {(r.metric, r.group): r.value for r in rows if isinstance(r, Metric)}


def test_the_truth_has_no_error_and_a_brighter_image_more_density_only(made: Simulation) -> None:
    same, brighter = values(made, made.truth), values(made, 2 * made.truth)
    assert HIGH in {group for _, group in same}
    for (metric, group), value in same.items():
        assert value == pytest.approx(1 if metric == "csd.same" else 0, abs=1e-6), group
    for group in {group for _, group in brighter}:
        assert brighter["csd.density", group] == pytest.approx(1, rel=1e-3)
        assert brighter["csd.same", group] > 0.95


def test_less_contrast_between_directions_is_seen(made: Simulation) -> None:
    dwis = ~made.scan.gradients.is_b0
    flat = made.truth.copy()
    mean = made.truth[..., dwis].mean(-1, keepdims=True)
    flat[..., dwis] = (made.truth[..., dwis] + 3 * mean) / 4
    found = values(made, flat)
    assert found["csd.same", HIGH] < 0.9
    assert found["csd.density_error", HIGH] > 0.01


def test_too_few_directions_are_told(made: Simulation) -> None:
    few = Gradients(made.scan.gradients.bvals[:12], made.scan.gradients.bvecs[:12])
    with pytest.raises(CannotMeasure, match="15 directions"):
        list(csd_rows(made.truth[..., :12], made.truth[..., :12], few, made.mask, made.fa))
