"""Weights by Stein's risk: without the truth, what the truth would have chosen."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from dwiser.errors import DwiserWarning
from dwiser.machine import Machine
from dwiser.methods.registry import build
from dwiser.methods.splitq.few_directions import (
    IMPOSSIBLE,
    MOSTLY,
    PILOT,
    STEP,
    WeightsByRisk,
    WithTensor,
    axes_of,
    impossible_below,
    local_names,
    residual_share,
    response_by_risk,
    weights_by_risk,
)
from dwiser.methods.splitq.neighbours import Grid
from dwiser.methods.splitq.probe import signs
from dwiser.methods.splitq.restoring import (
    ResponseModel,
    residual_response,
    restore_held_out,
    restore_residual,
)
from dwiser.methods.splitq.stacking import LocalEstimates
from dwiser.scan import Gradients
from dwiser.seeds import stream
from dwiser.simulation import phantom
from tests.turning_fibres import along_x, fibres, table

quiet = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
VOLUMES, NOISE = 8, 1.7


def turning() -> np.ndarray:
    return np.linalg.qr(stream(0, "axes").standard_normal((VOLUMES, VOLUMES)))[0]


def smooth(values: np.ndarray) -> np.ndarray:
    return (np.roll(values, 1, 0) + values + np.roll(values, -1, 0)) / 3


def soft(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * (np.abs(values) - 1).clip(min=0)


def three(values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "itself", values
    yield "smooth", smooth(values)
    yield "soft", soft(values)


def truth_of(count: int) -> np.ndarray:
    """Signals that neighbours share in part, of which half are 0."""
    rng = stream(1, "truth")
    rough = rng.standard_normal((count, VOLUMES)) * (rng.random((count, 1)) < 0.5)
    return 2 * (rough + np.roll(rough, 1, 0) + 0.3 * rng.standard_normal((count, VOLUMES)))


def noisy(truth: np.ndarray, seed: int = 2) -> np.ndarray:
    noise = stream(seed, "noise").standard_normal(truth.shape)
    return (truth + NOISE**0.5 * noise).astype(np.float32)


def by_risk(channels: np.ndarray, estimates=three, classes=None) -> WeightsByRisk:
    inner = np.arange(len(channels))
    probe = np.stack([signs(stream(0, "risk", v), len(channels)) for v in range(VOLUMES)], 1)
    return weights_by_risk(estimates, channels, probe, inner, turning(), NOISE, "cpu", classes)


def by_truth(truth: np.ndarray, channels: np.ndarray) -> np.ndarray:
    turned = [e @ turning() for _, e in three(channels)]
    wanted = truth @ turning()
    return np.stack(
        [
            np.linalg.lstsq(np.stack([e[:, c] for e in turned], 1), wanted[:, c], rcond=None)[0]
            for c in range(VOLUMES)
        ],
        1,
    )


def test_one_linear_estimate_is_shrunk_as_stein_says() -> None:
    """S of trace t: α = (uᵀSu − ν t)/‖Su‖², the measured divergence being the trace."""
    channels = noisy(truth_of(60_000))

    def one(values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        yield "smooth", smooth(values)

    weights = by_risk(channels, one).weights
    u, su = (a @ turning() for a in (channels, smooth(channels)))
    trace = len(channels) / 3
    expected = ((u * su).sum(0) - NOISE * trace) / (su**2).sum(0)
    without = (u * su).sum(0) / (su**2).sum(0)
    np.testing.assert_allclose(weights[0, 0], expected, atol=0.015)
    assert (without - expected > 0.1).all()


def test_the_weights_are_those_that_the_truth_would_choose_the_nearer_the_more_voxels() -> None:
    errors = []
    for count in (2000, 200_000):
        truth = truth_of(count)
        channels = noisy(truth)
        weights = by_risk(channels).weights[0]
        errors.append(np.sqrt(np.mean((weights - by_truth(truth, channels)) ** 2)))
    few, many = errors
    assert many < 0.02
    assert many < few / 4  # a hundred times as many voxels: a tenth, in expectation


def test_the_estimate_is_the_weighted_one_and_the_probe_a_tenth_of_the_noise() -> None:
    channels = noisy(truth_of(500))
    found = by_risk(channels)
    weights, before, after, step = found.weights, found.estimate, found.probed, found.step
    axes = turning()

    def combined(values: np.ndarray) -> np.ndarray:
        parts = [e @ axes for _, e in three(values)]
        return np.sum([e * w for e, w in zip(parts, weights[0], strict=True)], 0) @ axes.T

    np.testing.assert_allclose(before, combined(channels), atol=1e-4)
    np.testing.assert_allclose(after, combined(channels + step), atol=1e-4)
    np.testing.assert_allclose(np.abs(step), STEP * NOISE**0.5, rtol=1e-5)


def test_the_risk_is_the_error() -> None:
    """Stein's unbiased estimate, of each component, in units of the noise's variance."""
    truth = truth_of(60_000)
    found = by_risk(noisy(truth))
    error = np.square((found.estimate - truth) @ turning()).mean(0) / NOISE
    np.testing.assert_allclose(found.risk, error, atol=0.02)
    assert found.impossible == 0


def test_noise_that_is_smoother_than_the_probe_gets_no_negative_weights() -> None:
    """The weights would sharpen it: a risk below 0 tells."""
    white = stream(3, "noise").standard_normal((20_000, VOLUMES))
    same_size = (3 * NOISE) ** 0.5 * smooth(white)
    slow = 5 * np.sin(np.arange(20_000) / 300)[:, None]
    channels = slow + same_size
    found = by_risk(channels.astype(np.float32))
    assert found.risk.min() < impossible_below(20_000)
    assert found.impossible > MOSTLY
    assert (found.weights >= 0).all()


def test_a_few_voxels_say_little_about_a_risk() -> None:
    assert impossible_below(100_000) == IMPOSSIBLE
    assert impossible_below(1000) < IMPOSSIBLE


def bright(pilot: np.ndarray) -> np.ndarray:
    """Two classes, by the size of what is classified: its noise chooses, near the limit."""
    size = np.square(pilot[:, :3]).mean(1, keepdims=True) ** 0.5
    share = (size - 1).clip(0, 1)
    return np.concatenate([1 - share, share], 1).astype(np.float32)


def test_weights_by_class_are_no_worse_than_those_of_all_though_noise_chose_the_class() -> None:
    """Signals half of which are 0: each class has other weights, read off the same noise."""
    truth = truth_of(100_000)
    channels = noisy(truth)

    def two(values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        yield PILOT, values
        yield "smooth", smooth(values)

    def error(estimate: np.ndarray) -> float:
        return float(np.square((estimate - truth) @ turning()).mean())

    by_class = by_risk(channels, two, bright)
    weights, classed = by_class.weights, by_class.estimate
    common = by_risk(channels, two).estimate
    parts, shares = (
        [e @ turning() for _, e in two(channels)],
        bright(channels),
    )
    best = np.empty_like(truth)
    for c, wanted in enumerate((truth @ turning()).T):
        own = np.concatenate([part[:, c, None] * shares for part in parts], 1)
        best[:, c] = own @ np.linalg.lstsq(own, wanted, rcond=None)[0]
    assert weights.shape == (2, 2, VOLUMES)
    assert error(classed) < 0.99 * error(common)
    assert error(classed) < 1.005 * error(best @ turning().T)


class Unchanged(LocalEstimates):
    def __call__(self, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        yield "cube", values


def test_names_stand_in_the_order_of_the_estimates_and_a_tensor_predicts_a_tensor() -> None:
    model, truth = fibres(12, 40.0)
    local = LocalEstimates(Grid.of(model.whitened.mask), 1.0)
    estimates = list(WithTensor(local, model, slice(None))(truth))
    assert tuple(name for name, _ in estimates) == local_names(model)
    exact = WithTensor(Unchanged(Grid.of(model.whitened.mask), 1.0), model, slice(None))
    (_, itself), (name, predicted) = exact(truth)
    assert name == "tensor of cube"
    np.testing.assert_allclose(predicted, itself, atol=0.02)


def test_without_a_b0_there_is_no_tensor_among_the_estimates() -> None:
    model, truth = fibres(12, 40.0)
    whitened = model.whitened
    vectors = table(12).bvecs.copy()
    vectors[0] = [1, 0, 0]
    bvals = 1000 + stream(5, "jitter").uniform(-5, 5, 13)
    model = ResponseModel(whitened, Gradients(bvals, vectors))
    local = LocalEstimates(Grid.of(whitened.mask), 1.0)
    names = [n for n, _ in WithTensor(local, model, slice(None))(truth)]
    assert tuple(names) == local_names(model)
    assert not [n for n in names if "tensor" in n]
    assert model.shells == ()


def test_the_axes_are_orthonormal_b0s_first_and_then_the_level_of_the_directions() -> None:
    model, _ = fibres(9, 40.0)
    axes, whitened = axes_of(model.whitened, model.b0s), model.whitened
    np.testing.assert_allclose(axes.T @ axes, np.eye(10), atol=1e-10)
    b0, directions = axes[:, 0], axes[:, 1:]
    assert (np.flatnonzero(b0) == model.b0s).all()
    assert not directions[model.b0s].any()
    level = np.abs(directions[1:, 0])
    assert level.min() > 0.5 * level.max()
    assert len(set(np.sign(directions[1:, 0]))) == 1
    magnitudes = whitened.y + (whitened.mean / 40).astype(np.float32)
    power = np.square(magnitudes @ directions).sum(0)
    assert (np.diff(power) < 1e-3 * power[0]).all()


def test_the_axes_of_b0s_alone_and_of_no_b0_are_axes_of_all_volumes() -> None:
    model, _ = fibres(9, 40.0)
    for b0s in (np.arange(10), np.zeros(0, int)):
        axes = axes_of(model.whitened, b0s)
        np.testing.assert_allclose(axes.T @ axes, np.eye(10), atol=1e-10)
        assert (np.abs(axes[:, 0]) > 0.1).all()


def test_the_response_by_risk_restores_what_the_estimate_lost_and_not_its_noise() -> None:
    """The estimate lost the fourth order about the fibre, and follows a fifth of y's noise."""
    model, truth = fibres(12, 15.0)
    v = np.arange(1, 13)
    cosine = along_x() @ model.directions[v].T
    form = (35 * cosine**4 - 30 * cosine**2 + 3) / 8
    lost = np.zeros_like(truth)
    lost[:, v] = 0.1 * model.level(truth, slice(None), v)[:, None] * form

    def estimate(y: np.ndarray) -> np.ndarray:
        return (truth - lost + 0.2 * (y - truth)).astype(np.float32)

    y = model.whitened.y
    step = (0.1 * np.sign(stream(6, "probe").standard_normal(y.shape))).astype(np.float32)
    response = response_by_risk(model, np.arange(len(y)), estimate(y), estimate(y + step), step)
    values = estimate(y)

    def remaining(estimate: np.ndarray) -> float:
        return float(((truth - estimate)[:, v] * form).sum() / (form**2).sum())

    def follows(estimate: np.ndarray) -> float:
        noise = y - truth
        return float((estimate * noise)[:, v].sum() / np.square(noise[:, v]).sum())

    before, slope = remaining(values), follows(values)
    restore_held_out(values, model, response)
    assert before > 1
    assert abs(remaining(values)) < 0.1 * before
    assert abs(follows(values) - slope) < 0.01
    assert np.square(values - truth).mean() < 0.5 * np.square(estimate(y) - truth).mean()


