import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dwiser.evaluation.edges import FWHM_PER_SD, edge_blur, lesion_contrast
from dwiser.evaluation.records import CannotMeasure

SHAPE = (26, 24, 22)
GRID = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1)
BALL = np.linalg.norm(GRID - np.array([13, 12, 11]), axis=-1) < 8
TRUTH = np.where(BALL, 100.0, 20.0)[..., None] * np.array([1.0, 0.7])
EVERYWHERE = np.ones(SHAPE, bool)


@pytest.mark.parametrize("fwhm", [2.0, 4.0, 6.0])
@pytest.mark.parametrize("size", [(2.0, 2.0, 2.0), (1.5, 2.0, 2.5)])
def test_a_known_blur_is_measured_in_mm_through_noise(fwhm, size):
    widths = [fwhm / FWHM_PER_SD / s for s in size]
    blurred = np.stack([gaussian_filter(TRUTH[..., v], widths) for v in (0, 1)], -1)
    noisy = 0.9 * blurred + 5 + np.random.default_rng(0).normal(0, 3, blurred.shape)
    assert np.isclose(edge_blur(noisy, TRUTH, EVERYWHERE, size).fwhm, fwhm, rtol=0.1)


def test_noise_alone_widens_no_edge():
    noisy = TRUTH + np.random.default_rng(1).normal(0, 5, TRUTH.shape)
    assert edge_blur(noisy, TRUTH, EVERYWHERE, (2.0, 2.0, 2.0)).fwhm < 1.4  # two thirds of a voxel
    assert edge_blur(TRUTH, TRUTH, EVERYWHERE, (2.0, 2.0, 2.0)).fwhm == 0


def test_a_flat_truth_has_no_edges():
    with pytest.raises(CannotMeasure):
        edge_blur(TRUTH, np.ones_like(TRUTH), EVERYWHERE, (2.0, 2.0, 2.0))


def two_lesions() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros(SHAPE, int)
    labels[5:8, 5:8, 5:8] = 1
    labels[16:19, 16:19, 12:15] = 2
    truth = np.full((*SHAPE, 3), 100.0)
    truth[labels == 1] = 150.0
    truth[labels == 2] = [100.0, 100.0, 40.0]
    return labels, truth


def test_contrast_kept_is_counted_where_the_lesion_shows():
    labels, truth = two_lesions()
    denoised = truth.copy()
    denoised[labels == 1] = 120.0
    denoised[labels == 2] = 100.0
    first, second = lesion_contrast(denoised, truth, labels, EVERYWHERE)
    assert np.isclose(first.kept, 0.4)
    assert (first.volumes, first.voxels) == (3, 27)
    assert np.isclose(second.kept, 0)
    assert second.volumes == 1
    assert np.isclose(second.contrast, -60)


def test_given_volumes_decide_where_a_lesion_is_looked_for():
    labels, truth = two_lesions()
    denoised = truth.copy()
    denoised[labels == 1] = [150.0, 100.0, 100.0]
    contrasts = lesion_contrast(denoised, truth, labels, EVERYWHERE, {1: [0]})
    assert contrasts[0].volumes == 1
    assert np.isclose(contrasts[0].kept, 1)


def test_a_known_change_tells_an_erased_lesion_where_its_surround_hides_it():
    """The healthy tissue is darker than its ring by 30, and the lesion brightens it by 25."""
    labels, truth = two_lesions()
    truth[labels == 1] = 95.0
    erased, known = truth.copy(), {1: [25.0, 25.0, 25.0]}
    erased[labels == 1] = 70.0
    volumes = {1: [0, 1, 2]}
    blind = lesion_contrast(erased, truth, labels, EVERYWHERE, volumes)[0]
    assert blind.kept > 5  # its difference to the ring grew
    seeing = lesion_contrast(erased, truth, labels, EVERYWHERE, volumes, known)[0]
    assert np.isclose(seeing.kept, 0)
    assert np.isclose(seeing.contrast, 25)
    half = (erased + truth) / 2
    contrasts = lesion_contrast(half, truth, labels, EVERYWHERE, volumes, known)
    assert np.isclose(contrasts[0].kept, 0.5)


def test_no_lesion_no_contrast():
    labels, truth = two_lesions()
    with pytest.raises(CannotMeasure):
        lesion_contrast(truth, truth, labels * 0, EVERYWHERE)
