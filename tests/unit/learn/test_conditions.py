"""F told the directions: signs mean nothing, flips are mirrors, and it is worth something."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dwiser.chain.sample import FLIPS, drawn_flip, four_flips, sample
from dwiser.chain.schedule import Schedule
from dwiser.learn.conditions import PER_PAIR, flipped, outer_products, pair_conditions
from dwiser.learn.device_draws import DevicePairDraw
from dwiser.learn.loop import train
from dwiser.learn.pairs import PairDraw
from dwiser.learn.step import Batch
from dwiser.methods.registry import build
from dwiser.nets.compact import Compact
from dwiser.nets.unet import UNet
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.stack import Stack, build_stack
from dwiser.scan import Gradients

quiet = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
NETS = {"compact": lambda c: Compact(8, conditions=c),
        "unet": lambda c: UNet(base=8, groups=4, multipliers=(1, 2), attention_level=1,
                               conditions=c)}  # fmt: skip


@pytest.fixture(scope="module")
def stack(tiny) -> Stack:
    return build_stack(
        tiny.scan, tiny.mask, sigma_map(tiny.scan, tiny.mask),
        pairing="adjacent", neighbour="shell", fewest_b0s=4, crop=True,
    )  # fmt: skip


def test_the_sign_of_a_direction_means_nothing() -> None:
    g = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(outer_products(g), outer_products(-g))
    x, y, z = g.T
    expected = np.stack([x * x, y * y, z * z, x * y, x * z, y * z], axis=1)
    np.testing.assert_allclose(outer_products(g), expected)


def test_a_flip_turns_the_sign_of_what_holds_its_axis_once() -> None:
    g = np.array([0.6, 0.48, 0.64])
    turned = {
        dims: np.sign(outer_products(flipped(g, dims)) / outer_products(g)).tolist()
        for dims in FLIPS
    }
    assert turned == {
        (): [1, 1, 1, 1, 1, 1],
        (-2,): [1, 1, 1, -1, -1, 1],
        (-1,): [1, 1, 1, -1, 1, -1],
        (-2, -1): [1, 1, 1, 1, -1, -1],
    }


def test_rows_are_the_volumes_x_axis_and_columns_its_y_axis(tiny, stack) -> None:
    volume = int(stack.plan.volumes[2])
    data = tiny.scan.data[stack.box.index][..., volume]
    unit = stack.scale.to_unit(data, volume)
    np.testing.assert_array_equal(stack.target[2].transpose(1, 2, 0), unit)
    np.testing.assert_array_equal(stack.directions[2, 0], tiny.scan.gradients.bvecs[volume])
    before = tiny.scan.gradients.bvecs[int(stack.plan.partners[2])]
    np.testing.assert_array_equal(stack.directions[2, 1], before)


def test_volumes_without_a_direction_are_told_by_zeros(stack) -> None:
    some = stack.directions.copy()
    some[1, 0] = 0
    table = pair_conditions(replace(stack, directions=some))
    assert table.shape == (len(some), 4, PER_PAIR)
    assert not table[1, :, :6].any()
    assert table[1, :, 6:].any()


def test_a_predicted_partner_shows_the_direction_of_its_target(tiny) -> None:
    predicted = build_stack(
        tiny.scan, tiny.mask, np.ones(tiny.mask.shape),
        pairing="predicted", neighbour="shell", fewest_b0s=4, crop=True,
    ).directions  # fmt: skip
    np.testing.assert_array_equal(predicted[:, 0], predicted[:, 1])


def test_a_batch_tells_the_directions_of_the_images_as_they_are_flipped(stack) -> None:
    table = pair_conditions(stack)
    untold = PairDraw(stack, Schedule(), 3, 16, 300, patch=None)
    draw = replace(untold, conditions=table)(0)
    plain = untold(0)
    torch.testing.assert_close(draw.inputs, plain.inputs, rtol=0, atol=0)
    torch.testing.assert_close(draw.level[:, 0], plain.level, rtol=0, atol=0)
    on_device = DevicePairDraw.of(replace(untold, conditions=table))(0)
    for batch in (draw, on_device):
        seen = set()
        for told, target in zip(batch.level[:, 1:].numpy(), batch.targets[:, 0], strict=True):
            k, flip = np.argwhere((table == told).all(-1))[0]
            seen.add(int(flip))
            back = target.flip(FLIPS[flip]).numpy()
            assert any(np.array_equal(back, slice_) for slice_ in stack.target[k]), (k, flip)
        assert len(seen) > 2


def uneven(x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """An F that favours one corner, more or less as its condition says."""
    corner = torch.arange(x[0].numel()).reshape(x.shape[1:])
    return x + corner * known[:, 1:].sum(1)[:, None, None] / 100


def test_sampling_a_mirrored_slice_with_mirrored_directions_mirrors_the_result() -> None:
    x, level, told = torch.rand(2, 3, 4), torch.rand(2), torch.rand(2, 4, 5)
    straight = four_flips(uneven, x, level, told)
    mirrored = four_flips(uneven, x.flip(-2), level, told[:, [1, 0, 3, 2]])
    torch.testing.assert_close(mirrored, straight.flip(-2))
    each = [drawn_flip(uneven, x, level, torch.full((2,), k), told) for k in range(4)]
    torch.testing.assert_close(straight, torch.stack(each).mean(0))


def test_slices_that_walk_on_keep_their_own_conditions() -> None:
    class First:
        """Ends every slice of even number at its first evaluation."""

        threshold = 0.5

        def distance(self, x, x_out, sigma):
            return (sigma[:, 0, 0] == 0).float()

    x, told = torch.rand(4, 3, 4) - 0.5, torch.rand(4, 4, 5) / 10
    sigma = (torch.arange(4) % 2)[:, None, None].expand(4, 3, 4).float()
    given = {"schedule": Schedule(), "steps": (30, 20, 10), "stop": First()}
    draws = torch.tensor([[0, 1, 2], [3, 2, 1], [1, 1, 1], [2, 3, 0]])
    for flips in (None, draws):
        whole = sample(uneven, x, x, sigma, draws=flips, conditions=told, **given).image
        for k in range(4):
            one = slice(k, k + 1)
            own = None if flips is None else flips[one]
            alone = sample(uneven, x[one], x[one], sigma[one], draws=own, conditions=told[one],
                           **given).image  # fmt: skip
            torch.testing.assert_close(whole[one], alone)


@pytest.mark.parametrize("kind", NETS)
def test_a_network_that_is_told_begins_as_the_one_that_is_not(kind: str) -> None:
    nets = []
    for conditions in (0, 12):
        torch.manual_seed(0)
        nets.append(NETS[kind](conditions))
    untold, told = nets
    own = {k: v for k, v in told.state_dict().items() if not k.startswith("conditions.")}
    assert own.keys() == untold.state_dict().keys()
    x, level, more = torch.rand(2, 1, 8, 8), torch.tensor([0.99, 0.999]), torch.rand(2, 12)
    known = torch.cat([level[:, None], more], 1)
    torch.testing.assert_close(told(x, known), untold(x, level), rtol=0, atol=0)
    with torch.no_grad():
        told.conditions.narrow.bias.normal_()
        if kind == "compact":
            told.head.weight.normal_()
            told.deep.second.weight.normal_()
    assert not torch.allclose(told(x, known), untold(x, level)), "and it uses them"
    with pytest.raises(ValueError, match="12 conditions"):
        told(x, level)
    with pytest.raises(ValueError, match="0 conditions"):
        untold(x, known)


@quiet
def test_a_scan_with_its_vectors_reversed_is_denoised_alike(tiny, machine) -> None:
    method = build("difusion", "smoke", {
        "pairing": "adjacent", "directions": "embedded", "iterations": 3, "evaluations": 2,
        "width": 8,
    })  # fmt: skip
    table = tiny.scan.gradients
    reversed_ = replace(tiny.scan, gradients=Gradients(table.bvals, -table.bvecs))
    a, b = (method.denoise(s, machine=machine, seed=0).data for s in (tiny.scan, reversed_))
    np.testing.assert_array_equal(a, b)
    untold = replace(method, directions="unknown").denoise(tiny.scan, machine=machine, seed=0)
    assert np.abs(a - untold.data).max() > 0


def test_only_who_is_told_the_direction_learns_two_contrasts() -> None:
    """One and the same x' stands for two volumes: along x it shall become bright, along y dark."""
    generator = torch.Generator().manual_seed(0)
    along = torch.tensor([[1.0, 0, 0], [0.0, 1, 0]])
    conditions = torch.from_numpy(outer_products(along.numpy()))

    def error(conditioned: bool) -> float:
        def draw(iteration: int) -> Batch:
            which = torch.arange(8) % 2
            inputs = torch.randn(8, 1, 8, 8, generator=generator) / 10
            targets = (0.5 - which.float())[:, None, None, None].expand(8, 1, 8, 8)
            level = torch.full((8, 1), 0.99)
            known = torch.cat([level, conditions[which]], 1) if conditioned else level[:, 0]
            return Batch(inputs, known, targets)

        torch.manual_seed(0)
        net = Compact(8, conditions=6 if conditioned else 0)
        train(net, draw, iterations=60, learning_rate=1e-2)
        batch = draw(60)
        with torch.no_grad():
            return float((net(batch.inputs, batch.level) - batch.targets).square().mean())

    assert error(conditioned=True) < 0.02
    assert error(conditioned=False) > 0.24, "the mean of the two contrasts: 0.25"
