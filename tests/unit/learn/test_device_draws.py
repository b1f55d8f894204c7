"""Draws on the device follow the law of NumPy's, which is the reference."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from dwiser.chain.fusion import forward, fuse, fusion_weights
from dwiser.chain.schedule import Schedule
from dwiser.learn.device_draws import (
    DeviceCutDraw,
    DevicePairDraw,
    DeviceStack,
    cut_draw,
    drawn_cuts,
    mean_within,
    on_device,
    shuffled,
)
from dwiser.learn.pairs import PairDraw
from dwiser.learn.patches import CutDraw
from dwiser.learn.step import Batch
from dwiser.learn.where_drawn import FallenBack, note_of, where_possible
from dwiser.methods.ddm2.device_stages import DeviceStateExamples
from dwiser.methods.ddm2.method import DDM2
from dwiser.methods.ddm2.stages import Goal, StateExample, match_states
from dwiser.methods.noise2noise import Noise2Noise
from dwiser.methods.noisier2noise import Noisier2Noise, _noisier
from dwiser.methods.registry import build
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.stack import Stack, build_stack
from tests.waits import waits_of

SCHEDULE = Schedule()
LEVELS = SCHEDULE.level(np.arange(302))


@pytest.fixture(scope="module")
def stack(small) -> Stack:
    return build_stack(
        small.scan, small.mask, sigma_map(small.scan, small.mask),
        pairing="adjacent", neighbour="shell", fewest_b0s=4, crop=True,
    )  # fmt: skip


def draw_of(stack: Stack, batch: int = 64, **settings) -> DevicePairDraw:
    return DevicePairDraw.of(PairDraw(stack, SCHEDULE, 3, batch, 300, **settings))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def images_by_place(stack: Stack) -> Stack:
    """A stack whose voxels say where they are: row + column / 1000."""
    rows, columns = np.indices(stack.target.shape[2:])
    place = np.broadcast_to((rows + columns / 1000).astype(np.float32), stack.target.shape)
    return replace(stack, target=place.copy(), neighbour=np.zeros_like(stack.target))


def test_batches_are_keyed_by_seed_and_iteration(stack: Stack) -> None:
    draw = draw_of(stack, 4, patch=8)
    first, other, again = draw(5), draw(6), draw(5)
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)
    assert not torch.equal(first.inputs, draw_of(stack, 4, patch=8, noise="gaussian")(5).inputs)


@pytest.mark.parametrize("program", [False, True])
def test_steps_are_uniform_and_levels_lie_in_the_interval_of_their_step(stack, program) -> None:
    kind = "program" if program else "own"
    draw = draw_of(stack, 8, patch=8, step_interval=kind, shared_step=program)
    levels = torch.stack([draw(i).level for i in range(100)]).double().numpy()
    above = np.searchsorted(-LEVELS, -levels) - 1  # level(n) >= s > level(n + 1)
    t = above + 1 if program else above
    assert t.min() >= 1
    assert t.max() <= (299 if program else 300)
    assert abs(t.mean() - (150 if program else 150.5)) < (30 if program else 11)  # 3.5 sd
    alike = np.mean(np.ptp(t, 1) == 0)
    assert alike > 0.9 if program else alike == 0  # float32 rounds a level in 400 onto an end
    share = (levels - LEVELS[above + 1]) / (LEVELS[above] - LEVELS[above + 1])
    assert abs(share.mean() - 0.5) < 0.035
    assert abs(share.std() - 12**-0.5) < 0.03


def test_the_state_is_the_formula_of_the_same_numbers(stack: Stack) -> None:
    for fusion in ("target", "neighbour"):
        draw = draw_of(stack, 16, patch=8, noise="gaussian", fusion=fusion)
        batch = draw(1)
        g = torch.Generator().manual_seed(draw.generator.initial_seed())
        t = torch.randint(300, (16,), generator=g).numpy() + 1
        uniform = torch.rand(16, generator=g).numpy()
        cuts = drawn_cuts(draw.stack, 16, 8, g)
        x, partner = (cuts.of(torch.from_numpy(i)).numpy() for i in (stack.target, stack.neighbour))
        xi = torch.randn(x.shape, generator=g).numpy()
        low, high = SCHEDULE.level(t + 1), SCHEDULE.level(t)
        column = (slice(None), None, None)
        level = (low + (high - low) * uniform)[column]
        lambda1, lambda2 = (w[column] for w in fusion_weights(SCHEDULE, t))
        state = forward(fuse(x, partner, lambda1, lambda2, fusion), xi, level)
        np.testing.assert_allclose(batch.inputs[:, 0], state, atol=1e-5)
        np.testing.assert_allclose(batch.targets[:, 0], x)


def test_windows_are_centred_in_the_mask_and_flipped_half_the_time(stack: Stack) -> None:
    place = images_by_place(stack)
    device = DeviceStack.of(place, "cpu")
    cuts = drawn_cuts(device, 2000, 8, generator())
    patches = cuts.of(device.target).numpy()
    rows = np.round(patches[:, :, 0]).astype(int)
    columns = np.round((patches[:, 0] - np.round(patches[:, 0])) * 1000).astype(int)
    for indices, size in ((rows, place.inside.shape[1]), (columns, place.inside.shape[2])):
        steps = np.diff(indices, axis=1)
        assert (np.abs(steps) == 1).all()
        assert abs((steps[:, 0] < 0).mean() - 0.5) < 0.04
        assert indices.min() >= 0
        assert indices.max() < size
    z, inside = cuts.z.numpy(), place.inside
    top, left = rows.min(1), columns.min(1)
    starts = {
        (s, *(min(max(0, c - 4), n - 8) for c, n in zip(at, inside.shape[1:], strict=True)))
        for s in range(len(inside))
        for at in np.argwhere(inside[s])
    }
    assert set(zip(z.tolist(), top.tolist(), left.tolist(), strict=True)) <= starts
    assert len(set(z.tolist())) == len(inside[inside.any((1, 2))])


def test_x_and_its_partner_are_cut_alike_and_whole_slices_stay_whole(stack: Stack) -> None:
    device = DeviceStack.of(replace(stack, neighbour=2 * stack.target), "cpu")
    for patch in (None, 8):
        cuts = drawn_cuts(device, 9, patch, generator())
        torch.testing.assert_close(2 * cuts.of(device.target), cuts.of(device.neighbour))
    whole = drawn_cuts(device, 9, None, generator())
    x, k, z = whole.of(device.target), whole.k, whole.z
    torch.testing.assert_close(x.flatten(1).sort(1)[0], device.target[k, z].flatten(1).sort(1)[0])


def test_noise_without_a_mask_has_the_differences_histogram_exactly() -> None:
    g = generator()
    difference, keys = torch.randn(6, 9, 7, generator=g), torch.rand(6, 63, generator=g)
    xi = shuffled(difference, keys)
    centred = difference - difference.mean((1, 2), keepdim=True)
    assert torch.equal(xi.flatten(1).sort(1)[0], centred.flatten(1).sort(1)[0])
    assert not torch.equal(xi, centred)
    one = shuffled(difference[:1].expand(6, -1, -1), keys[:1])
    assert (one == one[0]).all()


def test_noise_in_a_mask_stays_in_it_and_fills_what_is_outside_from_it() -> None:
    g = generator()
    difference = torch.randn(5, 9, 7, generator=g)
    inside = torch.rand(5, 9, 7, generator=g) < 0.6
    inside[4] = False  # a slice without: all of it
    keys, refill = (torch.rand(5, 63, generator=g) for _ in range(2))
    xi = shuffled(difference, keys, inside, refill)
    for one, out, where in zip(difference, xi, inside, strict=True):
        where = where if where.any() else torch.ones_like(where)
        centred = one[where] - one[where].mean()
        torch.testing.assert_close(out[where].sort()[0], centred.sort()[0])
        assert torch.isin(out[~where], out[where]).all()
    last = torch.full((1, 63), 1 - 2**-24)  # the highest number that rand gives
    assert shuffled(difference[:1], keys[:1], inside[:1], last).isfinite().all()


def test_every_place_of_a_mask_is_equally_likely() -> None:
    g = generator()
    difference = torch.arange(6.0).view(1, 2, 3).expand(6000, 2, 3)
    inside = torch.tensor([[True, True, False], [True, True, False]]).expand(6000, 2, 3)
    keys, refill = (torch.rand(6000, 6, generator=g) for _ in range(2))
    xi = shuffled(difference, keys, inside, refill)
    for value in (-2.0, -1.0, 1.0, 2.0):  # 0, 1, 3 and 4 less their mean
        assert ((xi == value).double().mean(0) - 0.25).abs().max() < 0.025


def test_cuts_of_several_volumes_make_a_batch(stack: Stack) -> None:
    device = DeviceStack.of(stack, "cpu")

    def examples(cuts, g):
        x = cuts.of(device.target)
        before = cuts.of_volumes(device.target, (cuts.k + 1) % len(device.target))
        return Batch(torch.stack([x, before], 1), None, x[:, None])

    batch = DeviceCutDraw(device, examples, 0, 5, 8, torch.Generator())(2)
    assert batch.inputs.shape == (5, 2, 8, 8)
    assert batch.inputs.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(batch.inputs[:, :1], batch.targets)
    assert not torch.equal(batch.inputs[:, 1:], batch.targets)


def test_on_a_cpu_numpy_draws_and_a_device_without_room_for_the_stack_goes_on_so(
    stack: Stack, monkeypatch
) -> None:
    draw = PairDraw(stack, SCHEDULE, 3, 4, 300)
    assert on_device(draw) is draw

    def full(*_: object) -> DeviceStack:
        raise torch.OutOfMemoryError("CUDA out of memory")

    on_gpu = replace(draw, device="cuda")
    monkeypatch.setattr(DevicePairDraw, "of", full)
    drawn = on_device(on_gpu)
    assert isinstance(drawn, FallenBack)
    assert drawn.draw is on_gpu
    assert note_of(drawn, "cuda") == "drawn in NumPy: the device has no memory for it"


def test_a_device_that_draws_nothing_of_use_is_left_with_a_word_on_record() -> None:
    images = torch.ones(2, 1, 3, 3)

    def numpys(iteration: int) -> Batch:
        return Batch(iteration * images, None, images)

    def refusing() -> Callable[[int], Batch]:
        raise NotImplementedError("no kernel for it\nand more")

    def spoilt(iteration: int) -> Batch:
        return Batch(images, torch.tensor([0.5, torch.nan]), images)

    for build_draw, why in (
        (refusing, "no kernel for it"),
        (lambda: spoilt, "the device's first batch is not finite"),
    ):
        assert where_possible(numpys, "cpu", build_draw) is numpys
        drawn = where_possible(numpys, "cuda", build_draw)
        assert torch.equal(drawn(3).inputs, 3 * images)
        assert note_of(drawn, "cuda") == f"drawn in NumPy: {why}"
    assert where_possible(numpys, "cuda", lambda: numpys) is numpys
    assert note_of(numpys, "cuda") == "drawn on the device"
    assert note_of(numpys, "cpu") == ""


def test_what_noisier2noise_adds_has_an_sd_that_is_uniform() -> None:
    batch = _noisier(torch.zeros(800, 1, 20, 20), 0.5, generator())
    sd = (batch.inputs - batch.targets).std((1, 2, 3))
    assert abs(sd.mean() - 0.25) < 0.02
    assert abs(sd.std() - 0.5 / 12**0.5) < 0.02


def alike(mine: torch.Tensor, numpys: torch.Tensor) -> float:
    """The p-value that both are of one law, from a sample of each."""
    sample = np.random.default_rng(0)
    samples = [
        sample.choice(v.numpy().ravel(), min(3000, v.numel()), replace=False)
        for v in (mine, numpys)
    ]
    return float(ks_2samp(*samples).pvalue)


def batches(draw: Callable[[int], Batch]) -> Batch:
    """Fifteen batches in one."""
    drawn = [draw(i) for i in range(15)]
    level = [b.level for b in drawn if b.level is not None]
    inputs, targets = (torch.cat([getattr(b, n) for b in drawn]) for n in ("inputs", "targets"))
    return Batch(inputs, torch.cat(level) if level else None, targets)


@pytest.fixture
def as_on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods draw as on a GPU, on the CPU."""
    monkeypatch.setattr("dwiser.learn.where_drawn.on_gpu", lambda _: True)


