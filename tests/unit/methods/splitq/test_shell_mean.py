"""What a whole shell lacks comes back, and what is noise does not, whatever σ is."""

import numpy as np
import pytest
from scipy import ndimage

from dwiser.methods.registry import build
from dwiser.methods.splitq.shell_mean import MaskedGaussian, ShellMeans
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.seeds import stream

SHAPE, VOLUMES, NEAR, WIDE = (24, 22, 12), 12, 1.5, 6.0


def field(name: str, width: float, *size: int) -> np.ndarray:
    """Smooth noise of variance 1."""
    noise = stream(0, name).standard_normal((*SHAPE, *size))
    smooth = ndimage.gaussian_filter(noise, [width] * 3 + [0] * len(size))
    return smooth / smooth.std()


def mask() -> np.ndarray:
    inside = np.ones(SHAPE, bool)
    inside[:3], inside[:, :, 10:] = False, False
    return inside


def means(*of_shells: list[int]) -> ShellMeans:
    widths = ((NEAR,) * 3, (WIDE,) * 3)
    near, wide = (MaskedGaussian.of(mask(), each) for each in widths)
    return ShellMeans(tuple(np.array(volumes) for volumes in of_shells), near, wide)


def restored(y: np.ndarray, *of_shells: list[int]) -> np.ndarray:
    """What comes back to an estimate of 0, at the mask's voxels."""
    values = np.zeros((int(mask().sum()), VOLUMES), np.float32)
    means(*of_shells)(values, y[mask()].astype(np.float32))
    return values


@pytest.mark.parametrize("correlated", [0.0, 0.8])
@pytest.mark.parametrize("sd", [0.5, 2.0])
def test_a_shell_s_mean_comes_back_through_noise_of_any_size(sd: float, correlated: float) -> None:
    lost = 0.5 * sd * field("lost", 4.0)
    noise = sd * field("noise", correlated, VOLUMES)
    back = restored(lost[..., None] + noise, list(range(VOLUMES)))
    left = (back - lost[mask()][:, None]).std()
    assert left < 0.5 * lost[mask()].std()
    assert np.ptp(back, axis=1).max() == 0  # all volumes get the same


@pytest.mark.parametrize("correlated", [0.0, 0.8])
def test_noise_alone_hardly_comes_back(correlated: float) -> None:
    noise = field("noise", correlated, VOLUMES)
    everything = means(list(range(VOLUMES))).near(noise.mean(-1)[mask()])
    assert restored(noise, list(range(VOLUMES))).std() < 0.4 * everything.std()


def test_volumes_of_no_shell_get_nothing_and_tell_nothing() -> None:
    y = field("lost", 4.0)[..., None] + 0.2 * field("noise", 0.0, VOLUMES)
    y[..., 8:] += 100
    back = restored(y, [0, 2, 4, 6])
    assert not back[:, [1, 3, 5, 7, *range(8, VOLUMES)]].any()
    assert 0.5 < back[:, 0].std() < 1.5


def test_means_are_of_voxels_in_the_mask_alone() -> None:
    inside = mask()
    gaussian = MaskedGaussian.of(inside, (NEAR,) * 3)
    np.testing.assert_allclose(gaussian(np.full(inside.sum(), 7.0)), 7, rtol=1e-5)


def test_shells_of_few_volumes_and_outliers_are_left_alone(small) -> None:
    """Two b0s of fourteen volumes are too few, and a volume that dropped out is no repeat."""
    scan, inside = small.scan, small.mask
    dwis = np.flatnonzero(~scan.gradients.is_b0)
    y = np.zeros((int(inside.sum()), scan.shape[3]), np.float32)
    whitened = WhitenedScan(
        inside, np.ones(inside.shape, np.float32), 1.0, y, np.zeros(scan.shape[3]),
        np.ones(scan.shape[3]), None, (), {}, {}, outliers={int(dwis[1]): "it dropped out"},
    )  # fmt: skip
    (usual,) = ShellMeans.of(whitened, scan).shells
    np.testing.assert_array_equal(usual, np.delete(dwis, 1))


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
def test_splitq_restores_them_unless_nothing_is_to_be_given_back(
    small, machine, monkeypatch
) -> None:
    def plus_one(self: ShellMeans, values: np.ndarray, y: np.ndarray) -> None:
        values += 1

    options = {"machine": machine, "seed": 0}
    kept, nothing = (
        build("splitq", settings={"floor": "kept", "give_back": give_back})
        for give_back in (True, False)
    )
    before = [method.denoise(small.scan, **options).data for method in (kept, nothing)]
    monkeypatch.setattr(ShellMeans, "__call__", plus_one)
    after = [method.denoise(small.scan, **options).data for method in (kept, nothing)]
    assert (after[0] - before[0])[small.mask].mean() > 0.5 * small.sigma[small.mask].mean()
    np.testing.assert_array_equal(after[1], before[1])
