"""Local PCA: its shrinkage is the published optimum, and patches know their mask."""

import numpy as np
import pytest
import torch

from dwiser.methods.splitq import local_pca as module
from dwiser.methods.splitq.local_pca import _eigh, _patches, local_pca, shrinkage
from dwiser.methods.splitq.neighbours import Grid, cross, cube, neighbour_mean
from dwiser.seeds import stream


def low_rank(rank: int = 1, shape=(14, 13, 9), channels: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """(truth, noisy) (X, Y, Z, K): smooth maps of a few components, noise of variance 1."""
    rng = stream(rank, "maps")
    axes = np.stack(np.meshgrid(*(np.linspace(0, 3, n) for n in shape), indexing="ij"))
    maps = np.stack([np.sin(axes.sum(0) * (k + 1)) for k in range(rank)], -1)
    truth = 4 * maps @ rng.standard_normal((rank, channels))
    return truth, truth + rng.standard_normal(truth.shape)


def test_the_shrinkage_is_the_singular_values_optimum() -> None:
    """Gavish & Donoho 2017: √((y²−β−1)²−4β)/y for a singular value y above 1+√β."""
    beta = 0.4
    y = torch.linspace(0.5, 6, 200, dtype=torch.float64)
    weights = shrinkage((y**2)[:, None], torch.tensor([[beta]], dtype=torch.float64))[:, 0]
    published = torch.sqrt(((y**2 - beta - 1) ** 2 - 4 * beta).clamp(min=0)) / y
    published[y <= 1 + beta**0.5] = 0
    torch.testing.assert_close(weights * y, published, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("channels", [4, 20])
def test_one_patch_is_its_shrunk_singular_values(channels: int) -> None:
    """Whichever Gram matrix is the smaller: a lone patch of seven voxels against NumPy's SVD."""
    mask = np.zeros((7, 7, 7), bool)
    mask[tuple((np.array([3, 3, 3]) + cross()).T)] = True
    x = 5 * stream(channels, "patch").standard_normal((7, channels)).astype(np.float32)
    grid = Grid.of(mask)
    centre = int(np.flatnonzero((np.argwhere(mask) == 3).all(1))[0])
    middle = grid.around(torch.tensor([centre]), cross())[0].numpy()
    u, sizes, v = np.linalg.svd(x - x.mean(0), full_matrices=False)
    weights = shrinkage(torch.from_numpy(sizes**2 / 6)[None], torch.tensor([[channels / 7]]))[0]
    expected = x.mean(0) + (u * (sizes * weights.numpy())) @ v
    padded = torch.cat([torch.from_numpy(x), torch.zeros(1, channels)])
    clean, _ = _patches(padded[torch.from_numpy(middle)][None], torch.ones(1, 7).bool(), 1.0)
    np.testing.assert_allclose(clean[0].numpy(), expected[middle], atol=1e-3)


def test_it_beats_keeping_and_dropping_whole_components() -> None:
    truth, noisy = low_rank(2)
    mask = np.ones(truth.shape[:3], bool)
    grid = Grid.of(mask)
    values = torch.from_numpy(noisy[mask].astype(np.float32))
    denoised = local_pca(values, grid, cube(1), 1.0).numpy()
    error = np.mean((denoised - truth[mask]) ** 2)
    assert error < 0.35 * np.mean((noisy - truth) ** 2)


def test_pure_noise_becomes_the_patches_mean() -> None:
    mask = np.ones((12, 12, 12), bool)
    noise = stream(0, "noise").standard_normal((mask.sum(), 6)).astype(np.float32)
    denoised = local_pca(torch.from_numpy(noise), Grid.of(mask), cube(2), 1.0).numpy()
    assert denoised.std() < 0.12  # 125 voxels averaged, and what passes the edge by chance


@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_outside_the_mask_counts_and_threads_change_nothing(threads: int) -> None:
    _, noisy = low_rank()
    mask = stream(3, "mask").random(noisy.shape[:3]) > 0.3
    values = torch.from_numpy(noisy[mask].astype(np.float32))
    denoised = local_pca(values, Grid.of(mask), cube(1), 1.0, threads=threads)
    one = local_pca(values, Grid.of(mask), cube(1), 1.0)
    torch.testing.assert_close(denoised, one, atol=1e-4, rtol=1e-4)
    assert torch.isfinite(denoised).all()


def test_sparse_centres_still_reach_every_voxel() -> None:
    truth, noisy = low_rank()
    mask = np.zeros(truth.shape[:3], bool)
    mask[1:, 2:11, :] = True
    values = torch.from_numpy(noisy[mask].astype(np.float32))
    denoised = local_pca(values, Grid.of(mask), cube(2), 1.0, centres="second").numpy()
    assert (denoised != values.numpy()).all(1).mean() > 0.99
    assert np.mean((denoised - truth[mask]) ** 2) < 0.5


def test_a_voxel_alone_keeps_its_value() -> None:
    mask = np.zeros((5, 5, 5), bool)
    mask[2, 2, 2] = True
    value = torch.full((1, 3), 7.0)
    torch.testing.assert_close(local_pca(value, Grid.of(mask), cube(1), 1.0), value)


def test_neighbours_are_those_of_the_grid() -> None:
    mask = np.ones((4, 5, 6), bool)
    mask[0, 0, 0] = False
    image = np.arange(120.0).reshape(4, 5, 6)
    grid = Grid.of(mask)
    values = torch.from_numpy(image[mask].astype(np.float32))[:, None]
    around = cross()
    others = around[np.abs(around).sum(1) > 0]
    denoised = np.zeros(mask.shape)
    denoised[mask] = neighbour_mean(values, grid, others)[:, 0].numpy()
    assert denoised[2, 2, 2] == pytest.approx(image[2, 2, 2])  # the six of a ramp
    assert denoised[1, 0, 0] == pytest.approx(
        np.mean([image[2, 0, 0], image[1, 1, 0], image[1, 0, 1]])
    )


def test_where_lapack_gives_nan_it_is_asked_again_in_float64(monkeypatch) -> None:
    """It once did for finite matrices of a scan with 512 volumes."""
    plain = torch.linalg.eigh

    def failing(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, axes = (part.clone() for part in plain(gram))
        if gram.dtype == torch.float32:
            values[1], axes[1] = torch.nan, torch.nan
        return values, axes

    x = torch.from_numpy(stream(0, "eigh").normal(size=(3, 7, 5)).astype(np.float32))
    inside = torch.ones(3, 7, dtype=torch.bool)
    expected = _patches(x, inside, 1.0)
    monkeypatch.setattr(torch.linalg, "eigh", failing)
    for denoised, wanted in zip(_patches(x, inside, 1.0), expected, strict=True):
        np.testing.assert_allclose(denoised, wanted, rtol=1e-4, atol=1e-5)


def test_where_single_precision_gives_up_double_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    gram = torch.eye(4).repeat(3, 1, 1) * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    solve = torch.linalg.eigh

    def strict(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if matrix.dtype == torch.float32:
            raise torch.linalg.LinAlgError("did not converge")
        return solve(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", strict)
    variance, axes = _eigh(gram)
    assert variance.dtype == axes.dtype == torch.float32
    np.testing.assert_allclose(variance, np.array([[1.0], [2.0], [3.0]]) * np.ones(4), rtol=1e-6)


def test_shared_patches_keep_torch_from_threads_of_its_own(monkeypatch) -> None:
    """Two threads that each start two more took half as long again on two cores."""
    thread_counts = []
    denoised_patches = module._patches

    def watched(*arguments):
        thread_counts.append(torch.get_num_threads())
        return denoised_patches(*arguments)

    monkeypatch.setattr(module, "_patches", watched)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        mask = np.ones((8, 8, 4), bool)
        local_pca(torch.zeros(256, 3), Grid.of(mask), cube(1), 1.0, threads=2)
        assert set(thread_counts) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_number_of_threads_changes_no_bit(monkeypatch) -> None:
    """Sums are taken in the order of the patches, whichever thread is done first."""
    monkeypatch.setattr(module, "CHUNK", 27 * 40)  # many parts of a small mask
    mask = stream(0, "mask").random((12, 11, 9)) < 0.8
    values = torch.from_numpy(stream(0, "values").normal(size=(mask.sum(), 6)).astype(np.float32))
    grid = Grid.of(mask)
    once, shared = (local_pca(values, grid, cube(1), 1.0, threads=n) for n in (1, 3))
    assert torch.equal(once, shared)
    once, shared = (neighbour_mean(values, grid, cross(), chunk=50, threads=n) for n in (1, 3))
    assert torch.equal(once, shared)
