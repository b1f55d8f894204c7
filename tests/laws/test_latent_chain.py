"""The chain on latents: three disjoint sets, noise without signal, a walk that adds nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dwiser.chain.schedule import Schedule
from dwiser.chain.walk import run_walk
from dwiser.errors import Code
from dwiser.methods.registry import build
from dwiser.methods.splitnet.latent_chain import ChainDraw, LatentWalk, shuffled_noise
from dwiser.prepare.splits import in_three
from dwiser.prepare.subspace import SignalSubspace
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream
from tests.refusals import refused

VOLUMES, NOISE = 24, 0.8
SIGNAL = np.array([300.0, 20.0, 0.4])
GROUPS = (np.arange(8), np.arange(8, VOLUMES))


@pytest.fixture(scope="module")
def space() -> SignalSubspace:
    basis = np.linalg.qr(stream(1, "basis").standard_normal((VOLUMES, 3)))[0]
    return SignalSubspace(np.arange(VOLUMES), basis, SIGNAL, NOISE)


@pytest.fixture(scope="module")
def truth(space: SignalSubspace) -> np.ndarray:
    """Coordinates u of a low-rank Gaussian scan, (2, 60, 60, 3)."""
    return stream(2, "u").standard_normal((2, 60, 60, 3)) * np.sqrt(space.signal)


@pytest.fixture(scope="module")
def draw(space: SignalSubspace, truth: np.ndarray) -> ChainDraw:
    noise = stream(3, "n").standard_normal((2, 60, 60, VOLUMES)) * NOISE**0.5
    inside = np.ones(truth.shape[:3], bool)
    inside[:, :9] = False
    y = (truth @ space.components.T + noise).astype(np.float32) * inside[..., None]
    return ChainDraw(y, inside, space, GROUPS, 7, 3, 20)


def test_three_sets_are_disjoint_and_every_group_gives_to_each() -> None:
    for k in range(50):
        a, b = in_three(GROUPS, np.arange(VOLUMES), stream(k, "sets"))
        assert not (a & b).any()
        for group in GROUPS:
            assert a[group].sum() >= b[group].sum() > 0
            assert not (a | b)[group].all()


def test_the_target_is_no_part_of_the_input(draw: ChainDraw) -> None:
    """The input's gradient with respect to the loss target is 0, whatever the step."""
    for iteration in range(4):
        batch = draw(iteration)
        assert batch.weights is not None
        held = (batch.weights.amax((2, 3)) > 0).numpy()
        for item in range(3):
            spoilt = draw.y.copy()
            spoilt[..., held[item]] = 1e6
            changed = replace(draw, y=spoilt)(iteration)
            assert torch.equal(changed.inputs[item], batch.inputs[item])
            spoilt = draw.y.copy()
            spoilt[..., ~held[item]] += 1
            changed = replace(draw, y=spoilt)(iteration)
            assert not torch.equal(changed.inputs[item], batch.inputs[item])
            assert 0 < held[item].mean() < 0.5


def test_the_network_is_told_the_sd_of_its_inputs_error(draw: ChainDraw, truth) -> None:
    y, inside = draw.y[0], draw.inside[0]
    off = []
    for k in range(200):
        shown = draw._latent(y, inside, stream(k, "seen"))
        off.append(((shown.z - truth[0])[inside] / shown.level).std(0))
    np.testing.assert_allclose(np.mean(off, 0), 1, atol=0.02)


def test_the_noise_has_no_signal_and_the_latents_covariance(space, draw, truth) -> None:
    inside, every = draw.inside[0], np.ones(VOLUMES, bool)
    for seen in (every, np.arange(VOLUMES) % 3 > 0, np.arange(VOLUMES) < 5):
        wanted = space.posterior(seen)[1]
        clean = (truth[0] @ space.components.T).astype(np.float32)
        of_signal = shuffled_noise(space, clean, inside, seen, wanted, stream(0, "xi"))
        assert np.abs(of_signal).max() < 1e-3
        xi = shuffled_noise(space, draw.y[0], inside, seen, wanted, stream(0, "xi"))
        assert (xi[~inside] == 0).all()
        covariance = np.cov(xi[inside].T)
        diagonal = np.sqrt(np.diag(wanted))
        np.testing.assert_allclose(np.sqrt(np.diag(covariance)), diagonal, rtol=0.3)
        if seen.sum() >= 2 * space.rank:
            scale = np.outer(diagonal, diagonal)
            np.testing.assert_allclose(covariance / scale, wanted / scale, atol=0.05)


