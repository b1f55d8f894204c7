"""The compiled fit of tensors is NumPy's, finds the tensor, and reads nothing outside."""

import numpy as np
import pytest

import dwiser.prepare.tensor_fit as module
from dwiser.compiled import tensors
from dwiser.prepare.tensor_fit import TensorFit
from dwiser.seeds import stream

needs_compiled = pytest.mark.skipif(tensors is None, reason="built without a compiler")


def _scheme(volumes: int) -> np.ndarray:
    """A tenth of b0s, one at least, and directions at b = 1 ms/µm²."""
    rng = stream(volumes, "directions")
    g = rng.normal(size=(volumes, 3))
    x, y, z = (g / np.linalg.norm(g, axis=1, keepdims=True)).T
    b = np.where(np.arange(volumes) < max(1, volumes // 10), 0.0, 1.0)
    parts = x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z
    return np.stack([np.ones(volumes), *(-b * part for part in parts)], 1)


def _tensors(count: int) -> np.ndarray:
    rng = stream(count, "tensors")
    roots = rng.normal(size=(count, 3, 3))
    d = roots @ roots.transpose(0, 2, 1) * 0.3 + 0.1 * np.eye(3)
    parts = [d[:, i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
    return np.stack([rng.uniform(3, 9, count), *parts])


@pytest.mark.parametrize("voxels", [1, 31, 32, 33, 500])
@pytest.mark.parametrize("volumes", [12, 70, 301])
def test_signals_without_noise_give_their_tensor(volumes: int, voxels: int) -> None:
    design, truth = _scheme(volumes), _tensors(voxels)
    found = TensorFit(design)(np.exp(design @ truth), 1e-3)
    np.testing.assert_allclose(found, truth, rtol=2e-3, atol=0.03 if volumes == 12 else 2e-4)


@needs_compiled
@pytest.mark.parametrize("volumes", [12, 70, 301])
def test_the_compiled_fit_is_numpys(monkeypatch, volumes: int) -> None:
    design, rng = _scheme(volumes), stream(volumes, "noise")
    signals = np.exp(design @ _tensors(700))
    signals = np.abs(signals + rng.normal(size=signals.shape) * 40).astype(np.float32)
    compiled = TensorFit(design)(signals, 5.0)
    monkeypatch.setattr(module, "tensors", None)
    plain = TensorFit(design)(signals, 5.0)
    error = np.abs(compiled - plain)
    assert np.quantile(error, 0.99) < 2e-4 * np.abs(plain).max()
    assert np.abs(plain - _tensors(700)).mean() > 5e-3  # there was noise to fit


@needs_compiled
def test_the_compiled_fit_of_extreme_signals(monkeypatch) -> None:
    """Zeros, the same in all volumes, dark and bright by turns, and units of any size."""
    design = _scheme(30)
    some = np.exp(design @ _tensors(40))
    by_turns = np.where(np.arange(30)[:, None] % 2, 1e5, 0.0) * np.ones(40)
    for signals in (some * 0, some * 0 + 7, by_turns, some * 1e-20, some * 1e20):
        lowest = max(1e-3 * float(signals.mean()), 1e-30)
        compiled = TensorFit(design)(signals, lowest)
        with monkeypatch.context() as without:
            without.setattr(module, "tensors", None)
            plain = TensorFit(design)(signals, lowest)
        assert np.isfinite(compiled).all()
        tolerance = 0.05 if signals is by_turns else 2e-3  # whose equations are near to singular
        np.testing.assert_allclose(compiled, plain, atol=tolerance, rtol=2e-3)


def test_the_units_change_no_digit_of_the_tensor() -> None:
    design = _scheme(40)
    signals = np.exp(design @ _tensors(50)).astype(np.float32)
    first, second = (TensorFit(design)(signals * unit, 0.25 * unit) for unit in (1.0, 2.0**20))
    np.testing.assert_array_equal(first[1:], second[1:])
    np.testing.assert_allclose(second[0] - first[0], 20 * np.log(2), atol=1e-5)


@needs_compiled
def test_the_compiled_fit_reads_nothing_outside_its_arrays() -> None:
    signals, own, pairs = (np.ones((9, n), np.float32) for n in (5, 8, 28))
    good = (signals, own, own, pairs, 1.0, 1e-9, np.empty((7, 5)))

    def refused(error: type[Exception], place: int, other: object) -> None:
        arguments = list(good)
        arguments[place] = other
        with pytest.raises(error):
            tensors.fit(*arguments)

    tensors.fit(*good)
    for place in range(4):
        refused(ValueError, place, good[place][:-1])
        refused(TypeError, place, good[place].astype(float))
        refused(TypeError, place, good[place][0])
    for place in (1, 2, 3):
        refused(ValueError, place, good[place][:, :-1].copy())
    refused(ValueError, 0, signals[:, :-1].copy())
    refused(ValueError, 0, np.ones((0, 5), np.float32))
    refused(ValueError, 4, 0.0)
    refused(ValueError, 6, np.empty((6, 5)))
    refused(TypeError, 6, np.empty((7, 5), np.float32))
    refused(ValueError, 0, np.asfortranarray(signals))
