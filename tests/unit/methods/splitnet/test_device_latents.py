"""splitnet's draws on the device follow the law of NumPy's, which is the reference."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from dwiser.learn.step import Batch
from dwiser.learn.where_drawn import ON_DEVICE
from dwiser.methods.registry import build
from dwiser.methods.splitnet.device_latents import DeviceChainDraw, DeviceLatentDraw
from dwiser.methods.splitnet.device_subspace import DeviceSplits, DeviceSubspace
from dwiser.methods.splitnet.latent_chain import ChainDraw, shuffled_noise
from dwiser.methods.splitnet.latents import LatentDraw
from dwiser.prepare.splits import in_three, split
from dwiser.prepare.subspace import SignalSubspace
from dwiser.seeds import stream
from tests.waits import waits_of

NUMBERS = np.array([1, 2, 3, 5, 6, 8, 9, 10, 11, 13, 14, 15, 16, 18, 19, 20, 21, 22])  # of volumes
GROUPS = NUMBERS[[0, 3, 6, 9, 17]], np.setdiff1d(NUMBERS, NUMBERS[[0, 3, 6, 9, 17]])
SIGNAL, NOISE = np.array([60.0, 8.0, 0.4]), 0.8
VOLUMES = len(NUMBERS)


def subspace_of(rank: int) -> SignalSubspace:
    basis = np.linalg.qr(stream(1, "basis").standard_normal((VOLUMES, rank)))[0]
    return SignalSubspace(NUMBERS, basis, np.geomspace(60, 0.4, rank), NOISE)


SPACE = subspace_of(3)
TRUTH = stream(2, "u").standard_normal((2, 24, 22, 3)) * np.sqrt(SPACE.signal)  # coordinates


def draw_of(kind: type[LatentDraw], batch: int = 6, patch: int = 10) -> LatentDraw:
    """A low-rank Gaussian scan of unit noise, a third of it outside the mask."""
    noise = stream(3, "n").standard_normal((*TRUTH.shape[:3], VOLUMES)) * NOISE**0.5
    inside = np.ones(TRUTH.shape[:3], bool)
    inside[:, :7] = False
    y = (TRUTH @ SPACE.components.T + noise).astype(np.float32) * inside[..., None]
    return kind(y, inside, SPACE, GROUPS, 7, batch, patch)


def on_its_device(draw: LatentDraw) -> DeviceLatentDraw:
    return (DeviceChainDraw if isinstance(draw, ChainDraw) else DeviceLatentDraw).of(draw)


def shown(batch: Batch) -> np.ndarray:
    """Which volumes each item was shown, (B, M): those that no voxel counts for."""
    assert batch.weights is not None
    return (batch.weights.amax((2, 3)) == 0).numpy()


def alike(mine: np.ndarray, reference: np.ndarray) -> float:
    """The p-value that both are of one law."""
    rng = stream(0, "sample")
    parts = (rng.choice(np.ravel(v), min(3000, v.size), replace=False) for v in (mine, reference))
    return float(ks_2samp(*parts).pvalue)


kinds = pytest.mark.parametrize("kind", [LatentDraw, ChainDraw])


@kinds
def test_batches_have_the_law_of_numpys(kind: type[LatentDraw]) -> None:
    numpys = draw_of(kind, batch=16)
    draws: tuple[Callable[[int], Batch], ...] = on_its_device(numpys), numpys
    batches = [[draw(i) for i in range(25)] for draw in draws]

    def both(of: Callable[[Batch], torch.Tensor | np.ndarray]) -> Iterator[np.ndarray]:
        return (np.concatenate([np.asarray(of(b)) for b in drawn]) for drawn in batches)

    mine, reference = both(shown)
    assert alike(mine.mean(1), reference.mean(1)) > 1e-3
    for group in GROUPS:
        members = np.isin(NUMBERS, group)
        sums = [Counter(v[:, members].sum(1).tolist()) for v in (mine, reference)]
        for count in (
            sums[0] | sums[1]
        ):  # 400 items: a share's sd is .035 at most, of the difference
            assert abs(sums[0][count] - sums[1][count]) < 400 * 0.13
    np.testing.assert_allclose(mine.mean(0), reference.mean(0), atol=0.13)
    for k in range(3):
        assert alike(*both(lambda b, k=k: b.level[:, k])) > 1e-3
        assert alike(*both(lambda b, k=k: b.inputs[:, k])) > 1e-3
        assert alike(*both(lambda b, k=k: b.inputs[:, k].std((1, 2)))) > 1e-3
    assert alike(*both(lambda b: b.targets)) > 1e-3
    assert alike(*both(lambda b: b.weights.mean((1, 2, 3)))) > 1e-3


def test_what_is_shown_is_the_posterior_of_the_visible_volumes() -> None:
    batch = on_its_device(draw_of(LatentDraw))(3)
    assert batch.level is not None
    for z, level, y, visible in zip(
        batch.inputs, batch.level, batch.targets, shown(batch), strict=True
    ):
        matrix, sd = SPACE.latent(visible)
        expected = np.einsum("km,mhw->khw", matrix, y.numpy().astype(float))
        np.testing.assert_allclose(z, expected, atol=2e-5)
        np.testing.assert_allclose(level, sd, rtol=1e-6)


@kinds
def test_no_target_leaks_into_the_input_and_all_else_is_in_it(kind: type[LatentDraw]) -> None:
    draw = draw_of(kind, batch=3)
    batch = on_its_device(draw)(4)
    for item, visible in enumerate(shown(batch)):
        for spoilt, same in ((~visible, True), (visible, False)):
            y = draw.y.copy()
            y[..., spoilt] += 100
            changed = on_its_device(replace(draw, y=y))(4)
            assert torch.equal(changed.inputs[item], batch.inputs[item]) is same


@kinds
def test_no_draw_waits_for_its_device(kind: type[LatentDraw]) -> None:
    assert waits_of(partial(on_its_device(draw_of(kind)), 1)) == []


@kinds
def test_only_the_mask_counts_and_a_batch_counts_one_on_average(kind: type[LatentDraw]) -> None:
    draw = draw_of(kind)
    batch = on_its_device(draw)(1)
    assert batch.weights is not None
    assert float(batch.weights.mean()) == pytest.approx(1, rel=1e-5)
    outside = (batch.targets == 0).all(1, keepdim=True)
    assert outside.any()
    assert (batch.weights * outside == 0).all()
    assert batch.inputs.is_contiguous(memory_format=torch.channels_last)


def test_patches_are_centred_in_the_mask_and_turned_in_all_eight_ways() -> None:
    draw = draw_of(LatentDraw, batch=1600)
    rows, columns = np.indices(draw.inside.shape[1:])
    y = draw.y.copy()
    y[..., 0], y[..., 1] = rows, columns
    y[..., 2] = np.arange(2)[:, None, None]
    targets = on_its_device(replace(draw, y=y))(0).targets.numpy()
    row, column, z = targets[:, 0], targets[:, 1], targets[:, 2].astype(int)
    steps = np.stack(
        [row[:, 1, 0] - row[:, 0, 0], row[:, 0, 1] - row[:, 0, 0],
         column[:, 1, 0] - column[:, 0, 0], column[:, 0, 1] - column[:, 0, 0]], 1
    )  # fmt: skip
    turns = Counter(map(tuple, steps.astype(int).tolist()))
    assert len(turns) == 8
    assert all(abs(count - 200) < 60 for count in turns.values())  # 4.5 sd
    assert all(abs(a) + abs(b) == abs(c) + abs(d) == 1 for a, b, c, d in turns)
    edge, (height, width) = 10, draw.inside.shape[1:]
    starts = {
        (
            s,
            *(
                min(max(0, c - edge // 2), n - edge)
                for c, n in zip(at, (height, width), strict=True)
            ),
        )
        for s in range(2)
        for at in np.argwhere(draw.inside[s])
    }
    placed = set(zip(z[:, 0, 0].tolist(), row.min((1, 2)), column.min((1, 2)), strict=True))
    assert placed <= starts
    assert len(placed) > 0.8 * len(starts)
    assert (np.ptp(row, (1, 2)) == edge - 1).all()


def test_keys_are_the_seed_and_the_iteration() -> None:
    draw = on_its_device(draw_of(LatentDraw))
    first, other, again = draw(5), draw(6), draw(5)
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)
    changed = on_its_device(replace(draw_of(LatentDraw), seed=8))(5)
    assert not torch.equal(first.inputs, changed.inputs)


def test_three_sets_are_disjoint_and_of_numpys_sizes() -> None:
    splits = DeviceSplits.of(GROUPS, NUMBERS, "cpu")
    a, b = (s.numpy() for s in splits.in_three(600, torch.Generator().manual_seed(0)))
    assert not (a & b).any()
    for group in GROUPS:
        members = np.isin(NUMBERS, group)
        assert (a[:, members].sum(1) >= b[:, members].sum(1)).all()
        assert (b[:, members].sum(1) > 0).all()
        assert ((a | b)[:, members].sum(1) < len(group)).all()
    numpys = [in_three(GROUPS, NUMBERS, stream(k, "sets")) for k in range(600)]
    for mine, reference in zip((a, b), zip(*numpys, strict=True), strict=True):
        np.testing.assert_allclose(mine.mean(0), np.mean(reference, 0), atol=0.11)
        assert alike(mine.sum(1), np.sum(reference, 1)) > 1e-3


def test_a_share_of_a_group_is_hidden_as_numpys_split_hides_it() -> None:
    splits = DeviceSplits.of(GROUPS, NUMBERS, "cpu")
    every = torch.ones(800, VOLUMES, dtype=torch.bool)
    mine = splits.split(every, torch.Generator().manual_seed(1)).numpy()
    reference = np.stack([split(GROUPS, NUMBERS, stream(k, "split")) for k in range(800)])
    for group in GROUPS:
        members = np.isin(NUMBERS, group)
        counts = [Counter(v[:, members].sum(1).tolist()) for v in (mine, reference)]
        assert set(counts[0]) == set(counts[1])
        assert all(abs(counts[0][n] - counts[1][n]) < 100 for n in counts[0])


@pytest.mark.parametrize(("rank", "chosen"), [(3, 12), (7, 12), (7, 9), (7, 7), (7, 4)])
def test_the_residuals_frame_has_no_signal_and_unit_channels(rank: int, chosen: int) -> None:
    space = subspace_of(rank)
    which = np.zeros((4, VOLUMES), bool)
    for item, row in enumerate(which):
        row[stream(item, "chosen").permutation(VOLUMES)[:chosen]] = True
    matrix = DeviceSubspace.of(space, "cpu").noise_alone(
        torch.from_numpy(which), torch.Generator().manual_seed(2)
    )
    frame = matrix.numpy() * NOISE**0.5
    assert (frame[~which] == 0).all()
    if chosen <= rank:
        assert not frame.any()
        return
    np.testing.assert_allclose(np.linalg.norm(frame, axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(space.components.T @ frame, 0, atol=1e-9)
    if chosen >= 2 * rank:
        white = np.broadcast_to(np.eye(rank), (4, rank, rank))
        np.testing.assert_allclose(frame.transpose(0, 2, 1) @ frame, white, atol=1e-9)
    reference = np.stack([space.noise_alone(which[0], stream(k, "few")) for k in range(300)])
    drawn = DeviceSubspace.of(space, "cpu").noise_alone(
        torch.from_numpy(which[:1]).expand(300, -1), torch.Generator().manual_seed(3)
    )
    products = [np.abs(np.einsum("bmk,bmj->bkj", v, v)) for v in (drawn.numpy(), reference)]
    assert alike(np.abs(drawn.numpy()[:, which[0]]), np.abs(reference[:, which[0]])) > 1e-3
    np.testing.assert_allclose(products[0].mean(0), products[1].mean(0), atol=0.09 / NOISE)


def test_the_chains_noise_is_numpys_in_another_order() -> None:
    """Covariance of the latent's error inside the mask, nothing outside, no mean."""
    draw = on_its_device(draw_of(ChainDraw, batch=1))
    assert isinstance(draw, DeviceChainDraw)
    y, inside = (torch.from_numpy(a) for a in (draw.draw.y[:1], draw.draw.inside[:1]))
    chosen = torch.arange(VOLUMES)[None] % 3 > 0
    covariance = draw.subspace.posterior(chosen)[1]
    xi = draw._noise(y, inside, chosen, covariance, torch.Generator().manual_seed(4))
    assert (xi[~inside] == 0).all()
    mine = xi[inside].numpy()
    reference = shuffled_noise(
        SPACE, y[0].numpy(), inside[0].numpy(), chosen[0].numpy(), covariance[0].numpy(),
        stream(0, "xi"),
    )[inside[0].numpy()]  # fmt: skip
    np.testing.assert_allclose(mine.mean(0), 0, atol=1e-5)
    expected = covariance[0].numpy()
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    for noise in (mine, reference):
        np.testing.assert_allclose(np.cov(noise.T) / scale, expected / scale, atol=0.2)


