"""Volumes that are no measurement of their own are told from those that are."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.prepare.measured_scan import measured_scan
from dwiser.prepare.volume_roles import VolumeRoles, numbers, ranges
from dwiser.prepare.volumes import volume_roles
from dwiser.run.noise_volumes import noise_numbers
from dwiser.scan import Gradients, Scan
from dwiser.simulation import Simulation, phantom
from tests.refusals import refused

SHAPE = (24, 24, 10)


@pytest.fixture(scope="module")
def made() -> Simulation:
    """3 b0s and 16 directions."""
    return phantom(SHAPE, shells=((1000.0, 16),), n_b0=3, snr=20.0, seed=3)


def longer(
    scan: Scan, *volumes: np.ndarray, bval: float = 1000.0, place: int | None = None
) -> Scan:
    """The scan with these volumes put at a place, at the end by default."""
    place = scan.shape[3] if place is None else place
    table, n = scan.gradients, len(volumes)
    data = np.insert(scan.data, [place] * n, np.stack(volumes, -1), axis=3)
    bvals = np.insert(table.bvals, [place] * n, bval)
    bvecs = np.insert(table.bvecs, [place] * n, (1.0, 0, 0), axis=0)
    return Scan(data, scan.affine, Gradients(bvals, bvecs))


@pytest.mark.parametrize(
    "settings",
    [
        {"snr": 4.0}, {"snr": 100.0}, {"snr": 1000.0}, {"noise": "nc-chi", "coils": 8},
        {"shells": ((1000.0, 12), (3000.0, 12), (10000.0, 12)), "snr": 15.0},
        {"shells": ((1000.0, 3),), "n_b0": 1},
        {"shells": ((1000.0, 6),), "n_b0": 12, "snr": 50.0},
    ],
)  # fmt: skip
def test_measurements_are_plain_whatever_their_noise(settings) -> None:
    scan = phantom(SHAPE, **({"shells": ((1000.0, 16),), "n_b0": 3, "seed": 3} | settings)).scan
    roles = volume_roles(scan)
    assert roles.plain
    assert measured_scan(scan, roles) is scan


def test_repeats_of_one_image_are_plain() -> None:
    made = phantom(SHAPE, shells=((1000.0, 6),), n_b0=8, snr=20.0, seed=3)
    b0s = np.flatnonzero(made.scan.gradients.is_b0)
    table = made.scan.gradients.take(b0s)
    assert volume_roles(Scan(made.scan.data[..., b0s], made.scan.affine, table)).plain


def test_equal_volumes_of_a_scan_without_noise_are_repeats() -> None:
    scan = phantom(SHAPE, shells=((1000.0, 16),), n_b0=3, noise="none", seed=3).scan
    assert volume_roles(scan).plain


@pytest.mark.parametrize("kind", ["arithmetic", "geometric"])
@pytest.mark.parametrize("members", [(4, 7), (2, 5, 9), "all"])
@pytest.mark.parametrize("form", ["exact", "rounded", "seven times", "first"])
def test_a_mean_of_any_volumes_is_named_in_any_form(made, kind, members, form) -> None:
    dwis = np.flatnonzero(~made.scan.gradients.is_b0)
    chosen = dwis if members == "all" else dwis[list(members)]
    values = made.scan.data[..., chosen].astype(float)
    mean = values.mean(-1) if kind == "arithmetic" else np.exp(np.log(values.clip(1e-6)).mean(-1))
    mean = {"rounded": np.round(mean), "seven times": 7 * mean}.get(form, mean)
    place = 0 if form == "first" else made.scan.shape[3]
    roles = volume_roles(longer(made.scan, mean, place=place))
    assert list(roles.unchanged) == [place]
    assert f"mean of {len(chosen)} others" in roles.unchanged[place]


@pytest.mark.parametrize(("scale", "form"), [(1.0, np.round), (2.5, np.round), (0.3, np.asarray)])
def test_a_copy_that_was_rounded_or_scaled_is_one(made, scale, form) -> None:
    n = made.scan.shape[3]
    roles = volume_roles(longer(made.scan, form(scale * made.scan.data[..., 6])))
    assert dict(roles.copies) == {n: 6}
    assert roles.scales[n] == pytest.approx(scale, rel=0.01)
    assert not roles.unchanged


def test_voxels_that_outshine_all_others_make_no_copies(made) -> None:
    data = made.scan.data.copy()
    data[::7, ::5, ::4] += 1e6
    assert volume_roles(replace(made.scan, data=data)).plain


def test_a_direction_that_was_measured_twice_is_no_copy(made) -> None:
    signal = made.truth[..., 6]
    noise = np.random.default_rng(1).standard_normal((2, *SHAPE)) * made.sigma
    again = np.hypot(signal + noise[0], noise[1])
    assert volume_roles(longer(made.scan, again)).plain


def test_several_kinds_at_once_each_by_its_place(made) -> None:
    data = made.scan.data
    dwis = np.flatnonzero(~made.scan.gradients.is_b0)
    mean = data[..., dwis].mean(-1)
    scan = longer(made.scan, mean, mean, np.zeros(SHAPE), data[..., 6])
    roles = volume_roles(scan)
    n = made.scan.shape[3]
    assert set(roles.unchanged) == {n, n + 1, n + 2}  # a copy of a mean comes back unchanged too
    assert dict(roles.copies) == {n + 3: 6}
    assert roles.measured.tolist() == list(range(n))
    np.testing.assert_array_equal(measured_scan(scan, roles).data, data)


def test_the_measured_scan_has_the_table_of_the_scan_alone_to_the_bit(made) -> None:
    scan = longer(made.scan, np.zeros(SHAPE), place=5)
    part = measured_scan(scan, volume_roles(scan))
    for name in ("bvals", "bvecs"):
        whole = np.delete(getattr(scan.gradients, name), 5, axis=0)
        np.testing.assert_array_equal(getattr(part.gradients, name), whole)
    assert part.gradients.number(5) == 6


def test_rounded_noise_and_dark_air_are_no_empty_places(made) -> None:
    coarse = np.floor(made.scan.data / 30)
    assert (coarse == 0).mean() > 0.05
    assert volume_roles(replace(made.scan, data=coarse)).plain


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_empty_part_of_a_volume_is_filled_like_the_rest(made, axis) -> None:
    data = made.scan.data.copy()
    part = tuple(slice(12, 18) if a == axis else slice(None) for a in range(3))
    part = tuple(slice(5, 7) if a == axis == 2 else p for a, p in enumerate(part))
    data[..., 8][part] = 0
    scan = replace(made.scan, data=data)
    roles = volume_roles(scan)
    assert list(roles.empty_regions) == [8]
    filled = measured_scan(scan, roles).data
    inside = np.zeros(SHAPE, bool)
    inside[part] = True
    inside &= made.mask
    off = (filled - made.truth[..., 8:9])[inside] / made.sigma[inside][:, None]
    rmse = np.sqrt(np.mean(off**2, 0))
    assert 0.9 < rmse[8] < 1.7  # noise as a measurement has, and what 16 directions cannot predict
    assert rmse[8] < np.delete(rmse, 8).min()  # any other volume in its place is further off
    outside = ~roles.empty_regions[8]
    np.testing.assert_array_equal(filled[outside], data[outside])


def noise_volumes(sigma: np.ndarray, count: int, coils: int = 1) -> np.ndarray:
    draw = np.random.default_rng(0).standard_normal((2 * coils, *sigma.shape, count))
    return sigma[..., None] * np.sqrt(np.square(draw).sum(0))


@pytest.mark.parametrize("coils", [1, 8])
def test_noise_volumes_tell_sigma_and_channels(coils) -> None:
    kind = {"noise": "nc-chi", "coils": coils} if coils > 1 else {}
    made = phantom(
        SHAPE, shells=((1000.0, 16),), n_b0=3, snr=20.0, seed=3, sigma_map="gfactor", **kind
    )
    volumes = np.moveaxis(noise_volumes(made.sigma, 4, coils), 3, 0)
    scan = longer(made.scan, *volumes, bval=0.0)
    roles = volume_roles(scan)
    assert roles.noise == (19, 20, 21, 22)
    part = measured_scan(scan, roles)
    assert part.coils == pytest.approx(coils, rel=0.1)
    ratio = part.sigma[made.mask] / made.sigma[made.mask]
    assert abs(np.median(ratio) - 1) < 0.05
    assert ratio.std() < 0.08


def test_the_scan_says_which_volumes_are_noise(made) -> None:
    volumes = np.moveaxis(noise_volumes(made.sigma, 2), 3, 0)
    scan = longer(made.scan, *volumes, bval=0.0)
    assert volume_roles(scan).noise == (19, 20)
    assert volume_roles(replace(scan, noise_volumes=())).noise == ()
    assert volume_roles(replace(scan, noise_volumes=(20,))).noise == (20,)
    with refused(Code.ARGUMENT_VALUE, "noise volume 21", "0 to 20"):
        volume_roles(replace(scan, noise_volumes=(20, 21)))


def test_a_b0_that_dropped_out_is_no_noise(made) -> None:
    data = made.scan.data.copy()
    b0 = int(np.flatnonzero(made.scan.gradients.is_b0)[1])
    data[..., b0] *= 0.1
    assert volume_roles(replace(made.scan, data=data)).noise == ()


@pytest.mark.parametrize("text", ["0", "3, 5-8", "0-2, 9"])
def test_ranges_and_numbers_are_inverse(text) -> None:
    assert ranges(numbers(text)) == text


@pytest.mark.parametrize("text", ["", "a", "5-3", "-1", "1-", "2 3"])
def test_what_is_no_range_is_refused(text) -> None:
    with refused(Code.ARGUMENT_VALUE, "--noise-volumes", "70-72"):
        noise_numbers(text)


def test_roles_of_a_part_are_counted_from_its_first() -> None:
    region = np.ones((1, 1, 1), bool)
    roles = VolumeRoles(8, {1: "empty", 6: "empty"}, {5: 4, 7: 0}, {4: region}, (6,))
    part = roles.part(slice(4, 8))
    assert part.count == 4
    assert dict(part.unchanged) == {2: "empty"}
    assert dict(part.copies) == {1: 0}  # what repeats a volume of another part is measured there
    assert list(part.empty_regions) == [0]
    assert part.noise == (2,)
    assert part.measured.tolist() == [0, 3]
