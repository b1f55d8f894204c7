"""The phase taken off: units, no floor, nothing lost where the phase is smooth."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.methods.registry import build
from dwiser.prepare.phase import Rephasing, as_radians, plane_wave, real_part
from dwiser.seeds import stream
from dwiser.simulation import phantom
from dwiser.simulation.noise import complex_noise
from tests.refusals import refused

SHAPE = (40, 36, 4, 6)
RNG = np.random.default_rng(0)


def wrapped() -> np.ndarray:
    return RNG.uniform(-np.pi, np.pi, SHAPE).astype(np.float32)


def ramp() -> np.ndarray:
    """Smooth, three turns across the field, another in each volume."""
    x = np.linspace(0, 6 * np.pi, SHAPE[0])[:, None, None, None]
    y = np.linspace(0, 2 * np.pi, SHAPE[1])[None, :, None, None]
    return (x + y * np.arange(SHAPE[3]) + np.zeros(SHAPE)).astype(np.float32)


@pytest.mark.parametrize(
    ("low", "steps", "unit"),
    [
        (-4096, 8192, "8192"),
        (0, 4096, "4096"),
        (-2048, 4096, "4096"),
        (0, 65536, "65536"),
        (-180, 360, "degrees"),
        (-1000 * np.pi, 2000 * np.pi, "milliradians"),
        (-np.pi, 2 * np.pi, "radians"),
        (0, 2 * np.pi, "radians"),
        (-1, 2, "units of π"),
        (0, 2, "units of π"),
        (-0.5, 1, "cycles"),
        (0, 1, "cycles"),
    ],
)
def test_a_scanners_steps_become_radians(low, steps, unit) -> None:
    phase = wrapped()
    stored = ((phase / (2 * np.pi) + 0.5) * steps + low).astype(np.float32)
    radians, stored_unit = as_radians(stored)
    assert unit in stored_unit
    assert radians.dtype == np.float32
    turn = np.exp(1j * radians) / np.exp(1j * phase)  # the same but for one offset of all
    assert np.abs(turn - turn.flat[0]).max() < 0.02


@pytest.mark.parametrize(
    ("values", "code", "says"),
    [
        (700, Code.PHASE_VALUES, ("to 700", "rescale it to radians")),
        (np.nan, Code.IMAGE_NOT_FINITE, ("phase", "NaN", "replace them first")),
        (0, Code.PHASE_VALUES, ("is 0 everywhere",)),
        (0.5, Code.PHASE_VALUES, ("0 to 0.5", "never wraps", "one complex image")),
    ],
)
def test_what_is_no_phase_is_refused(values, code, says) -> None:
    phase = wrapped() * 0
    phase[0, 0, 0, 0] = values
    with refused(code, *says):
        as_radians(phase)


def of_object(turns: float) -> np.ndarray:
    """Smooth, ``turns`` of a period wide and wrapped; a background that somebody set to 0."""
    x = np.linspace(-turns / 2, turns / 2, SHAPE[0])[:, None, None, None]
    y = np.linspace(0, turns / 2, SHAPE[1])[None, :, None, None]
    phase = (x + y + np.zeros(SHAPE) + 0.5) % 1 - 0.5
    phase[:5], phase[-5:] = 0, 0
    return phase.astype(np.float32)


@pytest.mark.parametrize(("period", "unit"), [(2.0, "units of π"), (1.0, "cycles")])
def test_the_wraps_of_an_object_alone_tell_a_small_unit(period, unit) -> None:
    radians, stored_unit = as_radians(of_object(3.0) * np.float32(period))
    assert stored_unit == unit
    np.testing.assert_allclose(radians, of_object(3.0) * 2 * np.pi, atol=1e-5)


@pytest.mark.parametrize("span", [1.0, 2.0])
def test_a_span_of_a_small_unit_without_wraps_is_refused(span) -> None:
    smooth = of_object(0.5)
    smooth *= np.float32(span / np.ptp(smooth))
    with refused(Code.PHASE_VALUES, "never wraps", "radians, units of π or cycles"):
        as_radians(smooth)


def test_nan_outside_the_mask_is_no_reason_to_refuse() -> None:
    phase, mask = wrapped(), np.zeros(SHAPE[:3], bool)
    mask[5:-5] = True
    phase[~mask] = np.nan
    radians, _ = as_radians(phase, mask)
    np.testing.assert_array_equal(radians[mask], phase[mask])
    assert not radians[~mask].any()
    with refused(Code.IMAGE_NOT_FINITE, "NaN"):
        as_radians(phase, ~mask)


def test_without_noise_the_magnitude_comes_back() -> None:
    x, y = (np.linspace(-1, 1, n) for n in SHAPE[:2])
    magnitude = 100 * np.exp(-(x[:, None, None, None] ** 2) - y[None, :, None, None] ** 2)
    magnitude = (magnitude + np.zeros(SHAPE)).astype(np.float32)
    real = real_part(magnitude, ramp(), np.ones(SHAPE[:3], bool))
    inner = (slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(real.data[inner], magnitude[inner], rtol=0.03)


def test_an_edge_loses_nothing_to_a_slope_of_the_phase() -> None:
    """Neighbours on one side have another phase: 11 % were lost at 27° a voxel."""
    inside = np.zeros(SHAPE, bool)
    inside[8:32, 6:30] = True
    bowl = np.linspace(-1, 1, SHAPE[0])[:, None, None, None] ** 2
    phase = (ramp() + 2 * bowl).astype(np.float32)
    real = real_part(inside.astype(np.float32), phase, inside[..., 0])
    assert real.data[inside].min() > 0.97


def test_pure_noise_has_no_floor() -> None:
    """Mean 0 and variance σ², where the magnitude's mean is 1.25 σ."""
    noise = RNG.standard_normal((2, *SHAPE)).astype(np.float32)
    z = noise[0] + 1j * noise[1]
    real = real_part(np.abs(z), np.angle(z), np.ones(SHAPE[:3], bool))
    assert np.abs(z).mean() > 1.2
    assert abs(real.data.mean()) < 4 / np.sqrt(real.data.size)
    assert real.data.std() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(real.imaginary, 1, atol=0.05)


