"""The phase of a simulated scan: the noise's law, what shares it, and what refuses it."""

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.simulation import phantom
from dwiser.simulation.phase import DIFFUSION_TIME, PhaseModel, ShotPhase
from tests.refusals import refused

SHAPE = (14, 16, 6)
SETTINGS = {"shells": ((1000.0, 6), (3000.0, 6)), "n_b0": 2, "seed": 2}
STILL = PhaseModel(rotation=0, pulsation=0)


@pytest.fixture(scope="module")
def simulated():
    return phantom(SHAPE, snr=12.0, phase=True, **SETTINGS)


def shots(simulated, model: PhaseModel = STILL) -> ShotPhase:
    return ShotPhase(simulated.scan.gradients, SHAPE, (2.5, 2.5, 2.5), 2, model)


def test_without_its_phase_the_image_is_the_truth_in_gaussian_noise(simulated) -> None:
    scan = simulated.scan
    every = range(scan.shape[3])
    phase = np.stack([shots(simulated, PhaseModel()).volume(v) for v in every], -1)
    z = scan.data * np.exp(1j * (scan.phase - phase))
    noise = (z - simulated.truth) / simulated.sigma[..., None]
    for part in (noise.real, noise.imag):
        assert part.mean() == pytest.approx(0, abs=5 / np.sqrt(part.size))
        assert part.std() == pytest.approx(1, abs=5 / np.sqrt(2 * part.size))
    assert simulated.record["phase"]["diffusion_time_s"] == DIFFUSION_TIME


def test_eddy_currents_are_linear_in_the_gradient(simulated) -> None:
    """Phase of a volume less its shots' constants: √b along the direction, nothing in b0s."""
    table = simulated.scan.gradients

    def shape_of(v: int) -> np.ndarray:
        phase = shots(simulated).volume(v)
        return phase - phase.mean((0, 1), keepdims=True)  # the constant of each shot

    b0s, dwis = (np.flatnonzero(kind).tolist() for kind in (table.is_b0, ~table.is_b0))
    field = shape_of(b0s[0])
    np.testing.assert_allclose(shape_of(b0s[1]), field, atol=1e-4)
    strength = np.sqrt(table.bvals[dwis])[:, None] * table.bvecs[dwis]
    eddy = np.stack([(shape_of(v) - field).ravel() for v in dwis])
    fitted = strength @ np.linalg.lstsq(strength, eddy, rcond=None)[0]
    np.testing.assert_allclose(fitted, eddy, atol=1e-3)
    assert np.abs(eddy).max() > 0.1


def test_without_noise_the_phase_is_that_of_the_shots(simulated) -> None:
    quiet = phantom(SHAPE, noise="none", phase=True, **SETTINGS)
    np.testing.assert_allclose(quiet.scan.data, quiet.truth, rtol=1e-5, atol=1e-3)
    turn = np.exp(1j * (quiet.scan.phase[..., 3] - shots(quiet, PhaseModel()).volume(3)))
    np.testing.assert_allclose(turn[quiet.mask], 1, atol=1e-4)


@pytest.mark.parametrize(("noise", "coils"), [("gaussian", 1), ("nc-chi", 4), ("kspace", 2)])
def test_noise_of_no_one_complex_image_is_refused(noise: str, coils: int) -> None:
    with refused(Code.ARGUMENT_CONFLICT, noise, "--noise rician"):
        phantom(SHAPE, noise=noise, coils=coils, phase=True, **SETTINGS)