def test_the_chains_level_is_the_sd_of_its_states_error() -> None:
    draw = on_its_device(draw_of(ChainDraw, batch=40, patch=8))
    batch = draw(2)
    assert batch.level is not None
    place = draw._places(torch.Generator().manual_seed(draw.generator.initial_seed()))
    truth = torch.from_numpy(TRUTH.astype(np.float32))[place].movedim(-1, 1)
    inside = draw.inside[place][:, None]
    off = (batch.inputs - truth) / batch.level[:, :, None, None]
    square = (off.square() * inside).sum((2, 3)) / inside.sum((2, 3))
    np.testing.assert_allclose(square.mean(0).sqrt(), 1, atol=0.06)


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
@pytest.mark.parametrize("chain", [False, True])
def test_the_network_learns_from_the_devices_batches(small, machine, monkeypatch, chain) -> None:
    """As on a GPU but for the place: as near the truth as with NumPy's, with other numbers."""
    settings = {"chain": chain, "iterations": 20} | ({"evaluations": 1} if chain else {})
    method = build("splitnet", "smoke", settings)

    def error() -> tuple[float, np.ndarray]:
        result = method.denoise(small.scan, machine=machine, seed=0)
        places.append(result.record["training"].get("batches"))
        off = (result.data - small.truth)[small.mask]
        return float(np.sqrt(np.mean(off**2))), result.data

    places: list[str | None] = []
    numpys, first = error()
    monkeypatch.setattr("dwiser.learn.where_drawn.on_gpu", lambda _: True)
    devices, second = error()
    assert places == [None, ON_DEVICE]
    assert not np.array_equal(first, second)
    assert abs(devices - numpys) < 0.1 * numpys
