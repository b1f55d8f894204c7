"""The phantom's truth is true."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.scan import Gradients
from dwiser.simulation import Simulation, phantom
from dwiser.simulation.contrast import B0_SIGNAL, WATER, b0_signal, compartments
from dwiser.simulation.geometry import head_anatomy
from dwiser.simulation.shapes import Frame, inside, sheet, tube
from dwiser.simulation.signal import synthesise
from tests.refusals import refused

SHAPE = (36, 42, 34)
SHELLS = ((1000.0, 12),)


@pytest.fixture(scope="module")
def clean() -> Simulation:
    return phantom(SHAPE, shells=SHELLS, n_b0=3, noise="none", seed=5)


@pytest.fixture(scope="module")
def injured() -> Simulation:
    return phantom(SHAPE, shells=SHELLS, n_b0=3, noise="none", lesions=True, seed=5)


def test_tissues_sum_to_one_in_the_mask_and_nothing_lies_outside(clean: Simulation) -> None:
    total = sum(clean.tissues.values())
    np.testing.assert_allclose(total, clean.mask, atol=1e-5)
    assert all((f >= 0).all() for f in clean.tissues.values())
    assert not clean.truth[~clean.mask].any()
    assert (clean.truth[clean.mask] > 0).all()
    for name in ("wm", "gm", "csf"):
        assert (clean.tissues[name] > 0.5).sum() > 0.1 * clean.mask.sum()


def test_populations_share_the_white_matter(clean: Simulation) -> None:
    white = clean.tissues["wm"] > 0
    np.testing.assert_allclose(clean.shares[white].sum(-1), 1, atol=1e-5)
    assert (np.diff(clean.shares, axis=-1) <= 0).all()
    length = np.linalg.norm(clean.axes, axis=-1)
    np.testing.assert_allclose(length, clean.shares > 0, atol=1e-5)


def test_bundles_cross_at_wide_angles(clean: Simulation) -> None:
    white = clean.tissues["wm"] > 0.5
    two = white & (clean.shares[..., 1] > 0.25)
    assert 0.1 * white.sum() < two.sum() < 0.6 * white.sum()
    along = np.abs((clean.axes[..., 0, :] * clean.axes[..., 1, :]).sum(-1))[two]
    assert np.median(along) < np.cos(np.radians(60))
    assert (clean.shares[white][:, 2] > 0.1).any()


def test_pure_water_decays_exactly() -> None:
    anatomy = head_anatomy(SHAPE, 1)
    table = Gradients(np.array([0.0, 700, 3000]), np.array([[0.0, 0, 0], [1, 0, 0], [0, 0, 1]]))
    signal = synthesise(compartments(anatomy, 1), table)
    pure = anatomy.tissues["csf"][anatomy.mask] == 1
    s0 = b0_signal(anatomy, "csf", 1)[anatomy.mask][pure]
    assert pure.sum() > 100
    expected = s0[:, None] * np.exp(-table.bvals * WATER)
    np.testing.assert_allclose(signal[pure], expected, rtol=1e-5)


def test_b0s_are_alike_and_near_the_scanners_units(clean: Simulation) -> None:
    b0s = clean.truth[..., clean.scan.gradients.is_b0]
    np.testing.assert_array_equal(b0s, b0s[..., :1].repeat(3, axis=3))
    white = b0s[clean.tissues["wm"] > 0.9].mean()
    assert white == pytest.approx(B0_SIGNAL["wm"], rel=0.1)


def test_fa_is_high_along_one_fibre_and_nil_in_water(clean: Simulation) -> None:
    inner = clean.mask & (clean.tissues["wm"] > 0.9)
    single = inner & (clean.shares[..., 0] > 0.99)
    crossing = inner & (clean.shares[..., 1] > 0.3)
    assert np.median(clean.fa[single]) > 0.75
    assert np.median(clean.fa[crossing]) < 0.6
    water = clean.tissues["csf"] == 1
    assert clean.fa[water].max() < 0.01
    np.testing.assert_allclose(clean.md[water], WATER, rtol=0.01)
    off = np.abs((clean.v1 * clean.axes[..., 0, :]).sum(-1))[single]
    assert np.degrees(np.arccos(np.clip(off, 0, 1))).max() < 3


def test_neighbouring_single_fibres_point_alike(clean: Simulation) -> None:
    first = (clean.tissues["wm"] > 0.9) & (clean.shares[..., 0] > 0.99)
    pair = first[:, 1:] & first[:, :-1]
    along = np.abs((clean.axes[:, 1:, :, 0] * clean.axes[:, :-1, :, 0]).sum(-1))[pair]
    assert np.median(np.degrees(np.arccos(np.clip(along, 0, 1)))) < 5


def test_one_seed_one_phantom() -> None:
    one, same, other = (
        phantom((20, 24, 16), shells=((1000.0, 6),), seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.scan.data, same.scan.data)
    np.testing.assert_array_equal(one.sigma, same.sigma)
    moved = sum(np.abs(one.tissues[t] - other.tissues[t]) for t in one.tissues)
    assert moved[one.mask].mean() > 0.2
    assert np.abs((one.axes[..., 0, :] * other.axes[..., 0, :]).sum(-1)).mean() < 0.95


@pytest.mark.parametrize("noise", ["gaussian", "rician", "nc-chi", "kspace"])
@pytest.mark.parametrize("sigma_map", ["uniform", "gfactor"])
def test_snr_is_the_white_b0_over_the_mean_sigma(noise: str, sigma_map: str) -> None:
    simulated = phantom(
        (24, 28, 20),
        shells=((1000.0, 6),),
        n_b0=12,
        snr=25,
        noise=noise,
        coils=2 if noise in ("nc-chi", "kspace") else 1,
        sigma_map=sigma_map,
        seed=2,
    )
    b0s = simulated.scan.gradients.is_b0
    white = simulated.truth[..., b0s][simulated.tissues["wm"] > 0.5].mean()
    assert white / simulated.sigma[simulated.mask].mean() == pytest.approx(25, rel=0.01)
    bright = simulated.mask & (
        simulated.truth[..., 0] > 400
    )  # there one channel's σ is the image's sd
    error = (simulated.scan.data - simulated.truth)[..., b0s][bright] / simulated.sigma[bright][
        :, None
    ]
    assert error.std() == pytest.approx(1, rel=0.02)


def test_gaussian_scans_are_magnitudes_and_say_what_was_cut() -> None:
    simulated = phantom((20, 24, 16), shells=((1000.0, 6),), noise="gaussian", snr=10)
    assert simulated.scan.data.min() == 0
    assert simulated.record["clipped_below_zero"] == (simulated.scan.data == 0).sum() > 0


def test_partial_fourier_noise_is_correlated_along_y_and_the_truth_is_not_blurred() -> None:
    simulated, plain = (
        phantom(
            (32, 36, 28), shells=((1000.0, 6),), n_b0=1, noise="gaussian", snr=50, **how, seed=3
        )
        for how in ({"partial_fourier": 0.75}, {})
    )
    np.testing.assert_array_equal(simulated.truth, plain.truth)
    for sim, expected in ((simulated, 0.212), (plain, 0.0)):
        noise = (sim.scan.data - sim.truth)[..., 1]
        both = sim.mask[:, 1:] & sim.mask[:, :-1] & (sim.truth[:, :-1, :, 1] > 150)
        lag = np.corrcoef(noise[:, 1:][both], noise[:, :-1][both])[0, 1]
        assert lag == pytest.approx(expected, abs=0.04)


def test_without_noise_the_scan_is_the_truth(clean: Simulation) -> None:
    np.testing.assert_array_equal(clean.scan.data, clean.truth)
    assert clean.scan.data is not clean.truth
    assert not clean.sigma.any()
    assert clean.scan.mask is None
    assert np.linalg.det(clean.scan.affine[:3, :3]) < 0
    assert clean.scan.voxel_size == pytest.approx((2.5, 2.5, 2.5))


def test_lesions_change_what_they_say_and_nothing_else(
    clean: Simulation, injured: Simulation
) -> None:
    lesions = injured.record["lesions"]
    assert {lesion["kind"] for lesion in lesions} == {"diffusivity", "fibre", "direction"}
    changed = np.abs(injured.truth - clean.truth)
    assert not changed[injured.tissues["lesion"] == 0].any()
    n = len(clean.scan.gradients)
    for lesion in lesions:
        inside_it = injured.lesions == lesion["label"]
        assert inside_it.sum() > 20
        relative = (changed[inside_it] / clean.truth[inside_it]).mean(axis=0)
        moved = np.flatnonzero(relative > 1e-6)
        assert moved.tolist() == list(lesion["volumes"])
        if lesion["kind"] == "direction":
            assert len(moved) == 1
            assert 0.25 < relative[moved[0]] <= 0.4 + 1e-5
        elif lesion["kind"] == "fibre":
            assert relative.max() > 0.05
            assert len(moved) == n - 3
        else:
            assert len(moved) == n
            assert injured.fa[inside_it].mean() < clean.fa[inside_it].mean() - 0.1
    np.testing.assert_allclose(sum(injured.tissues.values()), clean.mask, atol=1e-5)


def test_a_scheme_without_a_tensor_gets_its_metrics_from_its_own() -> None:
    simulated = phantom((20, 24, 16), shells=((3000.0, 8),), n_b0=1)
    usual = phantom((20, 24, 16), shells=((1000.0, 30),), n_b0=1)
    assert "of its own" in simulated.record["tensor"]
    white = usual.tissues["wm"] > 0.8
    np.testing.assert_allclose(simulated.fa[white], usual.fa[white], atol=0.02)


@pytest.mark.parametrize("shape", [(24, 30, 1), (9, 9, 9), (31, 20, 5)])
def test_odd_grids_hold_all_tissues(shape: tuple[int, int, int]) -> None:
    simulated = phantom(shape, shells=((1000.0, 6),), n_b0=1)
    assert simulated.truth.shape == (*shape, 7)
    assert all((simulated.tissues[t] > 0.4).any() for t in ("wm", "gm", "csf"))
    assert np.isfinite(simulated.scan.data).all()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"noise": "rice"}, Code.ARGUMENT_VALUE),
        ({"snr": 0.0}, Code.ARGUMENT_VALUE),
        ({"coils": 0}, Code.ARGUMENT_VALUE),
        ({"noise": "rician", "coils": 4}, Code.ARGUMENT_CONFLICT),
        ({"sigma_map": "g"}, Code.ARGUMENT_VALUE),
        ({"voxel": 0.0}, Code.ARGUMENT_VALUE),
        ({"shape": (2, 2, 9)}, Code.ARGUMENT_VALUE),
        ({"b0_place": "middle"}, Code.ARGUMENT_VALUE),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], code: Code) -> None:
    with refused(code):
        phantom(**{"shape": (20, 24, 16), **wrong})


def test_shapes_keep_their_volume() -> None:
    distances = np.linspace(-6, 6, 241)[:, None, None]
    assert inside(distances).sum() * 0.05 == pytest.approx(6, abs=0.06)
    for half in (0.3, 0.8, 2.0):
        assert sheet(distances, half).sum() * 0.05 == pytest.approx(2 * half, abs=0.02)
    frame = Frame((24, 24, 24))
    occupancy, axes = tube(frame, np.array([[0, 0, -1.5], [0, 0, 0], [0, 0, 1.5]]), 5.0)
    assert occupancy.sum() == pytest.approx(np.pi * 25 * 24, rel=0.02)
    np.testing.assert_allclose(np.abs(axes[occupancy > 0][:, 2]), 1, atol=1e-6)


def test_the_record_is_plain(clean: Simulation) -> None:
    import json

    record = json.loads(json.dumps(clean.record))
    assert record["noise"]["kind"] == "none"
    assert record["seed"] == 5
    assert replace(clean, record={}).record == {}
