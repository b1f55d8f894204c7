"""Texture varies as much, and as alike in neighbours, as its two numbers say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dwiser.errors import Code
from dwiser.simulation import Simulation, phantom, phantom_from
from dwiser.simulation.contrast import STICK, compartments
from dwiser.simulation.geometry import HeadAnatomy, head_anatomy
from dwiser.simulation.texture import FWHM_PER_SD, Texture, mixed, textured, turned
from tests.refusals import refused

SHAPE = (32, 36, 24)
SHELLS = ((1000.0, 12),)
STRENGTHS = [(0.2, 1.0), (0.5, 2.0), (0.3, 0.0)]


@pytest.fixture(scope="module")
def smooth() -> HeadAnatomy:
    return head_anatomy(SHAPE, 3)


@pytest.fixture(scope="module")
def rough() -> Simulation:
    return phantom(SHAPE, shells=SHELLS, n_b0=2, noise="none", texture=0.5, seed=3)


def lag(texture: Texture) -> float:
    """Correlation of neighbours that white noise has after SciPy's Gaussian."""
    impulse = np.zeros(61)
    impulse[30] = 1
    kernel = gaussian_filter(impulse, texture.correlation / FWHM_PER_SD)
    return float(kernel[1:] @ kernel[:-1] / (kernel @ kernel))


def neighbours(field: np.ndarray) -> list[float]:
    return [
        np.corrcoef(np.moveaxis(field, a, 0)[1:].ravel(), np.moveaxis(field, a, 0)[:-1].ravel())[
            0, 1
        ]
        for a in range(3)
    ]


@pytest.mark.parametrize(("strength", "correlation"), STRENGTHS)
def test_the_fields_have_the_sd_and_the_correlation_asked_for(
    strength: float, correlation: float
) -> None:
    texture = Texture(strength, correlation)
    logs = np.log(texture.factor(SHAPE, "any", 7))
    assert logs.std() == pytest.approx(strength, rel=0.02)
    assert neighbours(logs) == pytest.approx([lag(texture)] * 3, abs=0.03)
    assert np.log(texture.diffusivity(SHAPE, "any", 7)).std() == pytest.approx(
        strength / 2, rel=0.02
    )
    turns = texture.turns(SHAPE, 7)
    assert turns.reshape(-1, 3).std(0) == pytest.approx([strength / 2] * 3, rel=0.02)
    assert np.abs(np.corrcoef(turns.reshape(-1, 3).T) - np.eye(3)).max() < 0.1


def test_strength_0_is_the_phantom_without_texture(smooth: HeadAnatomy) -> None:
    assert textured(smooth, Texture(0, 2), 3) is smooth
    plain, none = (
        phantom((20, 24, 16), shells=SHELLS, seed=2, **how)
        for how in ({}, {"texture": 0.0, "texture_correlation": 3.0})
    )
    assert plain.scan.data.tobytes() == none.scan.data.tobytes()
    assert plain.truth.tobytes() == none.truth.tobytes()
    assert none.record["texture"] is None


def test_fractions_stay_fractions_and_populations_in_order(smooth: HeadAnatomy) -> None:
    rough = textured(smooth, Texture(1.5, 1.0), 3)
    total = sum(rough.tissues.values())
    np.testing.assert_allclose(total, sum(smooth.tissues.values()), atol=1e-5)
    assert all(f.min() >= 0 and f.max() <= 1 + 1e-6 for f in rough.tissues.values())
    for name, fraction in smooth.tissues.items():
        np.testing.assert_array_equal(rough.tissues[name] > 0, fraction > 0)
    white = smooth.shares[..., 0] > 0
    np.testing.assert_allclose(rough.shares[white].sum(-1), 1, atol=1e-5)
    assert (np.diff(rough.shares, axis=-1) <= 0).all()
    np.testing.assert_allclose(np.linalg.norm(rough.axes, axis=-1), rough.shares > 0, atol=1e-5)


def test_tissues_log_ratios_vary_by_what_two_independent_factors_give(smooth: HeadAnatomy) -> None:
    strength = 0.4
    rough = textured(smooth, Texture(strength, 1.0), 3)
    both = (smooth.tissues["wm"] > 0.01) & (smooth.tissues["gm"] > 0.01)
    ratio = [np.log(a.tissues["wm"][both] / a.tissues["gm"][both]) for a in (rough, smooth)]
    assert (ratio[0] - ratio[1]).std() == pytest.approx(strength * 2**0.5, rel=0.05)


