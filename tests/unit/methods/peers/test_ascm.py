"""ASCM: what the matching must keep, and the poster's settings."""

import numpy as np
import pytest

from dwiser.methods.peers.ascm import matched
from dwiser.methods.registry import build


@pytest.mark.parametrize("shape", [(16, 16, 3), (5, 16, 7), (10, 1, 12), (17, 9, 12)])
def test_two_filters_that_agree_are_the_result(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    image, filtered = rng.normal(100, 10, (2, *shape))
    np.testing.assert_allclose(matched(image, filtered, filtered, 10.0), filtered, atol=1e-9)


def test_what_is_matched_lies_nearer_to_the_smooth_one_where_there_is_noise_only() -> None:
    rng = np.random.default_rng(1)
    fine, coarse = rng.normal(100, 4, (32, 32, 32)), np.full((32, 32, 32), 100.0)
    image = rng.normal(100, 10, (32, 32, 32))
    faint = matched(image, fine, coarse, 1000.0)
    strong = matched(image * 100, fine, coarse, 1.0)
    assert (faint - 100).std() < (strong - 100).std() <= (fine - 100).std()


def test_the_papers_preset_is_dipys_example(small, machine) -> None:
    paper = build("ascm", "paper")
    assert (paper.block_radius, paper.sigma, paper.algorithm) == (1, "estimate", "blockwise")
    laptop = build("ascm", "laptop")
    assert (laptop.block_radius, laptop.sigma, laptop.algorithm) == (3, "map", "classic")