@pytest.mark.parametrize(
    ("lost", "followed", "low", "high"), [(0.1, 0.05, 0.7, 1.0), (0.0, 0.5, 0.0, 0.1)]
)
def test_of_the_second_response_comes_as_much_as_lowers_the_error(
    lost: float, followed: float, low: float, high: float
) -> None:
    """Nearly all where the fourth order is missing, none where the tensor follows the noise."""
    model, truth = fibres(12, 15.0)
    v = np.arange(1, 13)
    cosine = along_x() @ model.directions[v].T
    missing = np.zeros_like(truth)
    missing[:, v] = model.level(truth, slice(None), v)[:, None] * (
        (35 * cosine**4 - 30 * cosine**2 + 3) / 8
    )

    def estimate(y: np.ndarray) -> np.ndarray:
        return (truth - lost * missing + followed * (y - truth)).astype(np.float32)

    y, rows = model.whitened.y, np.arange(len(truth))
    step = (0.1 * np.sign(stream(6, "probe").standard_normal(y.shape))).astype(np.float32)
    parts = estimate(y), estimate(y + step), step
    nothing = np.zeros_like(response_by_risk(model, rows, *parts))
    share = residual_share(model, rows, *parts)
    assert low <= share <= high

    def error(share: float) -> float:
        values = estimate(y)
        shape = restore_held_out(values, model, nothing)
        response = residual_response(values, model, shape)
        restore_residual(values, model, response, shape, share=share)
        return float(np.square(values - truth).mean())

    assert error(share) <= 1.01 * min(error(0.0), error(0.5), error(1.0))


