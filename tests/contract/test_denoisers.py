"""What every denoiser promises, over the whole registry."""

from collections.abc import Callable, Iterable
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from functools import cache

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.machine import Machine
from dwiser.methods.base import Denoised, Denoiser, IterativeDenoiser, TrainableDenoiser
from dwiser.methods.registry import METHODS, Entry, build, settings_of
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream
from dwiser.simulation import Simulation, phantom
from tests.refusals import refused

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
VARIANTS = [
    "patch2self:version=1",
    "noisier2noise:output=corrected",
    "difusion:fusion=neighbour",
]
OTHER_DIRECTION = "difusion:pairing=adjacent"  # the publication's pair: sound in loud noise only
NO_BETTER = {"identity": "gives the noisy scan back"}  # the only excuse for not beating it
# The others are learned in a second, or from 12 directions: at b0 SNR 20 some of them, and those
# whose pair is another direction at any budget, are worse than the noisy scan (docs: choose.md).
AT_SNR_20 = ["ascm", "dwidenoise", "gaussian", "localpca", "mppca", "nlmeans", "subspace"]


def entry(label: str) -> Entry:
    return METHODS[label.split(":")[0]]


MINUTES = ["nlsam"]  # a run on the small phantom: left to `make test-slow`


def these(labels: Iterable[str]) -> list:
    """Parameters of a test; a method whose program or package is not here is skipped."""
    absent = {label: not entry(label).available for label in labels}
    return [
        pytest.param(
            label,
            marks=[
                pytest.mark.skipif(
                    skip,
                    reason=f"{entry(label).program or entry(label).package} is not on this machine",
                ),
                *([pytest.mark.slow] if label in MINUTES else []),
            ],
        )
        for label, skip in absent.items()
    ]


NAMES = these([*sorted(METHODS), *VARIANTS])


def smoke(label: str) -> Denoiser:
    name, *settings = label.split(":")
    preset = "smoke" if "smoke" in entry(label).load()().capabilities.presets else "laptop"
    return build(name, preset, settings_of(settings))


def error(data: np.ndarray, truth: np.ndarray, scan: Scan, mask: np.ndarray) -> float:
    """Mean squared error in the DWIs, in the mask."""
    dwis = ~scan.gradients.is_b0
    return float(np.square(data[mask][:, dwis] - truth[mask][:, dwis]).mean())


def keep(scan: Scan, volumes: list[int]) -> Scan:
    g = scan.gradients
    table = Gradients(g.bvals[volumes], g.bvecs[volumes], g.b0_threshold)
    return replace(scan, data=scan.data[..., volumes].copy(), gradients=table)


@pytest.fixture(scope="session")
def results(small: Simulation, machine: Machine) -> Callable[[str], Denoised]:
    """One smoke run a method serves all the checks of values."""
    return cache(lambda name: smoke(name).denoise(small.scan, machine=machine, seed=1))


@pytest.fixture(scope="session")
def loud() -> Simulation:
    """The small phantom in loud noise: b0 SNR 5, 2 in the DWIs."""
    return phantom(shape=(26, 24, 8), shells=((1000.0, 12),), n_b0=2, snr=5.0, seed=3)


@pytest.mark.parametrize("name", NAMES)
def test_is_a_frozen_dataclass_with_documented_fields(name: str) -> None:
    cls = entry(name).load()
    assert is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    for spec in fields(cls):
        assert spec.metadata.get("help"), spec.name
    for preset, values in cls().capabilities.presets.items():
        for field, sourced in values.items():
            assert field in {spec.name for spec in fields(cls)}, (preset, field)
            assert sourced.source, (preset, field)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_says_what_it_can_by_type_and_frozen(name: str) -> None:
    method = entry(name).load()()
    assert isinstance(method, Denoiser)
    able = method.capabilities
    with pytest.raises(FrozenInstanceError):
        able.least_directions = 0  # type: ignore[misc]
    assert method.name == name
    assert able.least_directions >= 0
    assert able.gives_uncertainty == ("uncertainty" in {spec.name for spec in fields(method)})
    if able.reusable_weights:
        assert isinstance(method, TrainableDenoiser)
    if isinstance(method, IterativeDenoiser):
        assert {"iterations", "minutes"} <= {spec.name for spec in fields(method)}


@pytest.mark.parametrize("name", NAMES)
def test_output_is_finite_float32_of_the_inputs_shape_and_never_negative(name, results, small):
    data = results(name).data
    assert data.dtype == np.float32
    assert data.shape == small.scan.shape
    assert np.isfinite(data).all()
    assert data.min() >= 0


