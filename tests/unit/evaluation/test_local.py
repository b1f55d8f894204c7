import numpy as np
import pytest

from dwiser.evaluation import local
from dwiser.evaluation.groups import volume_groups
from dwiser.evaluation.local import _smooth, _smooth_squared, spots
from dwiser.evaluation.noise_floor import floor_doubt, noise_floor
from dwiser.evaluation.residual import Residual, residual
from dwiser.simulation.scheme import scheme

SHAPE = (22, 20, 18)
TABLE = scheme([(1000.0, 24)], n_b0=2, b0_place="first")
RNG = np.random.default_rng(0)
MASK = RNG.uniform(size=SHAPE) > 0.1


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(*SHAPE, len(TABLE)))


def strongest(z: np.ndarray):
    standard = z[MASK].astype(np.float32)
    return {s.group: s for s in spots(Residual(standard, "gaussian", MASK), TABLE)}


def test_noise_of_any_scale_stays_below_the_limit():
    for seed in range(5):
        for scale in (1.0, 0.3):
            assert all(s.score < s.limit for s in strongest(scale * noise(seed)).values())


def test_the_sum_of_squared_kernel_weights_is_a_delta_s_image_squared_and_summed():
    inside = np.ones((15, 15, 15), np.float32)
    delta = np.zeros_like(inside)
    delta[7, 7, 7] = 1
    assert np.isclose(_smooth_squared(inside)[7, 7, 7], (_smooth(delta) ** 2).sum(), rtol=1e-4)


def test_a_spot_in_all_volumes_is_found_where_it_is_with_its_sign():
    z = noise(1)
    z[9:12, 8:11, 7:10, 2:] += 1.5
    spot = strongest(z)["b1000"]
    assert spot.score > spot.limit
    assert np.abs(np.array(spot.place) - [10, 9, 8]).max() <= 1
    assert 0.5 < spot.effect < 1.5


def test_a_spot_in_one_volume_is_found_in_it():
    z = noise(2)
    z[9:13, 8:12, 7:11, 13] -= 3
    spot = strongest(z)["b1000 single"]
    assert spot.score > spot.limit
    assert spot.volumes == (13,)
    assert spot.effect < -1


def test_a_spot_in_neighbouring_directions_is_found_in_their_window():
    z = noise(3)
    near = np.argsort(-np.abs(TABLE.bvecs @ TABLE.bvecs[5]))[:6]
    z[9:12, 8:11, 7:10, near] += 1.6
    spot = strongest(z)["b1000 neighbours"]
    assert spot.score > spot.limit
    assert 5 in spot.volumes


@pytest.mark.parametrize("thinnest", [1, 3])
def test_planes_at_a_time_find_the_same_spots(thinnest, monkeypatch):
    z = noise(5)
    z[9, 8, 7, 4] += 30
    whole = strongest(z)
    monkeypatch.setattr(local, "MOST_BYTES", 1)
    monkeypatch.setattr(local, "THINNEST", thinnest)
    again = strongest(z)
    for group, spot in whole.items():
        assert again[group].place == spot.place
        assert again[group].volumes == spot.volumes
        assert np.isclose(again[group].effect, spot.effect, rtol=1e-5)
        assert np.isclose(again[group].score, spot.score, rtol=1e-5)


def test_values_that_were_cut_off_to_steps_are_no_erased_structure() -> None:
    """A fibre whose signal is nothing along some directions, and the right answer for it."""
    rng, sigma, step = np.random.default_rng(5), 10.0, 8.0
    near = np.argsort(-np.abs(TABLE.bvecs @ TABLE.bvecs[5]))[:6]
    truth = np.full((*SHAPE, len(TABLE)), 6 * sigma)
    truth[8:13, 7:12, 6:11, near] = 0
    channels = truth + sigma * rng.normal(size=truth.shape), sigma * rng.normal(size=truth.shape)
    raw = np.floor(np.hypot(*channels) / step) * step
    denoised = (truth - step / 2).clip(0)
    images = (image.astype(np.float32) for image in (raw, denoised))
    raw, denoised = images
    noise = np.full(SHAPE, sigma, np.float32)
    left = residual(raw, denoised, MASK, noise)
    groups = {g.name: g.volumes for g in volume_groups(TABLE, pooled=False)}

    def score(step: float) -> float:
        doubts = {
            name: floor_doubt(
                noise_floor(denoised, noise, left, volumes), noise[left.mask], 1, step
            )
            for name, volumes in groups.items()
        }
        return max(s.score / s.limit for s in spots(left, TABLE, doubts))

    assert score(0.0) > 1
    assert score(step) < 1