def test_no_volume_to_spare_leaves_no_noise(space: SignalSubspace) -> None:
    assert not space.noise_alone(np.arange(VOLUMES) < 3, stream(0, "few")).any()


def walker(space: SignalSubspace, evaluations: int | None, **more) -> LatentWalk:
    return LatentWalk(space, run_walk()[:evaluations], 5, **more)


@pytest.mark.parametrize("evaluations", [1, 2, 12, None])
def test_a_clean_scan_survives_any_walk(space, truth, evaluations) -> None:
    """With the network that is right for it: one that undoes the latent's shrinkage."""
    wiener = torch.tensor(space.signal / (space.signal + space.noise), dtype=torch.float32)
    clean = (truth[0] @ space.components.T).astype(np.float32)
    out = walker(space, evaluations).slice(
        lambda x, s: x / s[:, None, None, None] / wiener[:, None, None],
        clean, np.ones(clean.shape[:2], bool), 0,
    )  # fmt: skip
    np.testing.assert_allclose(out, truth[0], atol=2e-3)


def test_one_evaluation_is_the_single_pass(space: SignalSubspace, draw: ChainDraw) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def f(x: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        seen.append((x, s))
        return 0.7 * x.roll(1, -1) + s[:, None, None, None]

    y, inside = draw.y[0], draw.inside[0]
    out = walker(space, 1).slice(f, y, inside, 0)
    assert len(seen) == 1
    expected = f(*seen[0])[0].numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(out, expected, rtol=1e-5)
    z = y @ space.latent(np.ones(VOLUMES, bool))[0].T.astype(np.float32)
    noiseless = walker(space, 1, schedule=Schedule(beta_flat=1e-15))
    single = f(torch.from_numpy(z.transpose(2, 0, 1)[None].copy()), torch.ones(1))
    np.testing.assert_allclose(
        noiseless.slice(f, y, inside, 0), single[0].numpy().transpose(1, 2, 0), atol=1e-4
    )


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
def test_pure_noise_stays_without_structure(machine) -> None:
    rng, shape = stream(3, "noise"), (40, 40, 8, 36)
    data = (500 + 10 * rng.standard_normal(shape)).astype(np.float32)
    vectors = rng.standard_normal((36, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = Gradients(np.array([0.0] * 6 + [1000.0] * 30), vectors)
    scan = Scan(
        data, np.diag([2, 2, 2, 1.0]), table,
        mask=np.ones(shape[:3], bool), sigma=np.full(shape[:3], 10, np.float32),
    )  # fmt: skip
    method = build("splitnet", "smoke", {"iterations": 150, "chain": True})
    weights = method.fit(scan, machine=machine, seed=0)
    for evaluations in (1, 12):
        walked = replace(method, evaluations=evaluations)
        result = walked.apply(weights, scan, machine=machine, seed=0)
        assert result.record["evaluations"] == evaluations
        noise, rest = data - 500, result.data - 500
        assert abs(float((noise * rest).sum() / (noise**2).sum())) < 0.02 + 1 / 36
        assert rest.std() < 0.25 * noise.std()


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
def test_minutes_buy_iterations_and_evaluations(machine, small) -> None:
    method = build("splitnet", "smoke", {"minutes": 0.01, "chain": True})
    record = method.denoise(small.scan, machine=machine, seed=0).record
    assert 1 <= record["evaluations"] <= 76
    assert record["training"]["iterations"] < 1000


def test_evaluations_are_the_chains() -> None:
    with refused(Code.SETTING_VALUE, "evaluations of splitnet", "set chain=yes"):
        build("splitnet", "smoke", {"evaluations": 3})
    assert len(build("splitnet", "smoke", {"chain": True}).steps) == 76