@pytest.mark.parametrize(("within", "target"), [(True, "noisy"), (False, "guess")])
def test_ddm2s_states_have_the_law_of_numpys(stack: Stack, within: bool, target: Goal) -> None:
    g = np.random.default_rng(1)
    clean = np.float32(0.8) * stack.target + np.float32(0.05) * g.standard_normal(
        stack.target.shape, np.float32
    )
    matched = match_states(SCHEDULE, stack, clean, within=within)
    example = StateExample(SCHEDULE, stack, matched, 400, within, target)
    numpys = CutDraw(stack, example, 3, 32, 12, purpose="stage III")
    mine, reference = (
        batches(d) for d in (cut_draw(numpys, partial(DeviceStateExamples.of, example)), numpys)
    )
    assert mine.level is not None
    assert reference.level is not None
    assert alike(mine.level, reference.level) > 1e-3
    assert alike(mine.inputs, reference.inputs) > 1e-3
    assert alike(mine.targets, reference.targets) > 1e-3
    difference = [b.inputs - b.level[:, None, None, None] * b.targets for b in (mine, reference)]
    assert alike(*difference) > 1e-3
    assert alike(*(d.std((1, 2, 3)) for d in difference)) > 1e-3


@pytest.mark.parametrize("within", [True, False])
def test_ddm2s_noise_is_the_items_own_residual_over_its_sd(stack: Stack, within: bool) -> None:
    """With x̂ = 0 the state less its mean is √(1−s²) times the centred pixels of x over √(1−s*²)."""
    matched = match_states(SCHEDULE, stack, np.zeros_like(stack.target), within=within)
    example = StateExample(SCHEDULE, stack, matched, 400, within, "guess")
    device = DeviceStack.of(stack, "cpu")
    examples = DeviceStateExamples.of(example, device)
    cuts = drawn_cuts(device, 16, None, generator())
    batch = examples(cuts, generator())
    assert batch.level is not None
    s = batch.level[:, None, None]
    xi = (batch.inputs[:, 0] - s * batch.targets[:, 0]) / (1 - s**2).sqrt()
    x, inside = cuts.of(device.target), cuts.of_mask(device.inside)
    sd = torch.from_numpy(1 - SCHEDULE.level(matched.state) ** 2).sqrt()[cuts.k, cuts.z]
    for i in range(16):
        where = inside[i] if within else torch.ones_like(inside[i])
        centred = (x[i][where] - x[i][where].mean()) / sd[i].float()
        torch.testing.assert_close(xi[i][where].sort()[0], centred.sort()[0], atol=2e-3, rtol=2e-3)
        torch.testing.assert_close(
            batch.targets[i, 0], x[i][where].mean().expand_as(x[i]), atol=1e-5, rtol=1e-5
        )


