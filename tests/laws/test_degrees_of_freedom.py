"""The rank map: what theorems say of the degrees of freedom that an estimate keeps."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.machine import Machine
from dwiser.methods.registry import build
from dwiser.methods.splitq.freedom import degrees_of_freedom
from dwiser.methods.splitq.probed import Probed
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream
from dwiser.simulation import phantom

MASK = np.ones((16, 16, 16), bool)
quiet = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")


@pytest.mark.parametrize("rank", [0, 3, 20])
def test_a_projection_keeps_as_many_as_it_has_dimensions(rank: int) -> None:
    rng = stream(0, "axes")
    axes = np.linalg.qr(rng.standard_normal((20, 20)))[0][:, :rank].astype(np.float32)
    y = rng.standard_normal((MASK.sum(), 20)).astype(np.float32)
    scale = rng.uniform(0.5, 2, 20)
    ones = np.ones(MASK.shape, np.float32)
    scan = WhitenedScan(MASK, ones, 1.0, y, np.zeros(20), scale, None, (), {}, {})
    projection = (axes @ axes.T / scale[:, None] * scale).astype(np.float32)

    def clean(other: WhitenedScan) -> np.ndarray:
        return other.y @ projection

    freedom = degrees_of_freedom(Probed.of(clean, scan, 0), clean(scan), scan.mask)
    assert freedom.mean() == pytest.approx(rank, abs=0.1)
    assert freedom.std() < 0.7  # the probe's own noise, over 5³ voxels, fewer at the rims


@pytest.fixture(scope="module")
def gaussian():
    """Noise of one sd added to a phantom far from the floor: a magnitude as good as Gaussian."""
    return phantom((22, 24, 8), shells=((700.0, 20),), n_b0=4, snr=80.0, seed=4)


@quiet
@pytest.mark.parametrize("give_back", ["yes", "no"])
def test_by_steins_lemma_it_is_the_covariance_of_estimate_and_noise(
    gaussian, machine: Machine, give_back: str
) -> None:
    """Σ_v cov(x̂_v, y_v)/σ² = E Σ_v ∂x̂_v/∂y_v: the one from a known truth, the other without."""
    fields = {"floor": "kept", "give_back": give_back}
    method = build("splitq", "smoke", fields | {"rank_map": "yes"})
    result = method.denoise(gaussian.scan, machine=machine, seed=0)
    inside = result.mask & gaussian.mask
    sigma = gaussian.sigma[..., None]
    noise = (gaussian.scan.data - gaussian.truth) / sigma
    covariance = (noise * (result.data - gaussian.truth) / sigma).sum(-1)
    assert result.rank[inside].mean() == pytest.approx(covariance[inside].mean(), rel=0.06)
    assert 0 < result.rank[inside].mean() < 10  # of 24
    assert not result.rank[~result.mask].any()
    if give_back == "no":
        plain = build("splitq", "smoke", fields).denoise(gaussian.scan, machine=machine, seed=0)
        assert plain.rank is None
        np.testing.assert_array_equal(result.data, plain.data)


def of_rank(rank: int, noise: float) -> Scan:
    """A scan of which every voxel is a mixture of ``rank`` courses over the volumes."""
    rng = stream(rank, "mixture")
    courses = rng.standard_normal((rank, 20)) * 100
    weights = rng.standard_normal((12, 12, 12, rank))
    data = 1000 + weights @ courses + noise * rng.standard_normal((12, 12, 12, 20))
    vectors = rng.standard_normal((20, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bvals = np.where(np.arange(20) < 2, 0.0, 1000.0)
    table = Gradients(bvals, vectors)
    inside = np.ones((12, 12, 12), bool)
    sigma = np.full(inside.shape, noise, np.float32)
    return Scan(data.astype(np.float32), np.eye(4), table, mask=inside, sigma=sigma)


@quiet
@pytest.mark.parametrize("method", ["mppca", "localpca", "subspace"])
@pytest.mark.parametrize("rank", [1, 4])
def test_of_a_scan_of_known_rank_it_is_that_rank(method: str, rank: int, machine) -> None:
    """Signals 100 times the noise: no component of them is lost, and none of noise is kept."""
    fields = {"rank_map": "yes"} | ({"sigma": "map"} if method == "localpca" else {})
    result = build(method, "laptop", fields).denoise(of_rank(rank, 1.0), machine=machine, seed=0)
    inner = result.rank[2:-2, 2:-2, 2:-2]
    assert inner.mean() == pytest.approx(rank, rel=0.1)


@quiet
def test_of_noise_alone_local_pca_keeps_nothing_but_the_mean(machine: Machine) -> None:
    scan = of_rank(0, 1.0)
    scan = replace(scan, data=scan.data - 900)
    method = build("localpca", "laptop", {"rank_map": "yes", "sigma": "map"})
    result = method.denoise(scan, machine=machine, seed=0)
    assert result.rank.max() == 0
    kept = (result.data - 100).var(-1).mean()
    assert kept < 0.2  # of a mean over 125 voxels
