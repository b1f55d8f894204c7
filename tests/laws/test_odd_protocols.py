"""splitq on protocols of all kinds: sound, the same each time, with the response or without."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dwiser.machine import Machine
from dwiser.methods.base import Denoised
from dwiser.methods.registry import build
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream
from dwiser.simulation import phantom

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
SHAPE = (18, 20, 6)


def simulated(*shells: tuple[float, int], b0s: int = 2, **more) -> Scan:
    s = phantom(shape=SHAPE, shells=shells, n_b0=b0s, snr=15, seed=11, **more)
    return replace(s.scan, mask=s.mask)


def without_b0s(scan: Scan) -> Scan:
    dwis = np.flatnonzero(~scan.gradients.is_b0)
    table = Gradients(scan.gradients.bvals[dwis], scan.gradients.bvecs[dwis])
    return replace(scan, data=scan.data[..., dwis], gradients=table)


def in_voxels(scan: Scan, count: int) -> Scan:
    mask = np.zeros(scan.mask.shape, bool)
    mask[tuple(np.argwhere(scan.mask)[:count].T)] = True
    return replace(scan, mask=mask)


def one_slice(scan: Scan) -> Scan:
    return replace(scan, data=scan.data[:, :, 3:4].copy(), mask=scan.mask[:, :, 3:4].copy())


def with_bvals(scan: Scan, change: Callable[[np.ndarray], np.ndarray]) -> Scan:
    bvals = np.where(scan.gradients.is_b0, 0, change(scan.gradients.bvals))
    return replace(scan, gradients=Gradients(bvals, scan.gradients.bvecs))


def with_bvecs(scan: Scan, bvecs: np.ndarray) -> Scan:
    return replace(scan, gradients=Gradients(scan.gradients.bvals, bvecs))


def with_data(scan: Scan, change: Callable[[np.ndarray], None]) -> Scan:
    data = scan.data.copy()
    change(data)
    return replace(scan, data=data)


def outlier(data: np.ndarray) -> None:
    data[..., 5] = 3 * data.mean() * stream(0, "outlier").random(data.shape[:3])


def complex_scan(scan: Scan) -> Scan:
    phase = np.where(stream(1, "phase").random(scan.shape) < 0.1, np.pi, 0.0)
    return replace(scan, phase=phase)


def holes(scan: Scan) -> Scan:
    sigma = np.full(scan.mask.shape, scan.data[scan.mask].mean() / 10, np.float32)
    sigma.ravel()[::31] = 0
    return replace(scan, sigma=sigma)


def plane(count: int) -> np.ndarray:
    angle = stream(2, "plane").uniform(0, np.pi, count)
    return np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)


MANY, FEW = ((1000.0, 30),), ((1000.0, 12),)
PROTOCOLS: dict[str, Callable[[], Scan]] = {
    "many": lambda: simulated(*MANY, b0s=4),
    "many, one b0": lambda: simulated(*MANY, b0s=1),
    "many, no b0": lambda: without_b0s(simulated(*MANY)),
    "two shells": lambda: simulated((1000.0, 15), (2500.0, 15)),
    "two shells, no b0": lambda: without_b0s(simulated((1000.0, 15), (2500.0, 15))),
    "a shell of five": lambda: simulated((700.0, 5), (1000.0, 25)),
    "2000 only, one b0": lambda: simulated((2000.0, 30), b0s=1),
    "1500.5": lambda: with_bvals(simulated(*MANY), lambda b: 1499.5 + np.arange(len(b)) % 2),
    "seven volumes": lambda: simulated((1000.0, 6), b0s=1),
    "few": lambda: simulated(*FEW, b0s=1),
    "few, no b0": lambda: without_b0s(simulated(*FEW)),
    "few, two shells": lambda: simulated((1000.0, 8), (2000.0, 8), b0s=1),
    "few in a plane": lambda: with_bvecs(simulated(*FEW), plane(14)),
    "few, one direction": lambda: with_bvecs(simulated(*FEW), np.tile([0.0, 1, 0], (14, 1))),
    "one slice": lambda: one_slice(simulated(*MANY)),
    "few, one slice": lambda: one_slice(simulated(*FEW)),
    "four voxels": lambda: in_voxels(simulated(*MANY), 4),  # fewer tell no σ, and are refused
    "500 voxels": lambda: in_voxels(simulated(*MANY), 500),
    "few, 500 voxels": lambda: in_voxels(simulated(*FEW), 500),
    "an outlier": lambda: with_data(simulated(*MANY), outlier),
    "few, an outlier": lambda: with_data(simulated(*FEW), outlier),
    "nc-chi": lambda: simulated(*MANY, noise="nc-chi", coils=4),
    "few, nc-chi": lambda: simulated(*FEW, noise="nc-chi", coils=4),
    "phase": lambda: complex_scan(simulated(*MANY)),
    "few, phase": lambda: complex_scan(simulated(*FEW)),
    "sigma with holes": lambda: holes(simulated(*MANY)),
    "few, sigma with holes": lambda: holes(simulated(*FEW)),
    "hot voxels": lambda: with_data(
        simulated(*MANY), lambda d: d.__setitem__(np.s_[9:11, 9, 3], 1e6)),
    "few, hot voxels": lambda: with_data(
        simulated(*FEW), lambda d: d.__setitem__(np.s_[9:11, 9, 3], 1e6)),
    "constant voxels": lambda: with_data(
        simulated(*MANY), lambda d: d.__setitem__(np.s_[9:12, 9], 70)),
    "empty voxels": lambda: with_data(simulated(*FEW), lambda d: d.__setitem__(np.s_[9:12, 9], 0)),
}  # fmt: skip


def run(scan: Scan, threads: int = 1, **settings) -> Denoised:
    quick = {"folds": 2, "learned_on": 5000} | settings
    return build("splitq", settings=quick).denoise(scan, machine=Machine("cpu", threads), seed=0)


def sound(result: Denoised, scan: Scan) -> None:
    assert np.isfinite(result.data).all()
    assert (result.data >= 0).all()
    assert result.mask is not None
    outside = ~result.mask
    np.testing.assert_array_equal(result.data[outside], scan.data[outside])
    if result.uncertainty is not None:
        assert np.isfinite(result.uncertainty).all()
        assert (result.uncertainty >= 0).all()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_any_protocol_gives_a_sound_result(protocol: str) -> None:
    scan = PROTOCOLS[protocol]()
    result = run(scan)
    sound(result, scan)
    if protocol in ("few, no b0", "few in a plane", "few, one direction", "many, no b0"):
        assert "response" not in result.weights.state
    if protocol in (
        "many",
        "1500.5",
        "2000 only, one b0",
        "two shells, no b0",
        "few",
        "few, phase",
    ):
        assert np.abs(result.weights.state["response"]).max() > 0


@pytest.mark.parametrize("protocol", ["many, one b0", "few, two shells"])
def test_the_options_each_do_what_they_say(protocol: str) -> None:
    scan = PROTOCOLS[protocol]()
    result, plain, unsure = run(scan), run(scan, response=False), run(scan, uncertainty=True)
    assert "response" in result.weights.state
    assert "response" not in plain.weights.state
    sound(plain, scan)
    assert np.abs(result.data - plain.data).max() > 0
    np.testing.assert_array_equal(unsure.data, result.data)
    sound(unsure, scan)
    assert unsure.uncertainty is not None
    assert unsure.uncertainty[scan.mask].min() > 0


@pytest.mark.parametrize("protocol", ["many, one b0", "few"])
def test_stored_weights_give_the_same_bytes_and_so_does_every_run(protocol: str, machine) -> None:
    scan = PROTOCOLS[protocol]()
    result = run(scan)
    method = build("splitq", settings={"folds": 2, "learned_on": 5000})
    weights = method.fit(scan, machine=machine, seed=0)
    applied = method.apply(weights, scan, machine=machine, seed=0)
    np.testing.assert_array_equal(applied.data, result.data)
    np.testing.assert_array_equal(run(scan).data, result.data)


@pytest.mark.parametrize("protocol", ["many", "few"])
def test_two_threads_give_what_one_gives(protocol: str) -> None:
    scan = PROTOCOLS[protocol]()
    one, two = (run(scan, threads=threads) for threads in (1, 2))
    np.testing.assert_allclose(two.data, one.data, rtol=1e-3, atol=0.05)  # sums in another order


def test_an_outlier_changes_the_other_volumes_little() -> None:
    """A volume that stands apart is in no tensor: the response of the others is as without it."""
    scan = PROTOCOLS["many"]()
    with_it = run(with_data(scan, outlier))
    assert list(with_it.record["volumes_on_their_own"]) == ["5"]
    others = np.delete(np.arange(scan.shape[3]), 5)
    table = Gradients(scan.gradients.bvals[others], scan.gradients.bvecs[others])
    without = run(replace(scan, data=scan.data[..., others], gradients=table))
    noise = float(without.sigma[scan.mask].mean())
    change = (with_it.data[..., others] - without.data)[scan.mask] / noise
    assert np.sqrt(np.mean(change**2)) < 0.35


@pytest.mark.parametrize("protocol", ["many", "few"])
def test_units_do_not_matter_to_the_response(protocol: str) -> None:
    scan, unit = PROTOCOLS[protocol](), 2.0**-40
    scaled = run(replace(scan, data=scan.data * np.float32(unit))).data / unit
    np.testing.assert_allclose(scaled, run(scan).data, rtol=1e-3, atol=0.2)
