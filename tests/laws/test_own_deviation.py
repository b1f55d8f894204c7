"""A voxel's own deviation: as much of it goes back as lowers the error, in any frame."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.methods.splitq.own_deviation import (
    add_deviation,
    deviation_parts,
    deviation_weights,
)
from dwiser.methods.splitq.restoring import ResponseModel
from dwiser.scan import Gradients
from dwiser.seeds import stream
from tests.turning_fibres import table, whitened_scan

SHAPE, DWIS, SIGMA = (24, 20, 10), 12, 25.0
COUNT = int(np.prod(SHAPE))


def fibres(turn: float, level: float, spin: np.ndarray | None = None) -> np.ndarray:
    """Signals of fibres along a slow turn, each turned by its own noise, and each as bright."""
    rng, gradients = stream(5, "texture"), table(DWIS)
    angle = np.indices(SHAPE)[0].ravel() / SHAPE[0] * np.pi
    axis = np.stack([np.cos(angle), np.sin(angle), np.full(COUNT, 0.3)], 1)
    axis = axis + turn * rng.standard_normal((COUNT, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    if spin is not None:
        axis = axis @ spin.T
    bright = 700 * np.exp(level * rng.standard_normal((COUNT, 1)))
    bvecs = gradients.bvecs if spin is None else gradients.bvecs @ spin.T
    b = gradients.bvals * 1e-3
    return bright * np.exp(-b * (0.4 + 1.2 * (axis @ bvecs.T) ** 2))


def scan_of(signal: np.ndarray, spin: np.ndarray | None = None) -> tuple[ResponseModel, np.ndarray]:
    """A whitened scan of these signals in noise; and the signals, in units of y."""
    gradients = table(DWIS)
    if spin is not None:
        gradients = Gradients(gradients.bvals, gradients.bvecs @ spin.T)
    return whitened_scan(signal, gradients, SIGMA, SHAPE)


def estimated(y: np.ndarray, smooth: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """What neighbours say, and a tenth of the voxel's own values."""
    base = ((smooth - mean) / SIGMA).astype(np.float32)
    return (base + 0.1 * (y - base)).astype(np.float32)


def restored(model: ResponseModel, smooth: np.ndarray) -> tuple[np.ndarray, np.ndarray, list]:
    """The estimate before and after, and the weights."""
    y, mean = model.whitened.y, model.whitened.mean
    step = (0.1 * np.sign(stream(6, "probe").standard_normal(y.shape))).astype(np.float32)
    before = estimated(y, smooth, mean)
    weights = deviation_weights(
        model, np.arange(COUNT), before, estimated(y + step, smooth, mean), step
    )
    after = before.copy()
    add_deviation(after, y, model, weights)
    return before, after, weights


def error(estimate: np.ndarray, truth: np.ndarray) -> float:
    return float(np.square(estimate - truth).mean())


@pytest.mark.parametrize(("turn", "level"), [(0.3, 0.0), (0.0, 0.15), (0.2, 0.1)])
def test_what_varies_from_voxel_to_voxel_comes_back(turn: float, level: float) -> None:
    """Fibres that turn from voxel to voxel, or are brighter: no neighbour tells that."""
    model, truth = scan_of(fibres(turn, level))
    before, after, _ = restored(model, fibres(0.0, 0.0))
    assert error(after, truth) < 0.8 * error(before, truth)


def test_where_neighbours_tell_all_nothing_is_added() -> None:
    model, truth = scan_of(fibres(0.0, 0.0))
    before, after, _ = restored(model, fibres(0.0, 0.0))
    assert error(after, truth) < 1.05 * error(before, truth)


def test_the_parts_are_the_residual_s_fit_of_second_order() -> None:
    model, _ = scan_of(fibres(0.2, 0.1))
    rows, y = slice(0, 500), model.whitened.y[:500]
    values = model.whitened.y[:500] * np.float32(0.5)
    _, (b0s, shell) = deviation_parts(values, y, model, rows)
    residual, bvecs = y - values, model.directions[shell.volumes]
    design = np.stack([a * b for i, a in enumerate(bvecs.T) for b in bvecs.T[i:]], 1)
    fit = residual[:, shell.volumes] @ (design @ np.linalg.pinv(design)).T
    anisotropic = model.shape(values, rows).fa > 0.3  # there all of them may go back
    whole = shell.tensors[:, 1:].sum(1) @ shell.forms  # the shell's level and its three parts
    np.testing.assert_allclose(whole[anisotropic], fit[anisotropic], atol=2e-4)
    np.testing.assert_allclose(b0s.tensors[:, 0, 0], residual[:, 0], atol=1e-6)


def test_a_turned_scan_gets_the_same_parts_turned() -> None:
    spin = np.linalg.qr(stream(7, "spin").standard_normal((3, 3)))[0]
    model, truth = scan_of(fibres(0.2, 0.1))
    turned, same = scan_of(fibres(0.2, 0.1, spin), spin)
    np.testing.assert_allclose(same, truth, atol=1e-4)
    results = [restored(m, fibres(0.0, 0.0))[1] for m in (model, turned)]
    np.testing.assert_allclose(*results, atol=2e-3)


def test_voxels_of_noise_alone_get_nothing() -> None:
    model, _ = scan_of(fibres(0.2, 0.1))
    _, _, weights = restored(model, fibres(0.0, 0.0))
    whitened = model.whitened
    dark = np.full_like(whitened.y, 0.5) - (whitened.mean / SIGMA).astype(np.float32)
    at_floor = ResponseModel(replace(whitened, y=whitened.y.copy()), table(DWIS))
    values = dark.copy()
    add_deviation(values, whitened.y, at_floor, weights)
    np.testing.assert_array_equal(values, dark)
