"""Learning across disjoint directions: nothing leaks, and the optimum is the true one."""

import numpy as np
import pytest
import torch

from dwiser.methods.registry import build
from dwiser.methods.splitnet.latents import LatentDraw
from dwiser.methods.splitnet.method import Splitnet
from dwiser.prepare.splits import folds, split
from dwiser.prepare.subspace import (
    SignalSubspace,
    fit_subspace,
    grouped,
    second_moment,
    truncation_loss,
)
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream

quiet = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")


def table(bvals: list[float]) -> Gradients:
    vectors = stream(0, "bvecs").standard_normal((len(bvals), 3))
    return Gradients(
        np.array(bvals, float), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    )


def simulated(count: int = 20_000, volumes: int = 24, rank: int = 3) -> tuple[np.ndarray, ...]:
    """(y, truth, components, signal) of a low-rank Gaussian scan with unit noise."""
    rng = stream(1, "made")
    basis = np.linalg.qr(rng.standard_normal((volumes, rank)))[0]
    signal = np.array([400.0, 40.0, 4.0][:rank])
    truth = (rng.standard_normal((count, rank)) * np.sqrt(signal)) @ basis.T
    return truth + rng.standard_normal(truth.shape), truth, basis, signal


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_what_a_subspace_leaves_out_is_told_in_units_of_noise(rank) -> None:
    y, _, basis, signal = simulated()
    space = SignalSubspace(np.arange(24), basis[:, :rank], signal[:rank], 1.0)
    expected = 1 + signal[rank:].sum() / (24 - rank)
    np.testing.assert_allclose(truncation_loss(space, second_moment(y)), expected, rtol=0.02)


def test_splits_are_stratified_and_disjoint() -> None:
    gradients = table([0] * 5 + [1000] * 20 + [2000] * 10)
    groups, excluded = grouped(gradients)
    assert excluded == {}
    volumes = np.arange(35)
    for k in range(50):
        visible = split(groups, volumes, stream(k, "split"))
        shares = [1 - visible[g].mean() for g in groups]
        assert all(0 < share < 0.5 for share in shares)
        assert max(shares) - min(shares) < 0.2


def test_folds_hold_every_volume_out_once_and_each_group_evenly() -> None:
    gradients = table([0] * 5 + [1000] * 20 + [2000] * 10)
    groups, _ = grouped(gradients)
    dealt = folds(groups, np.arange(35), 4, stream(0, "folds"))
    held = np.array([~visible for visible in dealt])
    np.testing.assert_array_equal(held.sum(0), 1)
    for group in groups:
        counts = held[:, group].sum(1)
        assert counts.max() - counts.min() <= 1


def test_coordinates_have_white_noise_and_ignore_what_is_held_out() -> None:
    _, _, basis, signal = simulated()
    space = SignalSubspace(np.arange(24), basis, signal, 1.0)
    visible = np.arange(24) % 4 > 0
    matrix, root = space.coordinates(visible)
    assert (matrix[~visible] == 0).all()
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(3), atol=1e-10)
    clean = stream(4, "u").standard_normal((50, 3))
    np.testing.assert_allclose((clean @ basis.T) @ matrix @ root, clean, atol=1e-9)


def test_lone_volumes_stay_out_with_a_reason() -> None:
    groups, excluded = grouped(table([0, *[1000] * 8, 2000, 2000]))
    assert [len(g) for g in groups] == [8]
    assert set(excluded) == {0, 9, 10}
    assert "b0s" in excluded[0]
    assert "b=2000" in excluded[9]


def test_the_latent_is_the_gaussian_posterior() -> None:
    y, truth, basis, signal = simulated()
    space = SignalSubspace(np.arange(24), basis, signal, 1.0)
    visible = np.arange(24) % 3 > 0
    matrix, level = space.latent(visible)
    assert (matrix[:, ~visible] == 0).all()
    error = y @ matrix.T - truth @ basis
    np.testing.assert_allclose(error.std(0), level, rtol=0.05)
    assert np.abs(np.corrcoef(np.c_[error, y @ matrix.T].T)[:3, 3:]).max() < 0.05


def test_fewer_volumes_than_components_still_have_a_latent() -> None:
    _, _, basis, signal = simulated()
    matrix, level = SignalSubspace(np.arange(24), basis, signal, 1.0).latent(np.arange(24) < 2)
    assert np.isfinite(matrix).all()
    assert (level <= np.sqrt(signal) + 1e-9).all()


