"""Stage II: a noisy image is found where its noise says it is."""

import numpy as np
import pytest

from dwiser.chain.schedule import Schedule
from dwiser.methods.ddm2.noise_matching import matched_state
from dwiser.seeds import stream

S = Schedule()


def image(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, (12, 12)).repeat(8, 0).repeat(8, 1)


@pytest.mark.parametrize("t", [20, 100, 300, 420, 700])
def test_an_image_put_on_the_chain_is_found_there(t: int) -> None:
    rng = stream(t, "match")
    clean = image(rng)
    level = float(S.level(t))
    noisy = level * clean + (1 - level**2) ** 0.5 * rng.standard_normal(clean.shape)
    assert matched_state(S, noisy, clean) == pytest.approx(t, rel=0.05)


@pytest.mark.parametrize("sd", [0.02, 0.05, 0.1])
def test_noise_of_known_sd_is_found_at_that_level(sd: float) -> None:
    rng = stream(1, "match")
    clean = image(rng) * 0.5
    t = matched_state(S, clean + sd * rng.standard_normal(clean.shape), clean)
    assert (1 - float(S.level(t)) ** 2) ** 0.5 == pytest.approx(sd, rel=0.05)


def distance(x: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """How far each state's sd is from that of x − level·x̂."""
    level = S.level(np.arange(1, S.length + 1))
    return np.abs([(x - s * clean).std() - np.sqrt(1 - s**2) for s in level])


def test_the_first_state_that_matches_is_taken_where_two_do() -> None:
    """Only for a variance above 1, which no image in [−1, 1] has."""
    x = 1.7 * stream(4, "match").standard_normal((30, 30))
    nearest = 1 + distance(x, x).argmin()
    assert nearest > 500
    assert matched_state(S, x, x) == 1


@pytest.mark.parametrize("share", [-1.0, -0.3, 0.0, 0.5, 1.0, 1.3])
def test_in_the_networks_units_the_first_is_the_nearest(share: float) -> None:
    rng = stream(6, "match")
    x = rng.uniform(-1, 1, (30, 30))
    clean = share * x + 0.1 * rng.standard_normal(x.shape)
    assert matched_state(S, x, clean) == 1 + distance(x, clean).argmin()


def test_pixels_outside_do_not_count() -> None:
    rng = stream(2, "match")
    clean = image(rng)
    noisy = clean + 0.05 * rng.standard_normal(clean.shape)
    where = np.zeros(clean.shape, bool)
    where[10:80, 10:80] = True
    wild = np.where(where, noisy, 100.0)
    assert matched_state(S, wild, clean, where) == matched_state(
        S, noisy[10:80, 10:80], clean[10:80, 10:80]
    )


def test_an_image_without_noise_is_at_the_clean_end() -> None:
    clean = image(stream(3, "match"))
    assert matched_state(S, clean, clean) == 1