@pytest.mark.usefixtures("as_on_gpu")
def test_ddm2s_first_network_sees_both_neighbours_and_never_x(stack: Stack, machine) -> None:
    count = len(stack.target)
    volumes = np.arange(count, dtype=np.float32)[:, None, None, None]
    marked = replace(stack, target=np.broadcast_to(volumes, stack.target.shape).copy())
    draw = DDM2(batch=20, patch=None)._draw(marked, machine, 0)
    assert isinstance(draw, DeviceCutDraw)
    batch = draw(0)
    x = batch.targets[:, 0, 0, 0].long()
    torch.testing.assert_close(batch.inputs[:, 0, 0, 0].long(), (x - 1) % count)
    torch.testing.assert_close(batch.inputs[:, 1, 0, 0].long(), (x + 1) % count)


@pytest.mark.parametrize("output", ["direct", "corrected"])
def test_noisier2noises_batches_have_the_law_of_numpys(
    stack: Stack, machine, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = build("noisier2noise", "smoke", {"output": output, "ratio": "1.5", "batch": "32"})
    assert isinstance(method, Noisier2Noise)
    numpys = method._draw(stack, machine, 3)
    monkeypatch.setattr("dwiser.learn.where_drawn.on_gpu", lambda _: True)
    draw = method._draw(stack, machine, 3)
    assert isinstance(draw, DeviceCutDraw)
    mine, reference = batches(draw), batches(numpys)
    assert alike(mine.targets, reference.targets) > 1e-3
    added = [b.inputs - b.targets for b in (mine, reference)]
    assert alike(*added) > 1e-3
    assert alike(*(a.std((1, 2, 3)) for a in added)) > 1e-3


def test_corrected_noise_has_the_sd_of_each_place(stack: Stack, machine) -> None:
    method = Noisier2Noise(output="corrected", ratio=2.0)
    device = DeviceStack.of(stack, "cpu")
    examples, g = method._examples(stack, device), generator()
    cuts = drawn_cuts(device, 4, None, g)
    added = torch.stack([(b := examples(cuts, g)).inputs - b.targets for _ in range(400)])
    sd = added.square().mean(0).sqrt()[:, 0]
    sigma = np.stack(
        [stack.sigma_of(k, z) for k, z in zip(cuts.k.tolist(), cuts.z.tolist(), strict=True)]
    )
    flipped = torch.from_numpy(2 * sigma)[
        torch.arange(4)[:, None, None], cuts.rows[:, :, None], cuts.columns[:, None, :]
    ]
    assert (sd[flipped == 0] == 0).all()
    ratio = sd[flipped > 0] / flipped[flipped > 0]
    assert abs(float(ratio.mean()) - 1) < 0.01
    assert ratio.min() > 0.8
    assert ratio.max() < 1.2


def test_the_mean_within_is_that_of_the_mask_or_of_all() -> None:
    images = torch.arange(12.0).view(2, 2, 3)
    inside = torch.zeros(2, 2, 3, dtype=torch.bool)
    inside[0, 0, :2] = True
    assert mean_within(images, inside).flatten().tolist() == [0.5, 8.5]
    assert mean_within(images, None).flatten().tolist() == [2.5, 8.5]


def test_what_waits_for_a_device_is_noticed() -> None:
    values = torch.arange(4.0)
    assert waits_of(lambda: values * 2) == []
    assert waits_of(lambda: values[torch.arange(2)]) == []
    for run in (
        lambda: float(values.sum()), lambda: values[values > 1], lambda: torch.tensor([1.0]),
        lambda: bool(values.any()), lambda: torch.linalg.inv(torch.eye(2)),
    ):  # fmt: skip
        assert waits_of(run)


@pytest.mark.usefixtures("as_on_gpu")
def test_no_draw_waits_for_its_device(stack: Stack, machine) -> None:
    matched = match_states(SCHEDULE, stack, 0.9 * stack.target, within=True)
    example = StateExample(SCHEDULE, stack, matched, 400, True)
    stage3 = CutDraw(stack, example, 3, 4, 8, purpose="stage III")
    corrected = build("noisier2noise", "smoke", {"output": "corrected"})
    assert isinstance(corrected, Noisier2Noise)
    draws = (
        draw_of(stack, 4, patch=8),
        draw_of(stack, 4, shared_step=True, noise="gaussian"),
        DDM2(batch=4)._draw(stack, machine, 0),
        cut_draw(stage3, partial(DeviceStateExamples.of, example)),
        Noisier2Noise(batch=4)._draw(stack, machine, 0),
        corrected._draw(stack, machine, 0),
        Noise2Noise(batch=4)._draw(stack, machine, 0),
    )
    for draw in draws:
        assert isinstance(draw, DeviceCutDraw | DevicePairDraw)
        assert waits_of(partial(draw, 1)) == []