def test_the_rank_is_found_and_the_subspace_is_the_true_one() -> None:
    y, _, basis, signal = simulated()
    groups = (np.arange(12), np.arange(12, 24))
    subspace = fit_subspace(second_moment(y), len(y), groups, 0)
    assert 3 <= subspace.rank <= 4  # the covariance is the sample's: one of noise may pass
    assert (subspace.signal[3:] < 0.1).all()
    np.testing.assert_allclose(subspace.signal[:3], signal, rtol=0.1)
    np.testing.assert_allclose(np.abs(np.diag(subspace.components.T @ basis)), 1, atol=0.02)


def test_one_corrupted_volume_makes_no_component() -> None:
    y, _, _, _ = simulated()
    y[:, 5] += 300 * stream(2, "corrupt").standard_normal(len(y))
    groups = (np.arange(24),)
    subspace = fit_subspace(second_moment(y), len(y), groups, 0)
    assert np.abs(subspace.components[5]).max() < 0.3


def draw_of(y: np.ndarray) -> LatentDraw:
    shape = (2, 20, 20, y.shape[-1])
    data = y[:800].reshape(shape).astype(np.float32)
    inside = np.ones(shape[:3], bool)
    inside[:, :4] = False
    groups = (np.arange(y.shape[-1]),)
    space = fit_subspace(second_moment(y), len(y), groups, 0)
    return LatentDraw(data, inside, space, groups, 7, 3, 12)


def test_no_target_leaks_into_the_input() -> None:
    draw = draw_of(simulated()[0])
    batch = draw(4)
    assert batch.weights is not None
    held = batch.weights.amax((2, 3)) > 0
    spoilt = draw.y.copy()
    for item in range(3):
        spoilt[..., held[item].numpy()] = 1e6  # whatever the targets of one item are
        changed = LatentDraw(
            spoilt, draw.inside, draw.subspace, draw.groups, draw.seed, draw.batch, draw.patch
        )(4)
        torch.testing.assert_close(changed.inputs[item], batch.inputs[item])
        spoilt = draw.y.copy()
    assert 0 < held.float().mean() < 0.5


def test_only_the_mask_is_a_target() -> None:
    batch = draw_of(simulated()[0])(0)
    assert batch.weights is not None
    assert float(batch.weights.mean()) == pytest.approx(1, rel=1e-4)
    assert (batch.weights >= 0).all()


@quiet
def test_pure_noise_in_no_noise_out(machine) -> None:
    """On pure noise the correlation of input and output noise stays under 0.02."""
    rng = stream(3, "noise")
    shape = (40, 40, 8, 36)
    data = (500 + 10 * rng.standard_normal(shape)).astype(np.float32)
    sigma = np.full(shape[:3], 10, np.float32)
    scan = Scan(
        data, np.diag([2, 2, 2, 1.0]), table([0] * 6 + [1000] * 30),
        mask=np.ones(shape[:3], bool), sigma=sigma,
    )  # fmt: skip
    method = build("splitnet", "smoke", {"iterations": 150})
    result = method.denoise(scan, machine=machine, seed=0)
    noise, rest = data - 500, result.data - 500
    slope = float((noise * rest).sum() / (noise**2).sum())
    assert abs(slope) < 0.02 + 1 / 36  # what every mean over 36 volumes keeps, and no more
    assert rest.std() < 0.25 * noise.std()


@quiet
def test_it_beats_the_linear_shrinkage_on_a_phantom(small, machine) -> None:
    from dwiser.simulation import phantom

    s = phantom(shape=(40, 44, 12), shells=((1000.0, 30),), n_b0=4, snr=12, seed=23)
    ours = build("splitnet", "smoke", {"iterations": 200, "width": 32}).denoise(
        s.scan, machine=machine, seed=0
    )
    linear = build("subspace").denoise(s.scan, machine=machine, seed=0)

    def rmse(data: np.ndarray) -> float:
        return float(np.sqrt(np.mean((data - s.truth)[s.mask] ** 2)))

    assert rmse(ours.data) < rmse(linear.data) < rmse(s.scan.data)


@quiet
def test_a_single_b0_comes_back_as_it_is(machine, small) -> None:
    scan = small.scan  # two b0s: fewer than four
    result = build("splitnet", "smoke", {"iterations": 3}).denoise(scan, machine=machine, seed=0)
    b0s = scan.gradients.is_b0
    np.testing.assert_array_equal(result.data[..., b0s], scan.data[..., b0s])
    assert set(result.record["volumes_passed_through"]) == {str(v) for v in np.flatnonzero(b0s)}


@quiet
def test_weights_never_outnumber_what_the_scan_can_teach(machine, small) -> None:
    method = Splitnet(width=64, iterations=1)
    record = method.denoise(small.scan, machine=machine, seed=0).record
    voxels = small.scan.data.shape[:3]
    assert record["training"]["width"] < 64
    assert record["training"]["parameters"] < np.prod(voxels) * 12 / 20
