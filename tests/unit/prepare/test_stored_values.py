"""What storing did to a scan's values is found, and nothing is said of a plain scan."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.prepare.constant_voxels import varying
from dwiser.prepare.earlier_steps import earlier_steps, noise_traces
from dwiser.prepare.stored_values import stored_step, stored_values
from dwiser.scan import Scan
from dwiser.simulation import phantom


@pytest.fixture(scope="module")
def scan() -> Scan:
    return phantom((20, 22, 8), shells=((1000.0, 18),), n_b0=2, snr=20.0, seed=3).scan


def stored(scan: Scan, data: np.ndarray) -> Scan:
    return replace(scan, data=np.asarray(data, np.float32))


@pytest.mark.parametrize("steps", [0.0, 20.0, 4.0])
def test_nothing_is_said_of_a_plain_scan_or_of_integers(steps, scan) -> None:
    data = scan.data if not steps else np.round(scan.data * (steps / 39.0))
    assert earlier_steps(stored(scan, data)) == ()


def test_a_masked_scan_and_one_with_lost_slices_are_not_thresholded(scan) -> None:
    data = scan.data.copy()
    data[:, :11] = 0
    data[:, :, 5, 3] = 0
    data[:, :15, :, 7] = 0
    assert stored_values(stored(scan, data)).zeroed == 0


@pytest.mark.parametrize("whole", [False, True])
def test_a_threshold_is_read_off_the_values(whole, scan) -> None:
    data = np.round(scan.data) if whole else scan.data
    found = stored_values(stored(scan, np.where(data < 30, 0, data)))
    assert found.lowest == pytest.approx(30, abs=0.1)
    measured = varying(scan.data)
    assert found.zeroed == pytest.approx((data[measured] < 30).mean(), abs=0.003)


def test_volumes_that_are_cut_off_are_those_whose_highest_value_many_voxels_share(scan) -> None:
    b0s = np.flatnonzero(scan.gradients.is_b0)
    highest = np.sort(scan.data[..., b0s].ravel())[-80]
    dwis = scan.data[..., ~scan.gradients.is_b0]
    assert (dwis >= highest).sum() < 10
    found = stored_values(stored(scan, np.minimum(scan.data, highest)))
    assert found.clipped == tuple(b0s)
    assert found.highest == highest


@pytest.mark.parametrize(("axis", "name"), [(0, "x"), (1, "y"), (2, "z")])
def test_a_plane_that_is_there_twice_is_named(axis, name, scan) -> None:
    order = np.r_[0:4, 3, 5 : scan.shape[axis]]
    found = stored_values(stored(scan, scan.data.take(order, axis)))
    assert found.repeated == ((axis, 4),)
    assert f"Along {name}, plane 4 (counted from 0)" in found.sentences[0]
    once = scan.data.copy()
    index = [slice(None)] * 4
    index[axis], index[3] = 4, 3
    before = index.copy()
    before[axis] = 3
    once[tuple(index)] = once[tuple(before)]
    assert stored_values(stored(scan, once)).repeated == ()  # one volume's is another fault


def test_a_scan_enlarged_by_copies_is_one_sentence_an_axis(scan) -> None:
    data = scan.data.repeat(2, 0)
    table = scan.gradients
    found = stored_values(Scan(data, scan.affine, table))
    assert len(found.sentences) == 1
    assert "Most planes along x repeat" in found.sentences[0]


@pytest.mark.parametrize("step", [0.5, 2.0])
@pytest.mark.parametrize("slope", [1.0, 0.0173])
def test_the_step_of_rounded_values_is_measured_in_the_noises_sd(step, slope, scan) -> None:
    traces = noise_traces(scan)
    assert traces is not None
    assert traces.step == 0
    size = step * 38.0
    rounded = (np.round(scan.data / size).astype(float) * (size * slope)).astype(np.float32)
    traces = noise_traces(stored(scan, rounded))
    assert traces is not None
    wider = np.sqrt(1 + step**2 / 12)  # rounding is noise too
    assert traces.step == pytest.approx(step / wider, rel=0.15)
    assert any("rounded to steps" in said for said in traces.sentences) == (step > 1)


def test_the_step_of_the_values_is_read_off_them(scan) -> None:
    """Of integers, of scaled ones, and of these stored with another scale again; else 0."""
    everywhere = np.ones(scan.shape[:3], bool)
    whole = np.floor(scan.data / 12)
    assert stored_step(whole, everywhere) == 1
    assert stored_step(12.5 * whole, everywhere) == pytest.approx(12.5)
    again = 0.17 * np.round(12.5 * whole / 0.17)
    assert stored_step(again.astype(np.float32), everywhere) == pytest.approx(12.5, rel=0.02)
    assert stored_step(scan.data, everywhere) < 0.01
    assert stored_step(np.ones_like(scan.data), everywhere) == 0
