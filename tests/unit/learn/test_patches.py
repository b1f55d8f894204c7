"""Examples cut from a stack: one window and one flip for all images of an example."""

import numpy as np
import pytest

from dwiser.learn.patches import Cut, CutDraw, Example, drawn_flips, window
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.stack import Stack, build_stack
from dwiser.seeds import stream


@pytest.fixture(scope="module")
def stack(small) -> Stack:
    return build_stack(
        small.scan, small.mask, sigma_map(small.scan, small.mask),
        pairing="itself", neighbour="shell", fewest_b0s=4, crop=True,
    )  # fmt: skip


def test_without_a_pair_x_is_its_own_partner(stack: Stack) -> None:
    np.testing.assert_array_equal(stack.neighbour, stack.target)
    np.testing.assert_array_equal(stack.plan.partners, stack.plan.volumes)


@pytest.mark.parametrize("patch", [None, 8])
def test_input_and_target_are_cut_and_flipped_alike(stack: Stack, patch: int | None) -> None:
    def example(cut: Cut, rng: np.random.Generator) -> Example:
        image = cut.of(stack.target[cut.k, cut.z])[None]
        return Example(np.concatenate([image, 2 * image]), image, 0.5)

    draw = CutDraw(stack, example, 1, 5, patch)
    batch, again, other = draw(3), draw(3), draw(4)
    assert batch.inputs.shape[:2] == (5, 2)
    np.testing.assert_array_equal(batch.inputs[:, 0], batch.targets[:, 0])
    np.testing.assert_array_equal(batch.inputs, again.inputs)
    assert not np.array_equal(batch.inputs, other.inputs)
    assert batch.level is not None
    assert (batch.level == 0.5).all()


def test_all_four_flips_are_drawn_and_each_is_its_own_inverse() -> None:
    image = np.arange(6.0).reshape(2, 3)
    drawn = set()
    for i in range(40):
        cut = Cut(0, 0, (slice(None), slice(None)), drawn_flips(stream(i, "flips")))
        drawn.add(tuple(cut.of(image).ravel()))
        np.testing.assert_array_equal(cut.of(cut.of(image)), image)
    assert len(drawn) == 4


def test_a_slice_without_mask_still_has_windows() -> None:
    rows, columns = window(np.zeros((20, 30), bool), 8, stream(0, "window"))
    assert np.zeros((20, 30))[rows, columns].shape == (8, 8)
