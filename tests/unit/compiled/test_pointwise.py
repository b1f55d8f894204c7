"""The compiled functions of each voxel are NumPy's and SciPy's, and read nothing outside."""

from types import ModuleType

import numpy as np
import pytest

from dwiser.compiled import pointwise
from dwiser.methods.splitq import angular_response
from dwiser.methods.splitq.angular_response import (
    FA_KNOTS,
    MODE_KNOTS,
    SHAPES,
    AngularResponse,
    TensorShape,
    deficit_of,
)
from dwiser.prepare import lookup, rician_bias
from dwiser.prepare.lookup import Lookup
from dwiser.prepare.rician_bias import signal_posterior, true_signal
from dwiser.seeds import stream

pytestmark = pytest.mark.skipif(pointwise is None, reason="built without a compiler")
COUNT = 1000


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch):
    """Calls a function without the compiled part of these modules."""

    def call(function, *modules: ModuleType):
        with monkeypatch.context() as without:
            for module in modules:
                without.setattr(module, "pointwise", None)
            return function()

    return call


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_lookup_between_its_points_and_beyond_its_ends(plain, order: str) -> None:
    rng = stream(0, "pointwise")
    table = Lookup(rng.normal(size=(2, 300)).astype(np.float32), -2.0, 0.01)
    x = np.array(rng.uniform(-4, 3, (50, 23)), np.float32, order=order)
    compiled = table.at(x)
    assert compiled.shape == (2, 50, 23)
    np.testing.assert_allclose(compiled, plain(lambda: table.at(x), lookup), atol=2e-6)


def test_what_is_no_number_stays_so() -> None:
    table = Lookup(np.arange(5, dtype=np.float32)[None], 0.0, 1.0)
    ends = table.at(np.array([-np.inf, np.inf, np.nan], np.float32))[0]
    np.testing.assert_allclose(ends, [0, 4, np.nan], atol=1e-4)


@pytest.mark.parametrize("coils", [1, 4])
def test_the_signal_and_its_posterior_from_the_tables(plain, coils: int) -> None:
    rng = stream(1, "pointwise")
    mean, power = rng.uniform(-1, 20, COUNT), rng.uniform(0, 600, COUNT)
    sigma, spread = np.full(COUNT, 3.0), rng.uniform(0, 1.2, COUNT)

    def both() -> tuple[np.ndarray, ...]:
        posterior = signal_posterior(3 * mean, sigma, spread, coils, power)
        return true_signal(3 * mean, sigma, 0.23, coils, power), *posterior

    for one, other in zip(both(), plain(both, rician_bias), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3, rtol=1e-4)  # of σ = 3


def shape_of(rng: np.random.Generator) -> TensorShape:
    deviator = rng.normal(size=(COUNT, 6))
    deviator /= np.linalg.norm(deviator, axis=1, keepdims=True)
    fa, mode = rng.uniform(0, 1, COUNT), rng.uniform(-1, 1, COUNT)
    return TensorShape(*(part.astype(np.float32) for part in (fa, mode, deviator)))


def unit_vectors(rng: np.random.Generator, count: int) -> np.ndarray:
    g = rng.normal(size=(count, 3))
    return g / np.linalg.norm(g, axis=1, keepdims=True)


@pytest.mark.parametrize("directions", [1, 7, 30])
def test_the_deficit_by_its_polynomial(plain, directions: int) -> None:
    rng = stream(directions, "pointwise")
    shape, g = shape_of(rng), unit_vectors(rng, directions)
    coefficients = rng.normal(size=(len(FA_KNOTS) * len(MODE_KNOTS), SHAPES))
    level = rng.uniform(0, 20, COUNT).astype(np.float32)

    def deficit() -> np.ndarray:
        return deficit_of(coefficients, shape, level, g)

    compiled = deficit()
    assert np.abs(compiled).max() > 1
    np.testing.assert_allclose(compiled, plain(deficit, angular_response), atol=2e-4)


@pytest.mark.parametrize("directions", [1, 8, 30])
def test_the_response_by_its_moments(plain, directions: int) -> None:
    rng = stream(directions, "pointwise moments")
    shape, g = shape_of(rng), unit_vectors(rng, directions)
    level = rng.uniform(0, 20, COUNT).astype(np.float32)
    deficit = rng.normal(size=(COUNT, directions)).astype(np.float32)

    def gathered() -> AngularResponse:
        response = AngularResponse()
        response.add(shape, level, deficit, g)
        return response

    compiled, other = gathered(), plain(gathered, angular_response)
    largest = np.abs(other.normal).max(), np.abs(other.right).max()
    np.testing.assert_allclose(compiled.normal, other.normal, atol=1e-6 * largest[0])
    np.testing.assert_allclose(compiled.right, other.right, atol=1e-5 * largest[1])


def test_arrays_of_another_type_or_size_are_refused() -> None:
    table, x = np.zeros((2, 3), np.float32), np.zeros(4, np.float32)
    layers = np.zeros((2, 2, 3), np.float32)
    wrong: list[tuple[type[Exception], str, tuple]] = [
        (TypeError, "bilinear", (table.astype(float), x, x, x)),
        (ValueError, "bilinear", (table[:1], x, x, x)),
        (ValueError, "bilinear", (table, x[:3], x, x)),
        (ValueError, "bilinear", (layers, x, x, x)),
        (ValueError, "trilinear", (table, x, x, x, x)),
        (ValueError, "trilinear", (layers, x, x, x, x[:3])),
        (ValueError, "interpolate", (table, 0.0, 1.0, x, x)),
        (ValueError, "interpolate", (table[:, :1].copy(), 0.0, 1.0, x, np.zeros((2, 4), "f4"))),
        (ValueError, "polynomial", (np.zeros((4, 14), "f4"), np.zeros((4, 6), "f4"), layers, x)),
        (ValueError, "polynomial", (np.zeros((4, 15), "f4"), np.zeros((4, 6), "f4"), layers, x)),
        (ValueError, "moments", (x, np.zeros((4, 6), "f4"), layers, 4, np.zeros((4, 15), "f4"))),
        (ValueError, "moments", (None, np.zeros((4, 6), "f4"), layers, 9, np.zeros((4, 55), "f4"))),
    ]
    for error, name, arrays in wrong:
        with pytest.raises(error):
            getattr(pointwise, name)(*arrays)
    with pytest.raises(ValueError, match="contiguous"):
        pointwise.bilinear(table.T, x, x, x)
