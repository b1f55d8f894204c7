"""The poster's simulation: the calibration reaches its Noisy row, the metric forgives a scale."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.seeds import stream
from dwiser.simulation import phantom
from dwiser.simulation.kspace import root_sum_of_squares
from reproduce.kspace_noise import Subject, by_slice, calibrated, poster_metric
from reproduce.poster import poster
from tests.refusals import refused

SHAPE, DRAWS = (20, 24, 3), 4


@pytest.fixture(scope="module")
def subject() -> Subject:
    made = phantom(SHAPE, noise="none", n_b0=1, shells=((1000.0, 6),), seed=7)
    return Subject.of(made.truth[..., 0], 4, 7)


def test_the_calibration_reaches_the_posters_noisy_row(subject: Subject) -> None:
    for wanted in poster()["table2"]["psnr"]["Noisy"]:
        sigma = calibrated([subject], wanted, DRAWS, 0)
        reached, _ = poster_metric(subject.draws(sigma, DRAWS, 0), subject.truth)
        assert reached == pytest.approx(wanted, abs=0.01)


def test_without_noise_the_root_sum_of_squares_is_the_image(subject: Subject) -> None:
    np.testing.assert_allclose(subject.draws(0.0, 1, 0)[..., 0], subject.truth, atol=1e-5)


def test_the_posters_metric_forgives_offset_and_scale_and_the_fixed_one_does_not(
    subject: Subject,
) -> None:
    images = subject.draws(0.05, DRAWS, 0)
    shifted = 3 * images + 1
    assert poster_metric(shifted, subject.truth)[0] == pytest.approx(
        poster_metric(images, subject.truth)[0], abs=1e-3
    )
    assert by_slice(shifted, subject.truth)[0] < by_slice(images, subject.truth)[0] - 3


def test_two_draws_have_noise_of_their_own(subject: Subject) -> None:
    draws = subject.draws(0.05, 2, 0) - subject.truth[..., None]
    bright = subject.truth > 0.5
    assert abs(np.corrcoef(draws[bright].T)[0, 1]) < 0.2


def test_m4raws_layout_is_read(tmp_path: Path) -> None:
    rng = stream(0, "kspace")
    images = rng.standard_normal((2, 3, 8, 10)) + 1j * rng.standard_normal((2, 3, 8, 10))
    centred = np.fft.ifftshift(images, axes=(2, 3))
    kspace = np.fft.fftshift(np.fft.fft2(centred, norm="ortho"), axes=(2, 3))
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["kspace"] = kspace.astype(np.complex64)
    found = Subject.from_m4raw(tmp_path / "one.h5")
    expected = root_sum_of_squares(images.transpose(2, 3, 0, 1))
    np.testing.assert_allclose(found.truth, expected / expected.max(), rtol=1e-4)
    np.testing.assert_allclose((np.abs(found.sensitivities) ** 2).sum(-1), 1, rtol=1e-4)


def test_a_file_without_kspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.h5").write_text("no")
    with refused(Code.IMAGE_FORMAT, "no multi-coil k-space", "give M4Raw's .h5"):
        Subject.from_m4raw(tmp_path / "no.h5")