@pytest.mark.parametrize("name", NAMES)
def test_the_input_is_untouched_and_the_mask_is_honoured(name, small, machine) -> None:
    mask = np.zeros(small.mask.shape, bool)
    mask[5:21, 6:19, 2:7] = True
    scan = replace(small.scan, data=small.scan.data.copy(), mask=mask)
    result = smoke(name).denoise(scan, machine=machine, seed=1)
    np.testing.assert_array_equal(scan.data, small.scan.data)
    np.testing.assert_array_equal(result.data[~mask], scan.data[~mask])
    if name != "identity":
        assert (result.data[mask] != scan.data[mask]).mean() > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_one_result(name, results, small, machine) -> None:
    again = smoke(name).denoise(small.scan, machine=machine, seed=1)
    np.testing.assert_allclose(again.data, results(name).data, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_gives_another_result_where_the_method_has_a_seed_and_nowhere_else(
    name, results, small, machine
) -> None:
    other = smoke(name).denoise(small.scan, machine=machine, seed=2)
    assert np.array_equal(other.data, results(name).data) != smoke(name).capabilities.has_seed


@pytest.mark.parametrize("name", NAMES)
def test_units_stay_the_scanners(name, results, small) -> None:
    before, after = small.scan.data[small.mask], results(name).data[small.mask]
    np.testing.assert_allclose(after.mean(0), before.mean(0), rtol=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_scaling_the_input_scales_the_output(name, results, small, machine) -> None:
    scan = replace(small.scan, data=small.scan.data * np.float32(1000))
    scaled = smoke(name).denoise(scan, machine=machine, seed=1).data / 1000
    gap = np.abs(scaled - results(name).data)[small.mask].mean()
    assert gap < 0.02 * results(name).data[small.mask].mean()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "case", ["b0 last", "b0 inside", "no b0", "one b0", "two shells", "odd size"]
)
def test_b0s_anywhere_shells_and_odd_sizes(name: str, case: str, small, machine) -> None:
    b0, dwi = (
        [int(v) for v in np.flatnonzero(k)]
        for k in (small.scan.gradients.is_b0, ~small.scan.gradients.is_b0)
    )
    orders = {
        "b0 last": dwi + b0, "b0 inside": dwi[:5] + b0 + dwi[5:], "no b0": dwi,
        "one b0": dwi[:3] + b0[:1] + dwi[3:], "two shells": b0 + dwi, "odd size": b0 + dwi,
    }  # fmt: skip
    scan = keep(small.scan, orders[case])
    if case == "two shells":
        bvals = np.where(
            np.arange(len(scan.gradients)) % 2, scan.gradients.bvals, scan.gradients.bvals * 2
        )
        scan = replace(scan, gradients=Gradients(bvals, scan.gradients.bvecs))
    if case == "odd size":
        scan = replace(scan, data=scan.data[3:22, 1:22, 1:6].copy())
    if case == "no b0" and entry(name).load()().capabilities.least_b0s:
        with refused(Code.GRADIENTS_NO_B0, name.partition(":")[0], "b0"):
            smoke(name).denoise(scan, machine=machine, seed=1)
        return
    result = smoke(name).denoise(scan, machine=machine, seed=1)
    assert result.data.shape == scan.shape
    assert np.isfinite(result.data).all()
    # a volume that came back belongs to the volume that went in
    inside = scan.data.mean(-1) > scan.data.mean()
    for v in range(scan.shape[3]):
        correlation = np.corrcoef(result.data[inside][:, v], scan.data[inside][:, v])[0, 1]
        assert correlation > 0.5, (case, v)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("directions", [2, 6, 8])
def test_few_directions_get_a_result_or_a_clear_refusal(name, directions, small, machine) -> None:
    b0, dwi = (np.flatnonzero(k) for k in (small.scan.gradients.is_b0, ~small.scan.gradients.is_b0))
    scan = keep(small.scan, [*b0[:1].tolist(), *dwi[:directions].tolist()])
    least = entry(name).load()().capabilities.least_directions
    if directions < least:
        said = (name.partition(":")[0], f"at least {least}", f"has {directions}")
        with refused(Code.GRADIENTS_TOO_FEW, *said):
            smoke(name).denoise(scan, machine=machine, seed=0)
    else:
        assert np.isfinite(smoke(name).denoise(scan, machine=machine, seed=0).data).all()


@pytest.mark.parametrize("name", [*NAMES, *these([OTHER_DIRECTION])])
def test_beats_the_noisy_error_at_b0_snr_5(name: str, loud: Simulation, machine: Machine) -> None:
    if name in NO_BETTER:
        pytest.skip(NO_BETTER[name])
    denoised = smoke(name).denoise(loud.scan, machine=machine, seed=1).data
    of_result, noisy = (
        error(d, loud.truth, loud.scan, loud.mask) for d in (denoised, loud.scan.data)
    )
    assert of_result < 0.9 * noisy


@pytest.mark.parametrize("name", these(AT_SNR_20))
def test_beats_the_noisy_error_at_b0_snr_20(name: str, results, small: Simulation) -> None:
    of_result, noisy = (
        error(d, small.truth, small.scan, small.mask) for d in (results(name).data, small.scan.data)
    )
    assert of_result < 0.9 * noisy


@pytest.mark.parametrize("name", NAMES)
def test_beats_the_noisy_error_on_a_real_crop_in_louder_noise(name, crop: Scan, machine) -> None:
    """The crop is the truth (its own noise is a fraction of what is added); its b0 is inside,
    its size odd, its directions twelve."""
    if name in NO_BETTER:
        pytest.skip(NO_BETTER[name])
    b0 = int(np.flatnonzero(crop.gradients.is_b0)[0])
    some = keep(crop, [*range(5), b0, *range(5, 12)])
    truth = some.data[1:, 1:, 1:]
    mask = truth.mean(-1) > truth.mean()
    sigma = np.median(truth[mask][:, 5]) / 5  # b0 SNR 5
    real, imaginary = sigma * stream(0, "crop").standard_normal((2, *truth.shape))
    loud = replace(some, data=np.hypot(truth + real, imaginary).astype(np.float32))
    denoised = smoke(name).denoise(loud, machine=machine, seed=1).data
    assert error(denoised, truth, loud, mask) < 0.9 * error(loud.data, truth, loud, mask)


@pytest.mark.parametrize("name", NAMES)
def test_a_real_crop_is_denoised(name: str, crop: Scan, machine: Machine) -> None:
    result = smoke(name).denoise(crop, machine=machine, seed=1)
    removed = crop.data - result.data
    assert np.isfinite(result.data).all()
    if name != "identity":
        assert 0 < removed.std() < crop.data.std()
    assert abs(removed.mean()) < 0.1 * crop.data.mean()
