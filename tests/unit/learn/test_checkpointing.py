"""A training that is broken off and goes on ends in the same bits as one that was not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dwiser.errors import Code
from dwiser.learn.checkpointing import Course, load_learned
from dwiser.methods.registry import build
from dwiser.scan import Scan
from dwiser.watch import Progress
from tests.refusals import refused

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
METHODS = ["difusion", "noise2noise", "ddm2", "splitnet", "deep_image_prior"]


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def slab(small) -> Scan:
    return replace(small.scan, data=small.scan.data[:, :, 3:5].copy())


def quick(name: str):
    settings = {"iterations": 9} | ({"evaluations": 2} if name in ("difusion", "ddm2") else {})
    return build(name, "smoke", settings)


def broken_off(name: str, slab: Scan, machine, after: int) -> Course:
    """What was kept of a run that ended at its ``after``-th report."""
    snapshots: list[dict] = []
    course = Course(write=lambda c: snapshots.append(dict(c.snapshots)), every=0.0)
    iterations = 0

    def watch(progress: Progress) -> None:
        nonlocal iterations
        iterations += 1
        if iterations > after:
            raise Killed

    with pytest.raises(Killed):
        quick(name).denoise(slab, machine=machine, seed=5, watch=watch, course=course)
    return Course(snapshots=snapshots[-1] if snapshots else {})


@pytest.mark.parametrize("name", METHODS)
def test_going_on_ends_in_the_same_bits(name: str, slab, machine) -> None:
    uninterrupted = quick(name).denoise(slab, machine=machine, seed=5)
    after = 1 if name == "deep_image_prior" else 6 if name == "ddm2" else 4
    course = broken_off(name, slab, machine, after)
    assert course.snapshots
    done: list[int] = []
    again = quick(name).denoise(
        slab, machine=machine, seed=5, course=course,
        watch=lambda p: done.append(p.done) if p.task in ("training", "stage III") else None,
    )  # fmt: skip
    np.testing.assert_array_equal(again.data, uninterrupted.data)
    for key, value in uninterrupted.weights.state.items():
        assert torch.equal(again.weights.state[key], value), key
    assert again.weights.record.get("loss") == uninterrupted.weights.record.get("loss")
    if name not in ("deep_image_prior", "ddm2"):
        assert done[0] > 1  # it did go on, and did not begin anew


def test_minutes_are_counted_once(slab, machine) -> None:
    course = Course(counted={"minutes": None, "iterations": 7})
    method = build("noise2noise", "smoke", {"minutes": 50.0})
    result = method.denoise(slab, machine=machine, seed=1, course=course)
    assert result.weights.record["iterations"] == 7


def test_a_warm_start_begins_with_the_weights_it_is_given(slab, machine) -> None:
    method = build("noise2noise", "smoke", {"iterations": 30, "decay": "constant"})
    first = method.fit(slab, machine=machine, seed=1)
    cold = replace(method, iterations=1).denoise(slab, machine=machine, seed=2)
    warm = replace(method, iterations=1).denoise(
        slab, machine=machine, seed=2, course=Course(start=first.state)
    )
    assert warm.weights.record["loss"] < cold.weights.record["loss"]


def test_weights_of_another_network_are_refused() -> None:
    with refused(Code.WEIGHTS_MISMATCH, "another kind", "same method, network and width"):
        load_learned(torch.nn.Linear(3, 2), torch.nn.Linear(4, 2).state_dict())
    with refused(Code.WEIGHTS_MISMATCH, "another kind", "same method, network and width"):
        load_learned(torch.nn.Linear(3, 2), {"other": torch.zeros(2)})
