"""Local PCA: its shrinkage is the published optimum, and patches know their mask."""

import numpy as np
import pytest
import torch

from dwiser.methods.splitq import local_pca as module
from dwiser.methods.splitq import neighbours
from dwiser.methods.splitq.arrays import as_numpy, namespace, on_device
from dwiser.methods.splitq.local_pca import _eigh, _patches, local_pca, shrinkage
from dwiser.methods.splitq.neighbours import Grid, cross, cube, neighbour_mean
from dwiser.seeds import stream

# On a GPU the same code works on torch's tensors: "cpu:0" is that code on a CPU.
on_both = pytest.mark.parametrize("device", ["cpu", "cpu:0"])


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


@on_both
@pytest.mark.parametrize("channels", [4, 20])
def test_one_patch_is_its_shrunk_singular_values(channels: int, device: str) -> None:
    """Whichever Gram matrix is the smaller: a lone patch of seven voxels against NumPy's SVD."""
    mask = np.zeros((7, 7, 7), bool)
    mask[tuple((np.array([3, 3, 3]) + cross()).T)] = True
    x = 5 * stream(channels, "patch").standard_normal((7, channels)).astype(np.float32)
    centre = np.flatnonzero((np.argwhere(mask) == 3).all(1))
    middle = Grid.of(mask, device).around(on_device(centre, device), cross())[0]
    u, sizes, v = np.linalg.svd(x - x.mean(0), full_matrices=False)
    weights = shrinkage((sizes**2 / 6)[None], np.array([[channels / 7]]))[0]
    expected = x.mean(0) + (u * (sizes * weights)) @ v
    clean, _ = _patches(on_device(x, device)[middle][None], middle[None] < 7, 1.0)
    np.testing.assert_allclose(as_numpy(clean)[0], expected[as_numpy(middle)], atol=1e-3)


def test_it_beats_keeping_and_dropping_whole_components() -> None:
    truth, noisy = low_rank(2)
    mask = np.ones(truth.shape[:3], bool)
    grid = Grid.of(mask)
    denoised = local_pca(noisy[mask].astype(np.float32), grid, cube(1), 1.0)
    error = np.mean((denoised - truth[mask]) ** 2)
    assert error < 0.35 * np.mean((noisy - truth) ** 2)


def test_pure_noise_becomes_the_patches_mean() -> None:
    mask = np.ones((12, 12, 12), bool)
    noise = stream(0, "noise").standard_normal((mask.sum(), 6)).astype(np.float32)
    denoised = local_pca(noise, Grid.of(mask), cube(2), 1.0)
    assert denoised.std() < 0.12  # 125 voxels averaged, and what passes the edge by chance


@on_both
@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_outside_counts_and_neither_threads_nor_device(threads: int, device: str) -> None:
    _, noisy = low_rank()
    mask = stream(3, "mask").random(noisy.shape[:3]) > 0.3
    values = noisy[mask].astype(np.float32)
    one = local_pca(values, Grid.of(mask), cube(1), 1.0)
    grid = Grid.of(mask, device)
    denoised = local_pca(on_device(values, device), grid, cube(1), 1.0, threads=threads)
    np.testing.assert_allclose(as_numpy(denoised), one, atol=1e-4, rtol=1e-4)
    assert np.isfinite(one).all()


def test_sparse_centres_still_reach_every_voxel() -> None:
    truth, noisy = low_rank()
    mask = np.zeros(truth.shape[:3], bool)
    mask[1:, 2:11, :] = True
    values = noisy[mask].astype(np.float32)
    denoised = local_pca(values, Grid.of(mask), cube(2), 1.0, centres="second")
    assert (denoised != values).all(1).mean() > 0.99
    assert np.mean((denoised - truth[mask]) ** 2) < 0.5


@on_both
def test_a_voxel_alone_keeps_its_value(device: str) -> None:
    mask = np.zeros((5, 5, 5), bool)
    mask[2, 2, 2] = True
    value = on_device(np.full((1, 3), 7, np.float32), device)
    same = local_pca(value, Grid.of(mask, device), cube(1), 1.0)
    np.testing.assert_allclose(as_numpy(same), as_numpy(value), rtol=1e-6)


needs_compiled = pytest.mark.skipif(module.patches is None, reason="built without a compiler")


@needs_compiled
@pytest.mark.parametrize("channels", [1, 2, 7, 16, 31, 60])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_the_compiled_patches_are_those_of_numpy(monkeypatch, channels: int, radius: int) -> None:
    """The smaller Gram matrix of 7 to 60 rows, odd and even, whole patches and cut ones."""
    rng = stream(channels, "compiled")
    mask = rng.random((9, 8, 7)) < 0.7
    values = (rng.normal(size=(mask.sum(), channels)) * 4).astype(np.float32)
    values[:, 0] += 30 * (np.argwhere(mask)[:, 0] > 4)
    grid, patch = Grid.of(mask), cube(radius) if radius else cross()
    calls = []
    monkeypatch.setattr(module, "_patches", lambda *a: calls.append(1) or _patches(*a))
    compiled = local_pca(values, grid, patch, 1.3, share=0.8)
    means = neighbour_mean(values, grid, patch[1:])
    assert bool(calls) == (min(channels, len(patch)) > module.COMPILED_MOST)
    monkeypatch.setattr(module, "patches", None)
    monkeypatch.setattr(neighbours, "patches", None)
    plain = local_pca(values, grid, patch, 1.3, share=0.8)
    np.testing.assert_allclose(compiled, plain, atol=2e-4)
    assert np.abs(plain - values).max() > 0.5 or channels == 1
    np.testing.assert_allclose(means, neighbour_mean(values, grid, patch[1:]), atol=1e-5)


