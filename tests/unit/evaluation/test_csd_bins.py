"""Fibres by FA: no error where nothing changed, and each change in its own figure."""

import numpy as np
import pytest

from dwiser.evaluation.csd_bins import csd_rows, csd_value_rows
from dwiser.evaluation.records import CannotMeasure, Metric
from dwiser.scan import Gradients
from dwiser.simulation import Simulation, phantom

HIGH = "FA 0.70-1.00"


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return phantom((24, 26, 5), shells=((2000.0, 28),), n_b0=2, noise="none", seed=3)


def values(simulation: Simulation, denoised: np.ndarray) -> dict[tuple[str, str], float]:
    scan = simulation.scan
    rows = csd_rows(denoised, simulation.truth, scan.gradients, simulation.mask, simulation.fa)
    return {(r.metric, r.group): r.value for r in rows if isinstance(r, Metric)}


def test_the_truth_has_no_error_and_a_brighter_image_more_density_only(
    simulation: Simulation,
) -> None:
    same, brighter = values(simulation, simulation.truth), values(simulation, 2 * simulation.truth)
    assert HIGH in {group for _, group in same}
    for (metric, group), value in same.items():
        assert value == pytest.approx(1 if metric == "csd.same" else 0, abs=1e-6), group
    for group in {group for _, group in brighter}:
        assert brighter["csd.density", group] == pytest.approx(1, rel=1e-3)
        assert brighter["csd.same", group] > 0.95


def test_less_contrast_between_directions_is_seen(simulation: Simulation) -> None:
    dwis = ~simulation.scan.gradients.is_b0
    flat = simulation.truth.copy()
    mean = simulation.truth[..., dwis].mean(-1, keepdims=True)
    flat[..., dwis] = (simulation.truth[..., dwis] + 3 * mean) / 4
    flat_values = values(simulation, flat)
    assert flat_values["csd.same", HIGH] < 0.9
    assert flat_values["csd.density_error", HIGH] > 0.01


def test_too_few_directions_are_told(simulation: Simulation) -> None:
    few = Gradients(simulation.scan.gradients.bvals[:12], simulation.scan.gradients.bvecs[:12])
    with pytest.raises(CannotMeasure, match="15 directions"):
        list(
            csd_rows(
                simulation.truth[..., :12],
                simulation.truth[..., :12],
                few,
                simulation.mask,
                simulation.fa,
            )
        )


def without_truth(
    noisy: Simulation, denoised: np.ndarray, sigma: np.ndarray | None = None
) -> dict[tuple[str, str], float]:
    scan = noisy.scan
    known = noisy.sigma if sigma is None else sigma
    rows = csd_value_rows(denoised, scan.data, scan.gradients, noisy.mask, known)
    return {(r.metric, r.group): r.value for r in rows if isinstance(r, Metric)}


@pytest.fixture(scope="module")
def noisy() -> Simulation:
    return phantom((24, 26, 5), shells=((2000.0, 28),), n_b0=2, snr=25.0, seed=3)


def test_the_raw_scan_beside_itself_has_its_own_values_and_no_turn(noisy: Simulation) -> None:
    rows = without_truth(noisy, noisy.scan.data)
    assert {group for _, group in rows} >= {f"raw {HIGH}", "raw FA 0.10-0.20"}
    for (metric, group), value in rows.items():
        if metric == "fibres.turn":
            assert value == pytest.approx(0, abs=1e-3)
        elif not metric.startswith("fibres.raw."):
            assert value == rows[metric.replace("fibres.", "fibres.raw."), group]


def test_noise_adds_peaks_where_there_is_no_fibre_and_brightness_adds_density(
    noisy: Simulation,
) -> None:
    clean, bright = (without_truth(noisy, k * noisy.truth) for k in (1, 2))
    low = "raw FA 0.10-0.20"
    assert clean["fibres.peaks", low] < clean["fibres.raw.peaks", low]
    assert clean["fibres.turn", low] > clean["fibres.turn", f"raw {HIGH}"]
    for group in {group for _, group in clean}:
        ratio = bright["fibres.density", group] / clean["fibres.density", group]
        assert ratio == pytest.approx(2, rel=1e-3)
        assert bright["fibres.raw.density", group] == clean["fibres.raw.density", group]


def test_voxels_at_the_noise_floor_do_not_count(noisy: Simulation) -> None:
    half = noisy.sigma.copy()
    half[12:] = noisy.scan.data.max()  # darker than noise can be
    part = noisy.mask.copy()
    part[12:] = False
    scan = noisy.scan
    rows = csd_value_rows(scan.data, scan.data, scan.gradients, part, noisy.sigma)
    alone = {(r.metric, r.group): r.value for r in rows if isinstance(r, Metric)}
    assert without_truth(noisy, scan.data, half) == alone
    with pytest.raises(CannotMeasure, match="mean DWI above 2 σ"):
        without_truth(noisy, scan.data, np.full_like(half, scan.data.max()))
