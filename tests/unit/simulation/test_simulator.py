"""A series that is never whole is the series that is, to the bit."""

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.simulation import NoiseModel
from dwiser.simulation.phantom import phantom_simulator
from dwiser.simulation.simulator import Simulator
from dwiser.simulation.texture import Texture
from tests.refusals import refused

SHAPE = (14, 16, 9)


def simulator(model: NoiseModel, directions: int = 20, n_b0: int = 2) -> Simulator:
    return phantom_simulator(
        SHAPE, model, Texture(0.2), voxel=2.0, shells=((1000.0, directions),), n_b0=n_b0,
        lesions=True, seed=4,
    )  # fmt: skip


@pytest.mark.parametrize(
    "model",
    [
        NoiseModel("gaussian", snr=3, sigma_map="gfactor"),
        NoiseModel("kspace", coils=2),
        NoiseModel("none"),
    ],
    ids=["gaussian", "k-space", "none"],
)
def test_volume_by_volume_it_is_the_same_as_whole(model: NoiseModel) -> None:
    built = simulator(model)  # of more volumes than one block holds
    whole = built.run()
    clipped: list[int] = []
    noisy = np.stack(list(built.noisy_volumes(clipped.append)), axis=-1)
    np.testing.assert_array_equal(noisy, whole.scan.data)
    np.testing.assert_array_equal(np.stack(list(built.series.volumes()), axis=-1), whole.truth)
    assert whole.record["clipped_below_zero"] == sum(clipped)
    assert (sum(clipped) > 0) == (model.kind == "gaussian")
    assert whole.lesions.any()


def test_some_voxels_of_the_series_are_those_of_the_whole() -> None:
    series = simulator(NoiseModel()).series
    volumes = np.array([3, 0, 17])
    rows = series.whole()[series.mask][:, volumes]
    middle = int(np.median(series.lesion_voxels))  # inside a lesion, so that it is cut through
    parts = [series.rows(part, volumes) for part in (slice(middle), slice(middle, None))]
    np.testing.assert_array_equal(np.concatenate(parts), rows)


def test_a_table_of_one_volume_is_no_series() -> None:
    with refused(Code.ARGUMENT_VALUE, "one volume only", "give more directions or b0s"):
        simulator(NoiseModel(), directions=1, n_b0=0)
