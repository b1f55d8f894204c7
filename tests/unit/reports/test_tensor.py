"""Colour FA against closed forms."""

import numpy as np
import pytest

from dwiser.errors import InputError
from dwiser.evaluation.tensor import tensor_volumes
from dwiser.reports.tensor import colour_fa, highest_b
from dwiser.scan import Gradients
from dwiser.seeds import stream

ALONG, ACROSS = 1.7e-3, 0.3e-3  # mm²/s


def table(shells: dict[float, int]) -> Gradients:
    """``shells``: b-value → how many volumes, in random directions."""
    bvals = np.repeat(list(shells), list(shells.values())).astype(float)
    bvecs = stream(0, "directions").normal(size=(len(bvals), 3))
    return Gradients(bvals, bvecs / np.linalg.norm(bvecs, axis=1)[:, None])


def fibre(direction: np.ndarray, gradients: Gradients) -> np.ndarray:
    """(2, 1, 1, V): the signal of one fibre, 1000 at b = 0, in two voxels."""
    cosine = gradients.bvecs @ direction
    decay = np.exp(-gradients.bvals * (ACROSS + (ALONG - ACROSS) * cosine**2))
    return np.broadcast_to(1000 * decay, (2, 1, 1, len(gradients))).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_fibre_along_an_axis_has_its_colour_as_bright_as_its_fa(axis):
    gradients = table({0: 1, 1000: 20})
    mask = np.array([True, False]).reshape(2, 1, 1)
    colours = colour_fa(fibre(np.eye(3)[axis], gradients), gradients, mask)
    fa = (ALONG - ACROSS) / np.sqrt(ALONG**2 + 2 * ACROSS**2)
    assert np.allclose(colours[0, 0, 0], fa * np.eye(3)[axis], atol=1e-3)
    assert not colours[1].any()


def test_an_oblique_fibre_mixes_the_colours_of_its_components():
    gradients = table({0: 2, 1000: 20})
    direction = np.array([0.6, -0.8, 0.0])
    colour = colour_fa(fibre(direction, gradients), gradients, np.ones((2, 1, 1), bool))[0, 0, 0]
    assert np.allclose(colour / np.linalg.norm(colour), np.abs(direction), atol=1e-3)


def test_high_b_values_do_not_enter_where_low_ones_suffice():
    gradients = table({0: 1, 1000: 12, 3000: 12})
    clean = fibre(np.eye(3)[0], gradients)
    spoilt = np.where(gradients.bvals > 1500, 500.0, clean).astype(np.float32)
    mask = np.ones((2, 1, 1), bool)
    assert np.array_equal(colour_fa(clean, gradients, mask), colour_fa(spoilt, gradients, mask))


@pytest.mark.parametrize(
    ("shells", "used"),
    [
        ({0: 1, 1000: 6}, 7),
        ({0: 1, 1000: 3, 3000: 12}, 16),  # too few low ones: all
        ({700: 10, 1400: 10}, 20),  # no b0, but two shells
        ({0: 1, 2800: 30}, 31),
    ],
)
def test_volumes_used(shells, used):
    gradients = table(shells)
    assert len(tensor_volumes(gradients, highest_b(gradients))) == used


@pytest.mark.parametrize("shells", [{0: 5, 1000: 5}, {1000: 30}, {995: 10, 1000: 10}])
def test_a_table_without_a_tensor_in_it_is_refused(shells):
    gradients = table(shells)
    highest = highest_b(gradients)
    with pytest.raises(InputError, match="tensor"):
        tensor_volumes(gradients, highest)