def test_a_phase_that_is_not_smooth_shows_in_the_imaginary_part() -> None:
    magnitude = np.full(SHAPE, 10, np.float32)
    real = real_part(magnitude, wrapped(), np.ones(SHAPE[:3], bool))
    assert (real.imaginary > 5).all()


@pytest.mark.parametrize("how", ["window", "slice", "none"])
def test_real_part_and_phase_are_the_complex_image_where_it_has_no_noise(how) -> None:
    magnitude = np.full(SHAPE, 50, np.float32)
    phase = ramp() if how != "none" else 0 * ramp()
    inside = np.ones(SHAPE[:3], bool)
    parts = real_part(magnitude, phase, inside, Rephasing(how), with_phase=True)
    inner = (slice(4, -4), slice(4, -4))
    z = parts.data * np.exp(1j * parts.phase)
    np.testing.assert_allclose(z[inner], (magnitude * np.exp(1j * phase))[inner], atol=2)


@pytest.mark.parametrize("turns", [(0.0, 0.0), (2.3, -1.7), (-6.5, 4.25)])
def test_a_slices_wave_is_met_in_noise(turns) -> None:
    """Of 40 × 36 voxels at SNR 2: constant and ramp to their Cramér-Rao bounds, about."""
    x, y = (np.linspace(-1, 1, n) for n in SHAPE[:2])
    wave = np.exp(1j * (0.7 + np.pi * (turns[0] * x[:, None] + turns[1] * y)))
    noise = RNG.standard_normal((2, *SHAPE[:2]))
    seen = plane_wave((2 * wave + noise[0] + 1j * noise[1]).astype(np.complex64))
    assert np.abs(np.abs(seen) - 1).max() < 1e-3
    assert np.abs(np.angle(seen * wave.conj())).max() < 6 / np.sqrt(wave.size)
    assert (plane_wave(np.zeros((3, 4), np.complex64)) == 1).all()


def test_a_slices_wave_leaves_no_floor_in_noise() -> None:
    noise = RNG.standard_normal((2, *SHAPE)).astype(np.float32)
    z = noise[0] + 1j * noise[1]
    real = real_part(np.abs(z), np.angle(z), np.ones(SHAPE[:3], bool), Rephasing("slice"))
    assert abs(real.data.mean()) < 0.15  # the wave that noise itself resembles most


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
def test_splitq_errs_less_with_the_phase_than_without(machine) -> None:
    """At the floor: error and bias of a phantom whose true signal is known."""
    simulation = phantom(shape=(26, 24, 8), shells=((3000.0, 12),), n_b0=2, snr=8.0, seed=3)
    turn = np.exp(1j * np.linspace(0, 4, 26)[:, None, None, None]) * np.exp(1j * np.arange(14))
    noise = np.stack(
        [complex_noise(simulation.mask.shape, stream(1, "phase", v)) for v in range(14)], -1
    )
    z = (simulation.truth * turn + simulation.sigma[..., None] * noise).astype(np.complex64)
    scan = replace(simulation.scan, data=np.abs(z), mask=simulation.mask)
    alone = build("splitq").denoise(scan, machine=machine, seed=0)
    method = build("splitq", "laptop", {"real_part": "yes"})
    both = method.denoise(replace(scan, phase=np.angle(z)), machine=machine, seed=0)
    errors = [
        (r.data - simulation.truth)[simulation.mask] / simulation.sigma[simulation.mask][:, None]
        for r in (alone, both)
    ]
    assert np.square(errors[1]).mean() < 0.95 * np.square(errors[0]).mean()
    assert np.square(errors[1]).mean() < 0.213  # 0.9 of what the magnitude alone once gave
    assert abs(errors[1].mean()) < 0.06  # 0.0535 to 0.0573 by the draws of probe and splits
    assert both.record["coils"] == 0
    np.testing.assert_array_equal(both.data[~simulation.mask], scan.data[~simulation.mask])
    assert alone.real is None
    assert both.real.min() < 0
    np.testing.assert_array_equal(both.real[both.mask].clip(0), both.data[both.mask])
    assert np.median(
        both.sigma[simulation.mask] / simulation.sigma[simulation.mask]
    ) == pytest.approx(1, abs=0.1)
