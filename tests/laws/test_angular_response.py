"""The response about the fibre knows no frame, and gives back exactly what was lost."""

import numpy as np
import pytest
from dipy.reconst.dti import fractional_anisotropy, mode

from dwiser.machine import Machine
from dwiser.methods.registry import build
from dwiser.methods.splitq.angular_response import (
    FA_KNOTS,
    MODE_KNOTS,
    PRIOR,
    SHAPES,
    AngularResponse,
    TensorShape,
    deficit_of,
    predicted_by_tensor,
    tensor_design,
    tensor_shape,
)
from dwiser.methods.splitq.restoring import (
    HeldOutResponse,
    ResponseModel,
    residual_response,
    restore_held_out,
    restore_residual,
)
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream

quiet = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
CLASSES = len(FA_KNOTS) * len(MODE_KNOTS)
S0, LEAST = 1000.0, 1.0


def directions(count: int, name: str = "directions") -> np.ndarray:
    vectors = stream(0, name).standard_normal((count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def tensors(count: int, name: str = "tensors") -> np.ndarray:
    """Symmetric positive matrices in 1e-3 mm²/s, of all shapes and orientations."""
    rng = stream(1, name)
    frames = np.linalg.qr(rng.standard_normal((count, 3, 3)))[0]
    return np.einsum("nij,nj,nkj->nik", frames, rng.uniform(0.1, 2.5, (count, 3)), frames)


def gradients(table: np.ndarray, bval: float = 1000.0) -> Gradients:
    return Gradients(
        np.r_[0.0, np.full(len(table), bval)], np.concatenate([np.zeros((1, 3)), table])
    )


def signals(matrices: np.ndarray, table: Gradients) -> np.ndarray:
    exponent = np.einsum("mi,nij,mj->nm", table.bvecs, matrices, table.bvecs)
    return (S0 * np.exp(-1e-3 * table.bvals * exponent)).astype(np.float32)


def shape_of(matrices: np.ndarray) -> TensorShape:
    table = gradients(directions(20))
    fitted = tensor_design(table)
    assert fitted is not None
    return tensor_shape(signals(matrices, table)[:, fitted[0]], fitted[1], LEAST)


def some_coefficients(sd: float = PRIOR) -> np.ndarray:
    return sd * stream(2, "coefficients").standard_normal((CLASSES, SHAPES))


def levels(count: int) -> np.ndarray:
    return stream(3, "levels").uniform(8, 20, count).astype(np.float32)


def test_fa_mode_and_deviator_are_those_of_the_tensor() -> None:
    matrices = tensors(300)
    shape = shape_of(matrices)
    fa = fractional_anisotropy(np.linalg.eigvalsh(matrices)[:, ::-1])
    np.testing.assert_allclose(shape.fa, fa, atol=2e-3)
    clear = fa > 0.15  # below, the mode is that of rounding
    np.testing.assert_allclose(shape.mode[clear], mode(matrices)[clear], atol=0.02)
    deviator = matrices - np.trace(matrices, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    deviator /= np.linalg.norm(deviator, axis=(1, 2), keepdims=True)
    six = deviator[:, [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    np.testing.assert_allclose(shape.deviator[clear], six[clear], atol=0.01)


def test_the_deficit_is_a_polynomial_of_two_quadratic_forms() -> None:
    """gᵀDg and gᵀD²g with full matrices, tents of FA and mode by np.interp: the same numbers."""
    matrices, g, level, beta = tensors(40), directions(9, "g"), levels(40), some_coefficients()
    shape = shape_of(matrices)
    six = shape.deviator.astype(float)
    full = six[:, [[0, 3, 4], [3, 1, 5], [4, 5, 2]]]
    p = np.einsum("mi,nij,mj->nm", g, full, g)
    q = np.einsum("mi,nij,njk,mk->nm", g, full, full, g)
    powers = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3)]
    powers += [(4, 0), (3, 1), (2, 2), (1, 3), (0, 4)]
    forms = [p**i * q**j for i, j in powers]
    by_fa, by_mode = (
        np.stack([np.interp(x, knots, row) for row in np.eye(len(knots))], 1)
        for x, knots in ((shape.fa, FA_KNOTS), (shape.mode, MODE_KNOTS))
    )
    cube = beta.reshape(len(FA_KNOTS), len(MODE_KNOTS), SHAPES)
    by_cell = np.einsum("na,nb,abk->nk", by_fa, by_mode, cube)
    wanted = level[:, None] * np.einsum("nk,knm->nm", by_cell, np.stack(forms))
    np.testing.assert_allclose(deficit_of(beta, shape, level, g), wanted, rtol=1e-4, atol=1e-4)


def test_tensor_and_directions_turned_together_change_nothing() -> None:
    matrices, g, level = tensors(200), directions(15, "g"), levels(200)
    turn = np.linalg.qr(stream(4, "turn").standard_normal((3, 3)))[0]
    still, turned = shape_of(matrices), shape_of(turn @ matrices @ turn.T)
    clear = still.fa > 0.05
    before = deficit_of(some_coefficients(), still, level, g)
    after = deficit_of(some_coefficients(), turned, level, g @ turn.T)
    np.testing.assert_allclose(after[clear], before[clear], atol=0.01 * before.std())
    other = deficit_of(some_coefficients(), turned, level, g)
    assert np.abs(other - before)[clear].max() > before.std()  # the frame alone is not enough


def test_the_sign_of_a_direction_does_not_matter() -> None:
    shape, g, level = shape_of(tensors(20)), directions(15, "g"), levels(20)
    one, other = (deficit_of(some_coefficients(), shape, level, s * g) for s in (1, -1))
    np.testing.assert_array_equal(one, other)


def test_what_was_lost_is_found_exactly_where_there_is_no_noise() -> None:
    shape, g = shape_of(tensors(6000)), directions(24, "g")
    level = 100 * levels(6000)  # beside which the prior is nothing
    lost = deficit_of(some_coefficients(), shape, level, g)
    response = AngularResponse()
    for part in (slice(0, 2500), slice(2500, 6000)):
        response.add(shape[part], level[part], lost[part], g)
    deficit = deficit_of(response.coefficients(), shape, level, g)
    assert np.sqrt(np.mean(np.square(deficit - lost))) < 1e-4 * lost.std()


def test_coefficients_lie_within_their_posterior() -> None:
    """(β̂ − β)ᵀ(N + R)(β̂ − β) is χ² with as many degrees of freedom as β, drawn from its prior."""
    shape, g, level = shape_of(tensors(3000)), directions(12, "g"), levels(3000)
    beta = some_coefficients()
    noise = stream(5, "noise").standard_normal((3000, 12)).astype(np.float32)
    response = AngularResponse()
    response.add(shape, level, deficit_of(beta, shape, level, g) + noise, g)
    off = (response.coefficients() - beta).ravel()
    size = off.size
    chi2 = off @ (response.normal + np.eye(size) / PRIOR**2) @ off
    assert abs(chi2 - size) < 4 * np.sqrt(2 * size)


def test_nothing_seen_is_nothing_lost_and_little_seen_is_little() -> None:
    assert not AngularResponse().coefficients().any()
    shape, g, level = shape_of(tensors(1)), directions(6, "g"), np.full(1, 0.01, np.float32)
    response = AngularResponse()
    response.add(shape, level, np.ones((1, 6), np.float32), g)
    assert 0 < np.abs(response.coefficients()).max() < 0.01


def test_a_probe_that_changes_nothing_corrects_nothing() -> None:
    shape, g, level = shape_of(tensors(500)), directions(12, "g"), levels(500)
    rng = stream(6, "lost")
    lost, noise = (rng.standard_normal((500, 12)).astype(np.float32) for _ in range(2))
    plain, probed = AngularResponse(), AngularResponse()
    plain.add(shape, level, lost, g)
    probed.add_probed(shape, level, lost, shape, level, 10 * noise, g)
    np.testing.assert_array_equal(probed.normal, plain.normal)
    size = np.sqrt(plain.normal.diagonal()).max()
    np.testing.assert_allclose(probed.right, plain.right, atol=1e-4 * size)


def test_a_right_side_that_is_only_the_probe_s_noise_gives_nothing() -> None:
    """Probed tensors of other voxels: the prior holds, however many voxels say so."""
    matrices, g = tensors(6000), directions(12, "g")
    shape, other = shape_of(matrices[:3000]), shape_of(matrices[3000:])
    level, noise = levels(3000), stream(7, "noise").standard_normal((3000, 12))
    response = AngularResponse()
    response.add_probed(
        shape, level, np.zeros((3000, 12), np.float32), other, level,
        (30 * noise).astype(np.float32), g,
    )  # fmt: skip
    assert np.abs(response.coefficients()).max() < 2 * PRIOR
    assert np.sqrt(np.square(response.coefficients()).mean()) < PRIOR / 2


def test_a_tensor_predicts_what_it_was_fitted_to_in_any_unit() -> None:
    table = gradients(directions(12))
    fitted = tensor_design(table)
    assert fitted is not None
    noiseless = signals(tensors(50), table)[:, fitted[0]]
    for unit in (1.0, 2.0**-60, 2.0**60):
        scaled = noiseless * np.float32(unit)
        back = predicted_by_tensor(scaled, fitted[1], LEAST * unit)
        np.testing.assert_allclose(back, scaled, rtol=2e-3)


def test_no_prediction_is_above_twice_the_largest_value() -> None:
    table = gradients(directions(7))
    fitted = tensor_design(table)
    assert fitted is not None
    wild = np.exp(4 * stream(7, "wild").standard_normal((500, 8))).astype(np.float32)
    predicted = predicted_by_tensor(wild[:, fitted[0]], fitted[1], 1e-3)
    assert np.isfinite(predicted).all()
    assert (predicted <= 2.001 * wild.max(1, keepdims=True)).all()


@pytest.fixture(scope="module")
def shrunk() -> tuple[ResponseModel, np.ndarray, np.ndarray]:
    """A whitened of fibres in noise, its truth, and an estimate that shrank the fourth Legendre
    polynomial of each fibre by an eighth of its level, with errors of its own beside; units of y.
    """
    count, volumes = 24 * 24 * 12, 45
    table = gradients(directions(volumes - 1))
    rng = stream(8, "shrunk")
    fibres = directions(count, "fibres")
    radial, axial = rng.uniform(0.2, 0.5, count), rng.uniform(1.2, 2.0, count)
    matrices = radial[:, None, None] * np.eye(3)
    matrices = matrices + (axial - radial)[:, None, None] * np.einsum("ni,nj->nij", fibres, fibres)
    sigma = S0 / 20
    noiseless = signals(matrices, table)
    mean = noiseless.mean(0).astype(float)
    truth = ((noiseless - mean) / sigma).astype(np.float32)
    level = noiseless[:, 1:].mean(1, keepdims=True) / sigma
    cosine = fibres @ table.bvecs[1:].T
    lost = 0.125 * level * (35 * cosine**4 - 30 * cosine**2 + 3) / 8
    estimate = truth + 0.3 * rng.standard_normal(truth.shape).astype(np.float32)
    estimate[:, 1:] -= lost.astype(np.float32)
    y = truth + rng.standard_normal(truth.shape).astype(np.float32)
    mask = np.ones((24, 24, 12), bool)
    whitened = WhitenedScan(
        mask, np.full(mask.shape, sigma, np.float32), 1.0, y, mean, np.ones(volumes), None, (),
        dict.fromkeys(range(volumes), "few"), {},
    )  # fmt: skip
    return ResponseModel(whitened, table), truth, estimate


def remaining(values: np.ndarray, truth: np.ndarray, model: ResponseModel) -> float:
    """The part of the error that the fourth Legendre polynomial about the true fibre explains."""
    fibres = directions(len(values), "fibres")
    cosine = fibres @ model.directions[1:].T
    form = (35 * cosine**4 - 30 * cosine**2 + 3) / 8
    return float(((truth - values)[:, 1:] * form).sum() / (form**2).sum())


def test_a_shape_that_was_shrunk_is_restored_from_held_out_volumes(shrunk) -> None:
    model, truth, estimate = shrunk
    rows = np.arange(0, len(truth), 2)
    response = HeldOutResponse(model, rows)
    for held in (np.arange(1, 45, 2), np.arange(2, 45, 2)):
        response.add(estimate[rows], model.whitened.y[rows], held)
    values = estimate.copy()
    before = remaining(values, truth, model)
    restore_held_out(values, model, response.coefficients())
    assert before > 0.5
    assert abs(remaining(values, truth, model)) < 0.05 * before
    assert np.square(values - truth).mean() < 0.75 * np.square(estimate - truth).mean()
    np.testing.assert_array_equal(values[:, 0], estimate[:, 0])  # the b0 has no direction


def test_a_shape_that_was_shrunk_is_restored_from_the_residual(shrunk) -> None:
    model, truth, estimate = shrunk
    values, before = estimate.copy(), remaining(estimate, truth, model)
    shape = model.shape(values, slice(None))
    restore_residual(values, model, residual_response(values, model, shape), shape)
    assert abs(remaining(values, truth, model)) < 0.05 * before


def test_the_residual_gives_nothing_to_isotropic_voxels(shrunk) -> None:
    model, _, estimate = shrunk
    shape = model.shape(estimate, slice(None))
    response = np.full((1, CLASSES, SHAPES), 0.01)
    ramp = np.linspace(0, 0.5, len(estimate), dtype=np.float32)
    gated = TensorShape(ramp, shape.mode, shape.deviator)
    values = estimate.copy()
    restore_residual(values, model, response, gated)
    change = np.abs(values - estimate).max(1)
    assert not change[gated.fa <= 0.05].any()
    assert change[gated.fa > 0.1].all()


def test_noise_alone_teaches_no_response(shrunk) -> None:
    """A rim of voxels without signal changes nothing of what is learned from the others."""
    model, _, estimate = shrunk
    rows = np.arange(len(estimate))
    rim = rows >= len(rows) - 500
    alone = (1.2 - model.whitened.mean / model.sigma[0]).astype(np.float32)
    values = np.where(rim[:, None], alone, estimate)
    assert np.array_equal(model.bright(values, rows), ~rim)
    held = np.arange(1, 45, 2)
    with_rim, without = HeldOutResponse(model, rows), HeldOutResponse(model, rows[~rim])
    with_rim.add(values, model.whitened.y, held)
    without.add(values[~rim], model.whitened.y[~rim], held)
    np.testing.assert_allclose(with_rim.coefficients(), without.coefficients(), atol=1e-6)


def test_classes_share_each_voxel_out_and_the_faint_are_apart(shrunk) -> None:
    model, truth, _ = shrunk
    shares = model.classes(truth, slice(None))
    assert shares.shape == (len(truth), model.class_count)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    assert not shares[:, -1].any()
    fluid = truth.copy()
    fluid[:, 1:] = 1.5 - model.whitened.mean[1:] / model.sigma[0]
    np.testing.assert_allclose(model.classes(fluid, slice(None))[:, -1], 1)


def noise_scan(b0s: int, dwis: int, sd: float = 10.0) -> Scan:
    shape = (40, 40, 8, b0s + dwis)
    signal = np.r_[np.full(b0s, 500.0), np.full(dwis, 250.0)]
    data = signal + sd * stream(3, "noise").standard_normal(shape)
    bvecs = np.concatenate([np.zeros((b0s, 3)), directions(dwis)])
    table = Gradients(np.array([0.0] * b0s + [1000.0] * dwis), bvecs)
    sigma = np.full(shape[:3], sd, np.float32)
    mask = np.ones(shape[:3], bool)
    return Scan(data.astype(np.float32), np.eye(4), table, mask=mask, sigma=sigma)


@quiet
@pytest.mark.parametrize(("b0s", "dwis", "most"), [(6, 30, 0.02), (2, 10, 0.02), (1, 6, 0.03)])
def test_pure_noise_in_no_noise_out(b0s: int, dwis: int, most: float, machine) -> None:
    """The correlation of input and output noise stays low, whatever tensors it shows.

    With six DWIs weights that are none below 0 leave a little more of it, and less noise in all.
    """
    scan = noise_scan(b0s, dwis)
    result = build("splitq").denoise(scan, machine=machine, seed=0)
    assert ("response" in result.weights.state) == (dwis >= 6)
    noise, rest = (a[..., b0s:] - 250 for a in (scan.data, result.data))
    assert abs(float((noise * rest).sum() / (noise**2).sum())) < most
    assert rest.std() < 0.2 * noise.std()


@quiet
@pytest.mark.parametrize(("b0s", "dwis"), [(6, 30), (2, 10)])
def test_the_number_of_threads_changes_no_bit(b0s: int, dwis: int) -> None:
    """Of held-out volumes and of Stein's risk: what threads gather is summed in one order."""
    scan = noise_scan(b0s, dwis)
    once, shared = (
        build("splitq").denoise(scan, machine=Machine(threads=n), seed=0).data for n in (1, 3)
    )
    np.testing.assert_array_equal(once, shared)
