"""Weights learned across disjoint directions: the held-out optimum is the true one."""

import numpy as np
import pytest

from dwiser.methods.registry import build
from dwiser.methods.splitq.neighbours import Grid
from dwiser.methods.splitq.stacking import NAMES, LocalEstimates, Stacking, plain_weights
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream
from dwiser.simulation import phantom

quiet = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")


def test_the_weights_are_the_regression_on_the_truth() -> None:
    """Noisy held-out targets give the weights that the clean ones would give."""
    rng = stream(0, "stack")
    n, rank, held = 200_000, 2, 6
    truth = rng.standard_normal((n, rank)) * [3, 1]
    parts = [truth + s * rng.standard_normal((n, rank)) for s in (0.5, 1.0)]
    components = np.linalg.qr(rng.standard_normal((held, rank)))[0]
    targets = truth @ components.T + rng.standard_normal((n, held))
    stacking = Stacking(2, rank)
    estimates = [p.astype(np.float32) for p in parts]
    stacking.add(estimates, targets.astype(np.float32), components)
    fitted = stacking.weights()[0]
    for k in range(rank):
        x = np.stack([p[:, k] for p in parts], 1)
        best = np.linalg.lstsq(x, truth[:, k], rcond=None)[0]
        np.testing.assert_allclose(fitted[:, k], best, atol=0.02)


def test_each_class_has_its_own_regression_and_an_empty_one_the_common() -> None:
    rng = stream(4, "classes")
    n, held = 60_000, 4
    truth = 2 * rng.standard_normal((n, 1))
    own = np.arange(n) < n // 4
    sds = np.where(own[:, None], [0.3, 2.0], [2.0, 0.3])
    parts = [truth + sds[:, e, None] * rng.standard_normal((n, 1)) for e in range(2)]
    components = np.linalg.qr(rng.standard_normal((held, 1)))[0]
    targets = truth @ components.T + rng.standard_normal((n, held))
    estimates = [p.astype(np.float32) for p in parts]
    raw = targets.astype(np.float32)
    shares = np.stack([own, ~own, np.zeros(n)], 1).astype(np.float32)
    classed, plain = Stacking(2, 1, 3), Stacking(2, 1)
    classed.add(estimates, raw, components, shares)
    plain.add(estimates, raw, components)
    found = classed.weights()
    for c, rows in enumerate((own, ~own)):
        x = np.stack([p[rows, 0] for p in parts], 1)
        best = np.linalg.lstsq(x, truth[rows, 0], rcond=None)[0]
        np.testing.assert_allclose(found[c, :, 0], best, atol=0.02)
    np.testing.assert_allclose(found[2], plain.weights()[0], atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 0.5  # one set for all would miss both


def test_a_voxel_of_no_share_teaches_nothing() -> None:
    rng = stream(5, "none")
    values = [rng.standard_normal((400, 2)).astype(np.float32) for _ in range(2)]
    raw, components = (
        rng.standard_normal((400, 3)).astype(np.float32),
        np.eye(3, 2),
    )
    part, shared = Stacking(2, 2), Stacking(2, 2)
    part.add([v[:300] for v in values], raw[:300], components)
    shared.add(values, raw, components, (np.arange(400) < 300).astype(np.float32)[:, None])
    np.testing.assert_allclose(shared.weights(), part.weights(), rtol=1e-4)


def test_names_stand_in_the_order_of_the_estimates() -> None:
    mask = np.ones((6, 6, 6), bool)
    local = LocalEstimates(Grid.of(mask), 1.0)
    values = stream(1, "v").standard_normal((216, 3)).astype(np.float32)
    assert tuple(name for name, _ in local(values)) == NAMES
    assert plain_weights(2).sum(0) == pytest.approx([1, 1])


def noise_scan(sd: float = 10.0) -> Scan:
    rng = stream(3, "noise")
    shape = (40, 40, 8, 36)
    vectors = rng.standard_normal((36, 3))
    bvecs = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    data = (500 + sd * rng.standard_normal(shape)).astype(np.float32)
    sigma = np.full(shape[:3], sd, np.float32)
    table = Gradients(np.array([0.0] * 6 + [1000.0] * 30), bvecs)
    mask = np.ones(shape[:3], bool)
    return Scan(data, np.diag([2, 2, 2, 1.0]), table, mask=mask, sigma=sigma)


@quiet
def test_pure_noise_in_no_noise_out(machine) -> None:
    """On pure noise the correlation of input and output noise stays under 0.02."""
    scan = noise_scan()
    result = build("splitq").denoise(scan, machine=machine, seed=0)
    noise, rest = scan.data - 500, result.data - result.data.mean()
    slope = float((noise * rest).sum() / (noise**2).sum())
    assert abs(slope) < 0.02
    assert rest.std() < 0.1 * noise.std()


@quiet
@pytest.mark.parametrize("case", ["one shell", "two shells, four channels", "few directions"])
def test_it_beats_every_classical_method_on_a_phantom(case: str, machine) -> None:
    settings = {
        "one shell": {"shells": ((1000.0, 32),), "n_b0": 4, "snr": 15},
        "two shells, four channels": {
            "shells": ((1000.0, 20), (2000.0, 20)), "n_b0": 4, "snr": 20,
            "noise": "nc-chi", "coils": 4, "sigma_map": "gfactor",
        },
        "few directions": {"shells": ((1000.0, 8),), "n_b0": 1, "snr": 20},
    }[case]  # fmt: skip
    s = phantom(shape=(40, 44, 10), seed=23, **settings)

    def rmse(data: np.ndarray) -> float:
        return float(np.sqrt(np.mean((data - s.truth)[s.mask] ** 2)))

    errors = {
        name: rmse(build(name).denoise(s.scan, machine=machine, seed=0).data)
        for name in ("splitq", "subspace", "patch2self", "mppca")
    }
    ours = errors.pop("splitq")
    assert ours < min(errors.values()) < rmse(s.scan.data)


@quiet
def test_a_single_b0_is_denoised_on_its_own_and_told_of(machine) -> None:
    s = phantom(shape=(36, 36, 10), shells=((1000.0, 32),), n_b0=1, snr=12, seed=31)
    result = build("splitq").denoise(s.scan, machine=machine, seed=0)
    b0 = int(np.flatnonzero(s.scan.gradients.is_b0)[0])
    assert set(result.record["volumes_on_their_own"]) == {str(b0)}
    inside = s.mask

    def error(data: np.ndarray) -> float:
        return float(np.mean((data[..., b0] - s.truth[..., b0])[inside] ** 2))

    assert error(result.data) < 0.75 * error(s.scan.data)


@quiet
def test_the_floor_is_removed_or_kept(machine) -> None:
    s = phantom(shape=(36, 36, 10), shells=((2000.0, 40),), n_b0=4, snr=15, seed=33)
    dwis = ~s.scan.gradients.is_b0

    def bias(floor: str) -> float:
        data = build("splitq", settings={"floor": floor}).denoise(
            s.scan, machine=machine, seed=0
        ).data  # fmt: skip
        return float((data - s.truth)[s.mask][:, dwis].mean() / s.sigma[s.mask].mean())

    assert abs(bias("removed")) < 0.25 * abs(bias("kept"))


@quiet
def test_too_few_shared_volumes_fall_back_with_a_warning(small, machine) -> None:
    with pytest.warns(match="learns its weights by Stein.s risk"):
        result = build("splitq").denoise(small.scan, machine=machine, seed=0)
    assert result.record["rank"] == 0
    assert result.record["training"]["by"] == "Stein's unbiased risk"
