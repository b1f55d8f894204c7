"""Which volumes a tensor is fitted to, and where there is none to be had."""

import numpy as np
import pytest

from dwiser.methods.splitq.angular_response import response_shells, tensor_design
from dwiser.scan import Gradients
from dwiser.seeds import stream


def spread(count: int) -> np.ndarray:
    vectors = stream(0, "spread").standard_normal((count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def table(*bvals: float | int) -> Gradients:
    return Gradients(np.array(bvals, float), spread(len(bvals)))


def fitted(gradients: Gradients, shared: np.ndarray | None = None) -> list[int] | None:
    design = tensor_design(gradients, shared)
    if design is None:
        return None
    assert design[1].design.shape == (len(design[0]), 7)
    return design[0].tolist()


def test_a_shell_is_fitted_to_whole_or_not_at_all() -> None:
    jitter = [1499.5, 1505.5] * 10
    assert fitted(table(0, *jitter, *[3000] * 20)) == list(range(21))
    assert fitted(table(0, *[700] * 8, *jitter, *[3000] * 20)) == list(range(29))


def test_a_single_high_shell_is_fitted_to_and_of_two_the_lower() -> None:
    assert fitted(table(0, *[2000] * 12)) == list(range(13))
    assert fitted(table(0, *[3000] * 12, *[2000] * 12)) == [0, *range(13, 25)]


def test_without_a_b0_two_shells_tell_and_one_does_not() -> None:
    assert fitted(table(*[1000] * 20, *[1400] * 20)) == list(range(40))
    assert fitted(table(*[1000] * 20, *[2500] * 20)) == list(range(40))
    assert fitted(table(*[1000] * 20)) is None
    jittered = 1000 + stream(1, "jitter").uniform(-5, 5, 40)
    assert fitted(table(*jittered)) is None


@pytest.mark.parametrize("off", [0.0, 0.01])
def test_directions_in_a_plane_tell_no_tensor(off: float) -> None:
    rng = stream(2, "plane")
    angle = rng.uniform(0, np.pi, 30)
    plane = np.stack([np.cos(angle), np.sin(angle), off * rng.standard_normal(30)], 1)
    plane /= np.linalg.norm(plane, axis=1, keepdims=True)
    bvals = np.r_[0.0, np.full(29, 1000.0)]
    assert fitted(Gradients(bvals, plane)) is None
    assert response_shells(Gradients(bvals, plane), np.arange(30)) == ()


def test_one_direction_five_directions_or_no_dwi_tell_none() -> None:
    same = np.tile([0.6, 0.8, 0.0], (13, 1))
    assert fitted(Gradients(np.r_[0.0, np.full(12, 1000.0)], same)) is None
    assert fitted(table(0, 0, 0, *[1000] * 5)) is None
    assert fitted(table(*[0] * 12)) is None


def test_a_volume_that_stands_apart_stays_out_and_a_lone_b0_does_not() -> None:
    gradients = table(0, *[1000] * 20)
    shared = np.setdiff1d(np.arange(21), [0, 7])
    assert fitted(gradients, shared) == [v for v in range(21) if v != 7]


def test_a_shell_of_five_directions_has_no_response() -> None:
    gradients = table(0, *[700] * 5, *[1000] * 6, *[2000] * 20)
    design = response_shells(gradients, np.arange(32))
    assert [(s.bval, len(s.volumes)) for s in design] == [(1000, 6), (2000, 20)]
    without_b0 = response_shells(gradients, np.arange(1, 32))  # alone, and in the tensor
    assert [s.bval for s in without_b0] == [1000, 2000]
    assert [s.bval for s in response_shells(gradients, np.r_[0:6, 7:32])] == [2000]
