"""Volumes that dropped out, moved or repeat another: named, not smeared, not repaired."""

from dataclasses import replace

import numpy as np
import pytest

import dwiser
from dwiser.errors import DwiserWarning
from dwiser.prepare.outlier_volumes import find_outlier_volumes
from dwiser.prepare.subspace import grouped, second_moment
from dwiser.scan import Scan
from dwiser.simulation import Simulation, phantom

BAD = 9


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return phantom(shape=(36, 40, 12), shells=((1000.0, 32),), n_b0=4, snr=20.0, seed=1)


def spoilt(scan: Scan, how: str) -> Scan:
    data = scan.data.copy()
    if how == "dropout":
        data[:, :, 5:8, BAD] *= 0.2
    elif how == "moved":
        data[..., BAD] = np.roll(data[..., BAD], 1, axis=0)
    elif how == "copy":
        data[..., BAD] = data[..., BAD - 1]
    return replace(scan, data=data)


def apart(simulation: Simulation, scan: Scan) -> dict[int, str]:
    groups, _ = grouped(scan.gradients)
    x = scan.data[simulation.mask]
    sigma = simulation.sigma[simulation.mask][:, None]
    moment = second_moment((x - x.mean(0)) / sigma)
    return find_outlier_volumes(moment, np.arange(len(scan.gradients)), groups)


@pytest.mark.parametrize(
    ("how", "word"), [("dropout", "dropped out"), ("moved", "moved"), ("copy", "volume 8")]
)
def test_the_volume_is_named(simulation: Simulation, how: str, word: str) -> None:
    outliers = apart(simulation, spoilt(simulation.scan, how))
    assert set(outliers) == {BAD}
    assert word in outliers[BAD]


def test_a_good_scan_has_none(simulation: Simulation) -> None:
    assert apart(simulation, simulation.scan) == {}


def test_b0s_before_and_after_a_movement_are_no_copies(simulation: Simulation) -> None:
    """Two share where the head was, as no other volume does, and each has noise of its own."""
    data = simulation.scan.data.copy()
    data[..., 18:] = np.roll(data[..., 18:], 1, axis=0)
    outliers = apart(simulation, replace(simulation.scan, data=data))
    assert not [why for why in outliers.values() if "copy" in why]


def test_a_dropped_out_volume_spoils_no_other_and_is_not_repaired(simulation: Simulation) -> None:
    scan = spoilt(simulation.scan, "dropout")
    with pytest.warns(DwiserWarning, match="Volume 9"):
        result = dwiser.denoise(scan, threads=1, verdict=False)
    good = dwiser.denoise(simulation.scan, threads=1, verdict=False)
    assert "dropped out" in result.record["volumes_on_their_own"][str(BAD)]
    others = np.arange(36) != BAD

    def error(data: np.ndarray) -> float:
        return float(np.sqrt(np.mean((data - simulation.truth)[simulation.mask][:, others] ** 2)))

    assert error(result.data) < 1.1 * error(good.data)  # one volume fewer, one channel more
    lost = simulation.mask.copy()
    lost[:, :, :5] = lost[:, :, 8:] = False
    ratio = result.data[lost, BAD].mean() / scan.data[lost, BAD].mean()
    assert ratio < 1.15  # still dark: 0.2 of its signal, and the floor


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
def test_a_scan_without_noise_comes_back_as_it_is() -> None:
    s = phantom(shape=(36, 40, 10), shells=((1000.0, 30),), n_b0=4, noise="none", seed=2)
    result = dwiser.denoise(s.scan, threads=1, verdict=False)
    np.testing.assert_array_equal(result.data, s.scan.data)
    assert result.record["volumes_denoised"] == 0
    assert result.record["ResidualOverSigma"] == []  # not NaN passed off as a number
