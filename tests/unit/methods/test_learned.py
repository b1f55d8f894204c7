"""What all learned methods share: one work budget, fit and apply, minutes turned into work."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.methods.ddm2.method import DDM2
from dwiser.methods.registry import build, settings_of
from dwiser.nets.decoder import flops_per_pixel as decoder_flops
from dwiser.scan import Gradients
from tests.refusals import refused

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
PATCHED = ["noise2noise", "noisier2noise", "ddm2"]
LEARNED = [*PATCHED, "deep_image_prior"]
QUICK = {name: {"iterations": 10} for name in LEARNED}


def work(method) -> int:
    return prod((method.iterations, method.batch, method.patch, method.patch))


@pytest.mark.parametrize("preset", ["laptop", "smoke"])
@pytest.mark.parametrize("name", PATCHED)
def test_at_one_preset_all_have_difusions_network_and_work(name: str, preset: str) -> None:
    method, difusion = build(name, preset), build("difusion", preset)
    assert (method.network, method.width) == (difusion.network, difusion.width)
    assert work(method) == work(difusion)


def test_ddm2s_two_networks_share_the_one_budget() -> None:
    for preset in ("paper", "laptop", "smoke"):
        method = build("ddm2", preset)
        assert sum(method._shares) == method.iterations
    assert build("ddm2", "paper")._shares == (10_000, 100_000)
    assert DDM2(iterations=2, first_share=0.01)._shares == (1, 1)


def test_the_decoder_has_difusions_work_too() -> None:
    method = build("deep_image_prior", "laptop")
    assert method.iterations * method.pixels == work(build("difusion", "laptop"))
    assert decoder_flops(method.width, method.levels, method.code, images=64) <= 30_000


ON_RECORD = ["difusion", *PATCHED, "noisier2noise:output=corrected", "deep_image_prior"]


@pytest.mark.parametrize("label", ON_RECORD)
def test_the_work_that_was_done_is_on_record_and_the_same_for_all(label, small, machine) -> None:
    """At ``laptop``, with its iterations and patches cut down as much for each."""
    name, *settings = label.split(":")
    iterations, batch, patch = 30, build("difusion", "laptop").batch, 16
    budget = iterations * batch * patch**2
    less: dict[str, object] = {"iterations": iterations, "patch": patch}
    if name == "deep_image_prior":
        less = {"iterations": iterations, "pixels": batch * patch**2}
    method = build(name, "laptop", less | settings_of(settings))
    done = method.fit(small.scan, machine=machine, seed=0).record["pixels"]
    if name == "deep_image_prior":  # whole iterations of whole slices
        assert 0.8 * budget < done <= budget
    else:
        assert done == budget


@pytest.mark.parametrize("name", LEARNED)
def test_the_default_is_the_laptop_preset(name: str) -> None:
    assert build(name) == type(build(name))()


@pytest.mark.parametrize("name", LEARNED)
def test_fit_then_apply_is_denoise(name: str, small, machine) -> None:
    method = build(name, "smoke", QUICK[name])
    weights = method.fit(small.scan, machine=machine, seed=4)
    applied = method.apply(weights, small.scan, machine=machine, seed=4)
    denoised = method.denoise(small.scan, machine=machine, seed=4)
    np.testing.assert_allclose(applied.data, denoised.data, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", PATCHED)
def test_one_slice_at_a_time_or_eight_agree(name: str, small, machine) -> None:
    method = build(name, "smoke", QUICK[name])
    weights = method.fit(small.scan, machine=machine, seed=2)
    one, eight = (
        replace(method, sampling_batch=b).apply(weights, small.scan, machine=machine, seed=2).data
        for b in (1, 8)
    )
    np.testing.assert_allclose(one, eight, atol=1e-4 * small.scan.data.max())


@pytest.mark.parametrize("name", LEARNED)
def test_minutes_become_iterations_that_repeat_the_run(name: str, small, machine) -> None:
    timed = build(name, "smoke", {"minutes": 0.015}).denoise(small.scan, machine=machine, seed=3)
    training = timed.record["training"]
    settings = {"iterations": training["iterations"]}
    if name == "ddm2":
        settings["evaluations"] = training["evaluations_most"]
    counted = build(name, "smoke", settings).denoise(small.scan, machine=machine, seed=3)
    np.testing.assert_allclose(counted.data, timed.data, rtol=1e-5, atol=1e-3)


def test_a_scan_without_a_volume_to_pair_is_refused_with_the_reason(small, machine) -> None:
    g = small.scan.gradients
    bvals = np.where(g.is_b0, 0, 1000 + 300.0 * np.arange(len(g)))
    scan = replace(small.scan, gradients=Gradients(bvals, g.bvecs))
    with refused(Code.METHOD_NOTHING_TO_LEARN, "ddm2", "alone in its shell"):
        build("ddm2", "smoke").denoise(scan, machine=machine, seed=0)