@needs_compiled
def test_the_compiled_patches_of_extreme_values(monkeypatch) -> None:
    """Equal voxels, none that vary, and a component a million times the noise."""
    mask = np.ones((6, 5, 4), bool)
    grid, rng = Grid.of(mask), stream(0, "extreme")
    some = rng.normal(size=(mask.sum(), 9)).astype(np.float32)
    for values in (some * 0, some * 0 + 7, some * 1e-12, some * 1e6, some[:, :1] + some * 0):
        compiled = local_pca(values, grid, cube(1), 1.0)
        with monkeypatch.context() as without:
            without.setattr(module, "patches", None)
            plain = local_pca(values, grid, cube(1), 1.0)
        scale = max(1.0, float(np.abs(values).max()))
        np.testing.assert_allclose(compiled / scale, plain / scale, atol=2e-5)


@needs_compiled
def test_the_compiled_code_reads_nothing_outside_its_arrays() -> None:
    mask = np.ones((3, 3, 3), bool)
    grid = Grid.of(mask)
    values, steps = np.zeros((27, 2), np.float32), cross() @ grid.strides
    total, weight = np.zeros((27, 2), np.float32), np.zeros(27, np.float32)
    good = (values, grid.index, grid.at, steps, 1.0, 1.0, 0, total, weight)

    def refused(error: type[Exception], place: int, other: object) -> None:
        arguments = list(good)
        arguments[place] = other
        with pytest.raises(error):
            module.patches.denoise(*arguments)

    module.patches.denoise(*good)
    refused(ValueError, 2, grid.at + 10_000)
    refused(ValueError, 2, grid.at - 10_000)
    refused(ValueError, 2, grid.at + 2**62)
    refused(ValueError, 3, steps + 2**62)
    for first in (1, 28, -1, -(2**63)):
        refused(ValueError, 6, first)
    refused(ValueError, 7, total[:-1])
    refused(ValueError, 8, weight[:-1].copy())
    refused(TypeError, 0, values.astype(float))
    refused(TypeError, 1, grid.index.astype(np.int32))
    refused(TypeError, 3, steps[None])
    refused(ValueError, 7, np.asfortranarray(total))
    weight[:], wild = 0, np.where(grid.index == 5, 10**9, grid.index)
    module.patches.denoise(values, wild, *good[2:])
    assert np.flatnonzero(weight == 0).tolist() == [5]


@on_both
def test_neighbours_are_those_of_the_grid(device: str) -> None:
    mask = np.ones((4, 5, 6), bool)
    mask[0, 0, 0] = False
    image = np.arange(120.0).reshape(4, 5, 6)
    grid = Grid.of(mask, device)
    values = on_device(image[mask].astype(np.float32)[:, None], device)
    around = cross()
    others = around[np.abs(around).sum(1) > 0]
    denoised = np.zeros(mask.shape)
    denoised[mask] = as_numpy(neighbour_mean(values, grid, others))[:, 0]
    assert denoised[2, 2, 2] == pytest.approx(image[2, 2, 2])  # the six of a ramp
    assert denoised[1, 0, 0] == pytest.approx(
        np.mean([image[2, 0, 0], image[1, 1, 0], image[1, 0, 1]])
    )


@on_both
def test_where_lapack_gives_nan_it_is_asked_again_in_float64(monkeypatch, device: str) -> None:
    """It once did for finite matrices of a scan with 512 volumes."""
    x = on_device(stream(0, "eigh").normal(size=(3, 7, 5)).astype(np.float32), device)
    inside, solver = on_device(np.ones((3, 7), bool), device), namespace(x).linalg
    plain, single = solver.eigh, x.dtype

    def failing(gram):
        values, axes = plain(gram)
        if gram.dtype == single:
            values[1], axes[1] = np.nan, np.nan
        return values, axes

    expected = _patches(x, inside, 1.0)
    monkeypatch.setattr(solver, "eigh", failing)
    for denoised, wanted in zip(_patches(x, inside, 1.0), expected, strict=True):
        np.testing.assert_allclose(denoised, wanted, rtol=1e-4, atol=1e-5)


@on_both
def test_where_single_precision_gives_up_double_is_taken(monkeypatch, device: str) -> None:
    scaled = np.eye(4, dtype=np.float32) * np.array([1, 2, 3], np.float32)[:, None, None]
    gram = on_device(scaled, device)
    solver = namespace(gram).linalg
    solve = solver.eigh

    def strict(matrix):
        if matrix.dtype == gram.dtype:
            raise solver.LinAlgError("did not converge")
        return solve(matrix)

    monkeypatch.setattr(solver, "eigh", strict)
    variance, axes = _eigh(gram)
    assert variance.dtype == axes.dtype == gram.dtype
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
        local_pca(torch.zeros(256, 3), Grid.of(mask, "cpu:0"), cube(1), 1.0, threads=2)
        assert set(thread_counts) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@on_both
def test_the_number_of_threads_changes_no_bit(monkeypatch, device: str) -> None:
    """Sums are taken in the order of the patches, whichever thread is done first."""
    monkeypatch.setattr(module, "CHUNK", 27 * 40)  # many parts of a small mask
    mask = stream(0, "mask").random((12, 11, 9)) < 0.8
    values = stream(0, "values").normal(size=(mask.sum(), 6)).astype(np.float32)
    values, grid = on_device(values, device), Grid.of(mask, device)
    once, shared = (local_pca(values, grid, cube(1), 1.0, threads=n) for n in (1, 3))
    assert (once == shared).all()
    once, shared = (neighbour_mean(values, grid, cross(), chunk=50, threads=n) for n in (1, 3))
    assert (once == shared).all()
