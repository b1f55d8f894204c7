"""Di-Fusion: its numbers, its batches' independence of how they are cut, its budgets."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dwiser.chain.fusion import fusion_weights
from dwiser.chain.schedule import Schedule
from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.learn.budget import Pace, plan_work
from dwiser.learn.memory import BatchedNetwork
from dwiser.learn.pairs import PairDraw
from dwiser.learn.sampling import Walker
from dwiser.learn.step import Batch
from dwiser.methods.difusion.method import Difusion
from dwiser.methods.registry import build
from dwiser.nets.compact import Compact, flops_per_pixel
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.stack import build_stack
from dwiser.scan import Gradients
from tests.refusals import refused

quiet = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")


def smoke(**settings: object) -> Difusion:
    return build("difusion", "smoke", {"iterations": 20, **settings})  # type: ignore[return-value]


def stack_of(small, pairing="predicted"):
    return build_stack(
        small.scan, small.mask, sigma_map(small.scan, small.mask),
        pairing=pairing, neighbour="shell", fewest_b0s=4, crop=True,
    )  # fmt: skip


def test_the_paper_preset_holds_the_papers_numbers() -> None:
    paper = build("difusion", "paper")
    assert (paper.latter, paper.turn, paper.stride) == (300, 50, 10)
    assert (paper.iterations, paper.batch, paper.learning_rate) == (100_000, 32, 1e-4)
    assert (paper.pairing, paper.fusion, paper.noise) == ("adjacent", "target", "shuffled")
    assert (paper.network, paper.flips, paper.stop) == ("unet", "four", "adaptive")
    assert paper.threshold == 0.040
    assert paper.decay == "constant"
    assert (paper.neighbour, paper.b0s) == ("shell", "unseen")
    assert len(paper.steps) == 76


def test_the_released_preset_does_what_is_reported_of_the_program() -> None:
    released = build("difusion", "released")
    assert (released.pairing, released.neighbour, released.b0s) == ("adjacent", "series", "unseen")
    assert (released.fusion, released.start_fusion) == ("neighbour", "target")
    assert (released.shared_step, released.step_interval) == (True, "program")
    assert (released.iterations, released.batch, released.threshold) == (100_000, 32, 0.040)
    assert (released.network, released.flips, released.stop) == ("unet", "four", "adaptive")
    presets = released.capabilities.presets
    assert all(sourced.source for sourced in presets["released"].values())
    assert set(presets["released"]) == set(presets["paper"])


@quiet
def test_released_gives_every_b0_back_untouched_and_changes_every_dwi(small, machine) -> None:
    method = build("difusion", "released", {
        "network": "compact", "width": 8, "iterations": 1, "batch": 4, "evaluations": 1,
    })  # fmt: skip
    b0 = small.scan.gradients.is_b0
    out = method.denoise(small.scan, machine=machine, seed=0)
    assert np.array_equal(out.data[..., b0], small.scan.data[..., b0])
    assert all((out.data[..., v] != small.scan.data[..., v]).any() for v in np.flatnonzero(~b0))
    assert set(out.passed_through.values()) == {"a b0 (b0s=unseen)"}


@pytest.mark.parametrize("dwis", [0, 1])
def test_released_refuses_a_scan_without_two_dwis(dwis: int, small, machine) -> None:
    b0s = np.flatnonzero(small.scan.gradients.is_b0)
    dwi = np.flatnonzero(~small.scan.gradients.is_b0)[:dwis]
    volumes = np.concatenate([b0s, dwi])
    g = small.scan.gradients
    scan = replace(
        small.scan, data=small.scan.data[..., volumes],
        gradients=Gradients(g.bvals[volumes], g.bvecs[volumes]),
    )  # fmt: skip
    with refused(Code.GRADIENTS_TOO_FEW, "difusion needs", "diffusion-weighted volumes"):
        build("difusion", "released").denoise(scan, machine=machine, seed=0)


def test_the_start_may_take_x_where_the_training_took_the_neighbour_alone(machine) -> None:
    for start, fusion in (("target", "target"), ("neighbour", "neighbour"), ("none", "neighbour")):
        method = smoke(fusion="neighbour", start_fusion=start)
        assert method._walker(machine, 0).fusion == fusion


def test_the_laptop_preset_is_the_default_and_a_single_evaluation_at_tr() -> None:
    assert build("difusion") == build("difusion", "laptop")
    laptop = build("difusion")
    assert (laptop.pairing, laptop.stop, laptop.flips) == ("predicted", "noise", "drawn")
    assert laptop.steps == (50,)
    assert (laptop.state, laptop.state_noise) == ("fused", "drawn")
    assert laptop == Difusion()


def test_the_laptop_network_is_under_30_kflop_a_pixel_by_count() -> None:
    width = build("difusion").width
    assert flops_per_pixel(width) <= 30_000
    counted = 0

    def count(module, inputs, output) -> None:
        nonlocal counted
        if isinstance(module, torch.nn.Conv2d):
            per_output = module.weight[0].numel()
            counted += 2 * per_output * output.numel()

    net = Compact(width)
    for module in net.modules():
        module.register_forward_hook(count)
    net(torch.zeros(1, 1, 64, 64), torch.full((1,), 0.99))
    assert counted / 64**2 == pytest.approx(flops_per_pixel(width))


@pytest.mark.parametrize("size", [(81, 106), (1, 1), (7, 12), (64, 64)])
def test_the_compact_network_takes_any_size_and_starts_as_the_identity(size) -> None:
    x, level = torch.randn(2, 1, *size), torch.tensor([0.99, 1.0])
    out = Compact(8, 0.1, 0.05)(x, level)
    torch.testing.assert_close(out, x / level[:, None, None, None])


@quiet
def test_sampling_one_slice_at_a_time_and_eight_agree(small, machine) -> None:
    method = smoke(stop="never", evaluations=6, start="none")
    weights = method.fit(small.scan, machine=machine, seed=2)
    one, eight = (
        replace(method, sampling_batch=b).apply(weights, small.scan, machine=machine, seed=2).data
        for b in (1, 8)
    )
    np.testing.assert_allclose(one, eight, atol=1e-4 * small.scan.data.max())


@quiet
def test_fit_then_apply_is_denoise(small, machine) -> None:
    method = smoke()
    weights = method.fit(small.scan, machine=machine, seed=4)
    applied = method.apply(weights, small.scan, machine=machine, seed=4)
    np.testing.assert_allclose(
        applied.data, method.denoise(small.scan, machine=machine, seed=4).data, rtol=1e-4, atol=1e-2
    )


@quiet
def test_another_seed_gives_another_result(small, machine) -> None:
    a, b = (smoke().denoise(small.scan, machine=machine, seed=s).data for s in (0, 1))
    assert np.abs(a - b).max() > 0


def test_the_papers_threshold_is_warned_of_where_every_slice_stops_at_once(small, machine) -> None:
    method = smoke(stop="adaptive", threshold=0.001, start="none", evaluations="none")
    with pytest.warns(DwiserWarning, match="100% of the slices stopped at their first evaluation"):
        record = method.denoise(small.scan, machine=machine, seed=0).record
    assert record["sampling"]["stopping_step"] == {"300": 12 * 8}
    assert record["sampling"]["first_stop_share"] == 1.0


@quiet
def test_a_higher_threshold_walks_further(small, machine) -> None:
    means = []
    for threshold in (0.5, 1.1, 2.0):
        method = smoke(threshold=threshold, evaluations=8, start="none", state="posterior")
        record = method.denoise(small.scan, machine=machine, seed=0).record
        means.append(record["sampling"]["mean_evaluations"])
    assert means[0] == 1
    assert means[0] <= means[1] < means[2] == 8


@quiet
def test_the_record_tells_who_was_denoised(small, machine) -> None:
    record = smoke().denoise(small.scan, machine=machine, seed=0).record
    b0s = {str(v) for v in np.flatnonzero(small.scan.gradients.is_b0)}
    assert set(record["volumes_passed_through"]) == b0s
    assert record["volumes_denoised"] == 12
    assert record["training"]["iterations"] == 20


@pytest.mark.parametrize("fusion", ["target", "neighbour"])
@pytest.mark.parametrize("noise", ["shuffled", "gaussian"])
def test_batches_are_keyed_by_iteration_and_flip_x_and_partner_alike(small, fusion, noise) -> None:
    stack = stack_of(small, "adjacent")
    draw = PairDraw(stack, Schedule(), 3, 4, 300, fusion, noise, patch=None)
    first, again, other = draw(5), draw(5), draw(6)
    torch.testing.assert_close(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)
    assert ((first.level <= 1) & (first.level >= float(Schedule().level(301)))).all()
    assert first.targets.shape == (4, 1, *stack.target.shape[2:])
    for item, target in zip(first.inputs[:, 0], first.targets[:, 0], strict=True):
        correlation = torch.corrcoef(torch.stack([item.ravel(), target.ravel()]))[0, 1]
        assert correlation > (0.6 if noise == "shuffled" else 0.3)


def test_one_step_for_a_batch_is_one_t_and_one_permutation_and_a_level_for_each(small) -> None:
    stack = stack_of(small, "adjacent")
    size = stack.target.shape[2:]
    apart = np.random.default_rng(0).permutation(np.linspace(-1, 1, size[0] * size[1]))
    stack.target[:], stack.neighbour[:] = apart.reshape(size), 0
    program = {"patch": None, "within": False, "step_interval": "program"}
    draw = PairDraw(stack, Schedule(), 3, 8, 300, **program, shared_step=True)
    for iteration in range(9):
        steps, orders = steps_and_orders(draw(iteration))
        assert len(set(steps)) == 1
        assert 1 <= steps[0] <= 299
        assert all(np.array_equal(order, orders[0]) for order in orders)
    assert len(set(draw(0).level.tolist())) == 8
    steps, orders = steps_and_orders(replace(draw, shared_step=False)(0))
    assert len(set(steps)) > 1
    assert not np.array_equal(orders[0], orders[1])


def steps_and_orders(batch: Batch) -> tuple[list[int], list[np.ndarray]]:
    """t of each item, by the program's interval of s, and the order of ξ; x' must be 0."""
    schedule, steps, orders = Schedule(), [], []
    levels = schedule.level(np.arange(301))
    for x, state, level in zip(batch.targets, batch.inputs, batch.level.tolist(), strict=True):
        t = int(np.searchsorted(-levels, -level))  # s in [level(t), level(t - 1)]
        lambda1, _ = fusion_weights(schedule, t)
        image, xi = x.double().ravel(), (state - level * float(lambda1) * x).double().ravel()
        steps.append(t)
        orders.append(image.argsort()[xi.argsort().argsort()].numpy())
    return steps, orders


def test_patches_lie_in_the_mask_and_in_the_slice(small) -> None:
    stack = stack_of(small)
    draw = PairDraw(stack, Schedule(), 0, 2, 300, patch=8)
    rng = np.random.default_rng(0)
    for _ in range(50):
        rows, columns = draw._window(stack.inside[3], rng)
        assert stack.inside[3][rows, columns].shape == (8, 8)
        assert stack.inside[3][rows, columns].any()


def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    sizes: list[int] = []

    class Small(torch.nn.Module):
        def forward(self, x, level):
            sizes.append(len(x))
            if len(x) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return x * level[:, None, None, None]

    x, level = torch.rand(10, 4, 4), torch.rand(10)
    torch.testing.assert_close(BatchedNetwork(Small(), 8)(x, level), x * level[:, None, None])
    assert sizes == [8, 4, 2, 2, 2, 2, 2]


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    class Broken(torch.nn.Module):
        def forward(self, x, level):
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        BatchedNetwork(Broken(), 8)(torch.rand(2, 4, 4), torch.rand(2))


def test_a_budget_is_split_between_training_and_the_walks_worst_case() -> None:
    work = plan_work(100.0, Pace(iteration=0.1, evaluation=5.0), most_evaluations=76)
    assert 1 <= work.evaluations < 76
    spent = work.iterations * 0.1 + work.evaluations * 5.0
    assert 85 < spent <= 100
    rich = plan_work(1e4, Pace(0.1, 5.0), most_evaluations=76)
    assert rich.evaluations == 76
    assert plan_work(-5.0, Pace(0.1, 5.0), 76).iterations == 1


@quiet
def test_minutes_become_iterations_that_repeat_the_run_exactly(small, machine) -> None:
    timed = smoke(minutes=0.05).denoise(small.scan, machine=machine, seed=3)
    training = timed.record["training"]
    counted = smoke(
        iterations=training["iterations"], evaluations=training["evaluations_most"]
    ).denoise(small.scan, machine=machine, seed=3)
    np.testing.assert_allclose(counted.data, timed.data, rtol=1e-5, atol=1e-3)


def test_a_released_state_has_no_noise_of_its_own() -> None:
    with pytest.raises(InputError, match="state_noise=mean, not drawn"):
        build("difusion", "released", {"state_noise": "drawn"})


def test_sampling_may_start_at_another_step_than_training() -> None:
    assert build("difusion", "paper", {"start": 16}).steps == tuple(range(16, -1, -1))
    assert build("difusion", "paper", {"start": 60}).steps[:3] == (60, 50, 49)
    assert build("difusion", "paper", {"start": 16, "evaluations": 1}).steps == (16,)
    assert build("difusion", "paper", {"start": 900}).steps[0] == 300


def test_one_evaluation_needs_neither_the_partner_nor_the_noise_on_the_device(
    small, machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = stack_of(small)
    copied: list[np.ndarray] = []
    tensor = Walker._tensor
    monkeypatch.setattr(
        Walker, "_tensor", lambda self, values: (copied.append(values), tensor(self, values))[1]
    )

    def images(**settings: object) -> torch.Tensor:
        copied.clear()
        walker = smoke(flips="four", stop="never", **settings)._walker(machine, 0)
        return walker.group(lambda x, _: x.clone(), stack, stack.items[:3]).image

    start = 20
    once = images(start=start, evaluations=1)
    assert len(copied) == 3  # the state, x and σ
    images(start=start, evaluations=2)
    assert len(copied) == 3 + 2 + 1  # x' and ξ, and ξ drawn anew
    images(start=start, evaluations=2, state="posterior", state_noise="mean")
    assert len(copied) == 3 + 1  # nothing is fused
    assert once.shape == (3, *stack.target.shape[2:])