def test_diffusivities_and_stick_shares_vary_as_stated(smooth: HeadAnatomy) -> None:
    texture = Texture(0.4, 1.0)
    plain, rough = compartments(smooth, 3), compartments(smooth, 3, texture)
    change = np.log(rough[2].parallel / plain[2].parallel)
    assert change.std() == pytest.approx(0.2, rel=0.05)
    white = plain[2].weight > 0
    odds = [p[2].weight[white] / p[3].weight[white] for p in (plain, rough)]
    assert np.log(odds[1] / odds[0]).std() == pytest.approx(0.4, rel=0.05)
    assert np.median(odds[0]) == pytest.approx(STICK / (1 - STICK), rel=0.1)
    total = [p[2].weight + p[3].weight for p in (plain, rough)]
    np.testing.assert_allclose(total[0], total[1], rtol=1e-5)


def test_fibres_turn_by_the_angle_of_their_rotation_vectors() -> None:
    x, z = np.array([[1.0, 0, 0]]), np.array([[0, 0, 0.3]])
    np.testing.assert_allclose(turned(x, z), [[np.cos(0.3), np.sin(0.3), 0]], atol=1e-6)
    np.testing.assert_allclose(turned(np.zeros((1, 3)), z), 0)
    strength = 0.4  # two of three components turn an axis: their angle's mean square is 2 (s/2)²
    axes = np.tile(x, (np.prod(SHAPE), 1))
    turns = Texture(strength, 1.0).turns(SHAPE, 5).reshape(-1, 3)
    angles = np.arccos(np.clip((turned(axes, turns) * axes).sum(-1), -1, 1))
    assert np.sqrt((angles**2).mean()) == pytest.approx(strength / 2**0.5, rel=0.05)


def test_mixing_keeps_the_sum_and_the_zeros() -> None:
    shares = np.array([[0.6, 0.0, 0.2], [0.0, 0.0, 0.0]])
    mixture = mixed(shares, np.array([[2.0, 5.0, 0.5], [1.0, 1.0, 1.0]]))
    np.testing.assert_allclose(
        mixture, [[0.8 * 1.2 / 1.3, 0, 0.8 * 0.1 / 1.3], [0, 0, 0]], rtol=1e-6
    )


def test_the_truth_is_that_of_the_textured_tissue(rough: Simulation) -> None:
    plain = phantom(SHAPE, shells=SHELLS, n_b0=2, noise="none", seed=3)
    np.testing.assert_array_equal(rough.mask, plain.mask)
    white = (plain.tissues["wm"] > 0.9) & (plain.shares[..., 0] > 0.99)
    along = rough.fa[:, 1:] - plain.fa[:, 1:], rough.fa[:, :-1] - plain.fa[:, :-1]
    pair = white[:, 1:] & white[:, :-1]
    assert along[0][pair].std() > 0.05
    assert 0.05 < np.corrcoef(along[0][pair], along[1][pair])[0, 1] < 0.5
    angle = np.abs((rough.axes[..., 0, :] * plain.axes[..., 0, :]).sum(-1))[white]
    assert 8 < np.degrees(np.median(np.arccos(np.clip(angle, 0, 1)))) < 25
    assert (rough.truth[rough.mask] > 0).all()
    assert rough.record["texture"]["strength"] == 0.5
    assert rough.record["texture"]["fwhm_voxels"] == 1.0
    again = phantom(SHAPE, shells=SHELLS, n_b0=2, noise="none", texture=0.5, seed=3)
    np.testing.assert_array_equal(rough.truth, again.truth)


def test_a_refit_takes_texture_too_and_keeps_its_b0() -> None:
    real = phantom((20, 22, 4), shells=((1000.0, 20),), n_b0=2, snr=50, seed=4)
    scan = replace(real.scan, mask=real.mask)
    plain, simulated = (phantom_from(scan, noise="none", texture=s, seed=1) for s in (0, 0.4))
    b0s = scan.gradients.is_b0
    np.testing.assert_allclose(simulated.truth[..., b0s], plain.truth[..., b0s], rtol=1e-4)
    change = np.log(simulated.truth[real.mask] / plain.truth[real.mask])[:, ~b0s]
    assert 0.03 < change.std() < 0.4
    np.testing.assert_allclose(sum(simulated.tissues.values()), simulated.mask, atol=1e-5)
    white = plain.tissues["wm"] > 0.7
    angle = np.abs((simulated.axes[..., 0, :] * plain.axes[..., 0, :]).sum(-1))[white]
    assert 5 < np.degrees(np.median(np.arccos(np.clip(angle, 0, 1)))) < 30
    assert simulated.record["texture"]["sd_log_fractions"] == 0.4


@pytest.mark.parametrize(
    "wrong", [{"texture": -0.1}, {"texture": np.nan}, {"texture_correlation": -1.0}]
)
def test_impossible_textures_are_refused(wrong: dict[str, float]) -> None:
    with refused(Code.ARGUMENT_VALUE, "texture's", "must be 0 or more"):
        phantom((20, 24, 16), shells=SHELLS, **wrong)
