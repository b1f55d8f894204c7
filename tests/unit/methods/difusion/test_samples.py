"""Samples of a walk: their mean, and their sd in the scan's units."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.chain.schedule import Schedule
from dwiser.learn.sampling import walk_stack
from dwiser.methods.difusion.samples import sampled
from dwiser.methods.registry import build
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.stack import build_stack
from dwiser.seeds import stream
from dwiser.watch import silent


@pytest.fixture
def stack(small):
    return build_stack(
        small.scan, small.mask, sigma_map(small.scan, small.mask),
        pairing="predicted", neighbour="shell", fewest_b0s=4, crop=True,
    )  # fmt: skip


def walker(machine, **settings):
    return build(
        "difusion", "smoke", {"stop": "never", "start": 300, "evaluations": 1, **settings}
    )._walker(machine, 3)


def identity(x, level):
    return x


def test_samples_are_walks_of_other_seeds_and_their_mean_and_sd_are_theirs(stack, machine) -> None:
    one = walker(machine, state="fused", state_noise="drawn", evaluations=3)
    done = sampled(identity, stack, one, 3, batch=64, watch=silent)
    seeds = [3] + [int(stream(3, "sample", i).integers(2**31)) for i in (1, 2)]
    every = [walk_stack(identity, stack, replace(one, seed=s), batch=64).unit for s in seeds]
    np.testing.assert_allclose(done.walks.unit, np.mean(every, 0), atol=1e-6)
    np.testing.assert_allclose(done.sd, np.std(every, 0, ddof=1), atol=1e-6)
    assert len(done.walks.evaluations) == 3 * len(stack.items)
    assert np.abs(every[1] - every[0]).max() > 0


def test_one_sample_is_the_walk_itself_and_has_no_sd(stack, machine) -> None:
    one = walker(machine)
    done = sampled(identity, stack, one, 1, batch=64, watch=silent)
    np.testing.assert_array_equal(done.walks.unit, walk_stack(identity, stack, one, batch=64).unit)
    assert done.sd is None


def test_the_map_of_an_identity_is_the_chains_own_noise_in_the_scans_units(
    stack, machine, small
) -> None:
    """F = identity: one evaluation returns the start, whose sd over samples is √(1−s²)·sd(ξ)."""
    done = sampled(identity, stack, walker(machine), 24, batch=64, watch=silent)
    got = stack.sd_map(small.scan.shape[:3], done.sd)
    share = float(1 - Schedule().level(301) ** 2) ** 0.5
    z = stack.inside.sum((1, 2)).argmax()
    difference = (stack.target - stack.neighbour)[:, z][:, stack.inside[z]]
    scale = stack.scale.maxima[stack.plan.volumes] / 2
    expected = share * float(np.sqrt(((difference.std(1) * scale) ** 2).mean()))
    here = np.zeros(got.shape, bool)
    here[stack.box.index][..., z] = stack.inside[z]
    assert float(np.sqrt((got[here] ** 2).mean())) == pytest.approx(expected, rel=0.05)
    assert (got[~small.mask] == 0).all()


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
def test_an_uncertainty_is_of_eight_samples_at_least(small, machine) -> None:
    method = build("difusion", "smoke", {"iterations": 2, "evaluations": 1, "uncertainty": True})
    result = method.denoise(small.scan, machine=machine, seed=0)
    assert result.record["sampling"]["samples"] == 8
    assert result.uncertainty is not None
    assert (result.uncertainty[small.mask] > 0).mean() > 0.9
    plain = build("difusion", "smoke", {"iterations": 2, "evaluations": 1})
    assert plain.denoise(small.scan, machine=machine, seed=0).uncertainty is None
