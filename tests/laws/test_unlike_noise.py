"""Volumes whose noise differs, as it does at a magnitude's floor, share no more for it."""

import numpy as np
import pytest

from dwiser.methods.splitq.method import ABLE
from dwiser.methods.splitq.whitened import whiten
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream

SHAPE, EACH = (24, 24, 12), 16


@pytest.fixture(scope="module")
def fluid() -> Scan:
    """Free water: repeats at b = 0, 700 and 3000, where nothing is left but the floor."""
    rng = stream(0, "fluid")
    bvals = np.repeat([0.0, 700.0, 3000.0], EACH)
    theta = 40 * np.exp(-3e-3 * bvals) * (1 + 0.2 * rng.random((*SHAPE, 1)))
    noise = rng.standard_normal((2, *theta.shape))
    bvecs = rng.standard_normal((len(bvals), 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    data = (8 * np.hypot(theta + noise[0], noise[1])).astype(np.float32)
    sigma = np.full(SHAPE, 8.0, np.float32)
    table = Gradients(bvals, np.where(bvals[:, None] > 0, bvecs, 0))
    return Scan(data, np.eye(4), table, mask=np.ones(SHAPE, bool), sigma=sigma)


def test_noise_that_differs_is_no_component(fluid: Scan) -> None:
    whitened = whiten(fluid, 0, name="splitq", able=ABLE, fewest_shared=10, coils=1.0)
    assert whitened is not None
    assert whitened.rank <= 2  # one signal for all, of which the floor makes two
    assert whitened.noise == pytest.approx(1.0, abs=0.12)  # 0.44 if volumes were taken for alike
    np.testing.assert_allclose(whitened.scale[[0, -1]], [1.0, 0.66], atol=0.03)


def test_what_goes_into_channels_comes_back(fluid: Scan) -> None:
    """A signal of the subspace is the same after ``into`` and ``back``, in units of σ."""
    whitened = whiten(fluid, 0, name="splitq", able=ABLE, fewest_shared=10, coils=1.0)
    assert whitened is not None
    assert whitened.subspace is not None
    matrix, root = whitened.into(np.ones(len(whitened.mean), bool))
    weights = stream(1, "weights").standard_normal((5, whitened.rank))
    y = weights @ whitened.subspace.components.T * whitened.scale
    np.testing.assert_allclose(y @ matrix @ root @ whitened.back, y, atol=1e-8)
