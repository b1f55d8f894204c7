"""Classes of voxels where volumes are few, and the families that their weights are drawn to."""

from collections.abc import Iterator

import numpy as np

from dwiser.methods.splitq.few_directions import PILOT, weights_by_risk
from dwiser.methods.splitq.restoring import CLASS_KNOTS, ResponseModel
from dwiser.methods.splitq.tissue_classes import (
    KNOTS,
    attenuation_knots,
    families,
    tissue_classes,
)
from dwiser.scan import Gradients
from dwiser.seeds import stream
from tests.turning_fibres import fibres, table

VOLUMES = 8


def test_tissue_classes_are_shares_by_fa_times_attenuation_and_the_dark_come_last() -> None:
    model, _ = fibres(12, 40.0)
    y, everywhere = model.whitened.y, slice(None)
    knots = attenuation_knots(model)
    assert len(knots) == KNOTS
    inside = model.attenuation(y, everywhere)
    assert 0.02 < (inside < knots[0]).mean() < 0.08
    assert 0.02 < (inside > knots[-1]).mean() < 0.08
    shares = tissue_classes(model, knots, y, everywhere)
    assert shares.shape[1] == KNOTS * len(CLASS_KNOTS) + 2 == len(families(model, knots))
    assert families(model, knots).tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4, 5]
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
    assert shares.min() >= 0
    plain = tissue_classes(model, np.zeros(0), y, everywhere)
    together = shares[:, :-2].reshape(len(y), len(CLASS_KNOTS), KNOTS).sum(2)
    np.testing.assert_allclose(together, plain[:, :-2], atol=1e-5)
    np.testing.assert_allclose(shares[:, -2:], plain[:, -2:], atol=1e-5)


def test_tissue_classes_of_noise_alone_are_dark_and_without_a_b0_by_fa_alone() -> None:
    model, _ = fibres(12, 40.0)
    nothing = np.full((5, 13), 0.5, np.float32) - (model.whitened.mean / 40).astype(np.float32)
    shares = tissue_classes(model, attenuation_knots(model), nothing, np.arange(5))
    np.testing.assert_allclose(shares[:, -1], 1)
    vectors = table(12).bvecs.copy()
    vectors[0] = [1, 0, 0]
    without = ResponseModel(model.whitened, Gradients(np.full(13, 1000.0), vectors))
    assert not len(attenuation_knots(without))


def test_a_tensor_that_fits_all_volumes_has_no_classes_by_attenuation() -> None:
    model, _ = fibres(6, 40.0)
    assert not len(attenuation_knots(model))


def test_a_class_of_no_voxels_has_its_familys_weights() -> None:
    rng = stream(8, "families")
    channels, probe = (rng.standard_normal((4000, VOLUMES)).astype(np.float32) for _ in range(2))
    first = (np.arange(4000) < 2000).astype(np.float32)
    shares = np.stack([first, 0 * first, 1 - first], 1)

    def estimates(values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        yield PILOT, values
        yield "smooth", (np.roll(values, 1, 0) + values + np.roll(values, -1, 0)) / 3

    found = weights_by_risk(
        estimates, channels, probe, np.arange(4000), np.eye(VOLUMES), 1.0, "cpu",
        lambda pilot: shares, np.array([0, 0, 1]),
    )  # fmt: skip
    np.testing.assert_allclose(found.weights[1], found.weights[0], atol=0.02)
    assert np.abs(found.weights[2] - found.weights[0]).max() > 1e-6