@quiet
def test_the_response_helps_a_phantom_of_few_directions(machine) -> None:
    s = phantom(shape=(30, 34, 8), shells=((1000.0, 12),), n_b0=1, snr=15, seed=41)

    def error(**settings) -> float:
        data = build("splitq", settings=settings).denoise(s.scan, machine=machine, seed=0).data
        return float(np.sqrt(np.mean((data - s.truth)[s.mask] ** 2)))

    raw = float(np.sqrt(np.mean((s.scan.data - s.truth)[s.mask] ** 2)))
    assert error() < error(response=False) < 0.6 * raw


@quiet
def test_where_no_risk_can_be_believed_volumes_are_held_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The weights say so, and applied to the scan once more they give the same image."""
    made = phantom(shape=(20, 20, 8), shells=((1000.0, 22),), n_b0=1, snr=20.0, seed=8)
    method, options = build("splitq"), {"machine": Machine(threads=1), "seed": 0}
    monkeypatch.setattr("dwiser.methods.splitq.learning.MOSTLY", -1.0)
    with pytest.warns(DwiserWarning, match="holds volumes out after all"):
        held_out = method.denoise(made.scan, **options)
    assert held_out.weights is not None
    assert "held_out" in held_out.weights.state
    assert held_out.record["rank"] > 0
    again = method.apply(held_out.weights, made.scan, **options)
    np.testing.assert_array_equal(again.data, held_out.data)
    assert again.record["given_back_mean"] < 1e-3  # what stands far out of its surroundings alone


@quiet
def test_a_lesion_of_one_volume_stays_where_no_risk_can_be_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Held-out volumes cannot foresee it; its residual is nothing like its surroundings."""
    made = phantom(shape=(24, 24, 10), shells=((1000.0, 22),), n_b0=1, snr=20.0, seed=8)
    spot = np.zeros(made.mask.shape, bool)
    spot[10:14, 10:14, 4:7] = True
    data = made.scan.data.copy()
    data[spot, 9] += 6 * made.sigma[spot]
    monkeypatch.setattr("dwiser.methods.splitq.learning.MOSTLY", -1.0)

    def darker(**settings: bool) -> float:
        method = build("splitq", settings=settings)
        result = method.denoise(replace(made.scan, data=data), machine=Machine(threads=1), seed=0)
        lost = made.truth[spot, 9] + 6 * made.sigma[spot] - result.data[spot, 9]
        return float((lost / made.sigma[spot]).mean())

    assert darker(give_back=False) > 3
    assert darker() < 2


@quiet
def test_of_few_volumes_none_is_held_out_whatever_the_risk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six directions do not predict each other: by chance the result was worse than the scan."""
    made = phantom(shape=(20, 20, 8), shells=((1000.0, 6),), n_b0=4, snr=20.0, seed=8)
    monkeypatch.setattr("dwiser.methods.splitq.learning.MOSTLY", -1.0)
    result = build("splitq").denoise(made.scan, machine=Machine(threads=1), seed=0)
    assert result.weights is not None
    assert "held_out" not in result.weights.state
