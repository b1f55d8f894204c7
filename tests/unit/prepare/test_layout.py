"""Shells, mask, scale, box and stack: what goes in comes out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwiser.prepare.box import Box
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.scale import Scale
from dwiser.prepare.shells import shell_table, shells
from dwiser.prepare.stack import build_stack
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream
from dwiser.simulation import Simulation, phantom

X = np.array([1.0, 0.0, 0.0])


def gradients(bvals: list[float]) -> Gradients:
    return Gradients(np.array(bvals, float), np.tile(X, (len(bvals), 1)))


def test_shells_are_runs_of_sorted_bvalues() -> None:
    groups = shells(gradients([1005, 0, 2950, 995, 5, 3040, 2000, 1040]))
    assert [s.volumes.tolist() for s in groups] == [[1, 4], [0, 3, 7], [6], [2, 5]]
    assert [s.is_b0 for s in groups] == [True, False, False, False]


def test_a_gap_of_fifty_or_five_percent_makes_a_new_shell() -> None:
    assert len(shells(gradients([700, 749]))) == 1
    assert len(shells(gradients([700, 750]))) == 2
    assert len(shells(gradients([4000, 4150]))) == 1  # 3.75 %
    assert len(shells(gradients([4000, 4201]))) == 2


def test_the_shell_table_counts_volumes() -> None:
    assert shell_table(gradients([0, 1000, 1000])) == [
        {"bval": 0.0, "volumes": 1},
        {"bval": 1000.0, "volumes": 2},
    ]


def test_a_scan_without_b0_has_no_b0_shell() -> None:
    assert [s.is_b0 for s in shells(gradients([1000, 2000]))] == [False, False]


@given(st.integers(0, 2**31), st.floats(1e-3, 1e5))
def test_scaling_is_undone_exactly_enough(seed: int, top: float) -> None:
    data = (top * stream(seed, "scale").random((4, 3, 2, 5))).astype(np.float32)
    scale = Scale.of(data)
    for v in range(5):
        unit = scale.to_unit(data[..., v], v)
        assert unit.min() >= -1
        assert unit.max() == 1
        np.testing.assert_allclose(scale.from_unit(unit, v), data[..., v], atol=top * 2e-7)


def test_an_all_zero_volume_stays_zero() -> None:
    data = np.zeros((2, 2, 2, 2), np.float32)
    data[..., 1] = 3
    scale = Scale.of(data)
    assert (scale.from_unit(scale.to_unit(data[..., 0], 0), 0) == 0).all()


def test_the_box_is_the_smallest_that_holds_the_mask() -> None:
    mask = np.zeros((9, 8, 7), bool)
    mask[2:5, 3, 6] = True
    assert Box.around(mask) == Box(slice(2, 5), slice(3, 4), slice(6, 7))
    assert Box.full(mask.shape).index == (slice(0, 9), slice(0, 8), slice(0, 7))


def test_the_otsu_mask_covers_the_object_and_leaves_the_background() -> None:
    s = phantom(shape=(40, 44, 20), shells=((1000.0, 8),), n_b0=2, snr=15, seed=2)
    mask = object_mask(s.scan)
    assert mask[s.mask].mean() > 0.97
    assert mask[~s.mask].mean() < 0.4


def test_fluid_is_dark_in_the_dwis_and_in_the_mask_all_the_same() -> None:
    s = phantom(shape=(65, 78, 12), shells=((2000.0, 12),), n_b0=2, snr=25, seed=6)
    dwis = np.flatnonzero(~s.scan.gradients.is_b0)
    alone = replace(s.scan, data=s.scan.data[..., dwis], gradients=gradients([2000] * len(dwis)))
    assert object_mask(alone)[s.mask].mean() < 0.99
    assert object_mask(s.scan)[s.mask].mean() > 0.999


@pytest.mark.parametrize(("snr", "coils"), [(5, 1), (10, 4), (20, 32)])
def test_a_noise_floor_that_is_bright_is_background_all_the_same(snr: float, coils: int) -> None:
    s = phantom(
        shape=(40, 44, 20), shells=((1000.0, 16),), n_b0=2, snr=snr, noise="nc-chi", coils=coils,
        seed=2,
    )  # fmt: skip
    mask = object_mask(s.scan)
    assert mask[s.mask].mean() > 0.95
    assert mask[~s.mask].mean() < 0.35
    inside = replace(s.scan, data=s.scan.data[12:-12, 12:-12, 4:-4].copy())
    assert object_mask(inside).all()  # tissue as noisy as that is none


def test_a_crop_without_background_is_taken_whole() -> None:
    data = 100 + 10 * stream(0, "flat").random((8, 8, 4, 7)).astype(np.float32)
    assert object_mask(Scan(data, np.eye(4), gradients([0, *[1000] * 6]))).all()


def magnitudes(signal: np.ndarray, sigma: float) -> np.ndarray:
    noise = stream(3, "magnitudes").normal(0, sigma, (2, *signal.shape))
    return np.hypot(signal + noise[0], noise[1]).astype(np.float32)


@pytest.mark.parametrize("bvals", [[0] * 8, [0, *[700] * 7], [0, 0, *[300] * 6, *[1500] * 12]])
def test_in_a_crop_fluid_does_not_make_background_of_tissue(bvals: list[int]) -> None:
    """Fluid has three times the b0 signal of tissue, which decays: it is not noise."""
    tissue = 100 + 8 * stream(1, "texture").normal(size=(20, 20, 6))
    tissue[6:12, 5:11, 2:5] *= 3
    diffusivity = np.where(tissue > 200, 3e-3, 0.8e-3)
    signal = tissue[..., None] * np.exp(-diffusivity[..., None] * np.array(bvals, float))
    assert object_mask(Scan(magnitudes(signal, 7), np.eye(4), gradients(bvals))).all()


def test_what_is_small_or_dim_is_the_object_too_if_it_is_no_noise() -> None:
    """A tube beside a large one; a rim of a sixth of the signal, where noise is left behind it."""
    x, y = np.indices((60, 60))
    tubes = (np.hypot(x - 22, y - 22) < 14) | (np.hypot(x - 50, y - 50) < 2.5)
    rim = np.hypot(x - 22, y - 22) < 20
    bvals = [0, *[500] * 12]
    decay = np.exp(-1e-3 * np.array(bvals))
    for plane in (300.0 * tubes, np.where(tubes, 300.0, 90.0 * rim)):
        signal = np.repeat(plane[:, :, None, None], 6, 2) * decay
        mask = object_mask(Scan(magnitudes(signal, 12), np.eye(4), gradients(bvals)))
        assert mask[plane > 0].all()
        assert mask[plane == 0].mean() < 0.4


def test_voxels_the_scanner_zeroed_are_not_in_the_mask(small: Simulation) -> None:
    data = small.scan.data.copy()
    data[:3] = 0
    scan = Scan(data, small.scan.affine, small.scan.gradients)
    assert not object_mask(scan)[:3].any()


@pytest.mark.parametrize("pairing", ["adjacent", "angular", "predicted"])
@pytest.mark.parametrize("crop", [True, False])
def test_restoring_an_untouched_stack_gives_the_scan_back(small, pairing, crop) -> None:
    sigma = sigma_map(small.scan, small.mask)
    stack = build_stack(
        small.scan, small.mask, sigma, pairing=pairing, neighbour="shell", fewest_b0s=2, crop=crop
    )
    back = stack.restore(small.scan.data, stack.target)
    np.testing.assert_allclose(back, small.scan.data, atol=1e-4 * small.scan.data.max())
    assert (back[~small.mask] == small.scan.data[~small.mask]).all()
    changed = stack.restore(small.scan.data, np.zeros_like(stack.target))
    assert (changed[~small.mask] == small.scan.data[~small.mask]).all()
    assert (changed[small.mask] != small.scan.data[small.mask]).mean() > 0.99


def test_a_stack_pairs_the_same_place_in_both_volumes(small: Simulation) -> None:
    sigma = sigma_map(small.scan, small.mask)
    stack = build_stack(
        small.scan,
        small.mask,
        sigma,
        pairing="adjacent",
        neighbour="shell",
        fewest_b0s=2,
        crop=False,
    )
    k, z = 3, 4
    volume, partner = stack.plan.volumes[k], stack.plan.partners[k]
    for stored, v in ((stack.target[k, z], volume), (stack.neighbour[k, z], partner)):
        raw = small.scan.data[:, :, z, v]
        np.testing.assert_allclose(stored, 2 * raw / small.scan.data[..., v].max() - 1, atol=1e-5)
