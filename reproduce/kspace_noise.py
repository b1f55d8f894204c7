"""The poster's simulation: noise in multi-coil k-space, calibrated to its Noisy row; its metric.

Images are (X, Y, Z); coil images (X, Y, Z, C), complex; draws (X, Y, Z, N).
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import scipy.fft
from skimage.metrics import structural_similarity

from dwiser.errors import Code, InputError
from dwiser.seeds import stream
from dwiser.simulation.kspace import coil_sensitivities, noisy_coils, root_sum_of_squares

LOWEST, HIGHEST = 1e-4, 10.0  # σ in units of the image's maximum: what bisection searches
HALVINGS = 24
TINY = 1e-12  # of a squared range: no PSNR is infinite
SSIM_WINDOW = 7  # pixels; scikit-image's default


@dataclass(frozen=True, eq=False)
class Subject:
    """A noiseless image scaled to a maximum of 1, and its coils' sensitivities (Σ|c|² = 1)."""

    truth: np.ndarray
    sensitivities: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, coils: int, seed: int) -> "Subject":
        return cls(image / np.float32(image.max()), coil_sensitivities(image.shape, coils, seed))

    @classmethod
    def from_m4raw(cls, path: Path) -> "Subject":
        """A multi-coil acquisition in fastMRI's layout: ``kspace`` (slices, coils, X, Y).

        Its root sum of squares is taken for the truth: M4Raw's own noise stays in it.

        Raises
        ------
        InputError
            For a file that holds no such k-space.
        """
        try:
            with h5py.File(path) as file:
                kspace = np.asarray(file["kspace"])
        except (OSError, KeyError) as error:
            raise InputError(
                f"{path}: no multi-coil k-space is in it: give M4Raw's .h5.", code=Code.IMAGE_FORMAT
            ) from error
        if kspace.ndim != 4:
            raise InputError(
                f"{path}: its k-space has {kspace.ndim} axes: 4 are needed.",
                code=Code.IMAGE_DIMENSIONS,
            )
        shifted = scipy.fft.ifftshift(kspace, axes=(2, 3))
        images = scipy.fft.fftshift(scipy.fft.ifft2(shifted, norm="ortho"), axes=(2, 3))
        coils = images.transpose(2, 3, 0, 1).astype(np.complex64)
        image = root_sum_of_squares(coils)
        safe = np.where(image > 0, image, 1)[..., None]
        return cls(image / image.max(), coils / safe)

    def draws(self, sigma: float, count: int, seed: int) -> np.ndarray:
        """``count`` root-sum-of-squares images, each with noise of its own."""
        images = np.empty((*self.truth.shape, count), np.float32)
        for i in range(count):
            coils = noisy_coils(self.truth, self.sensitivities, sigma, stream(seed, "draw", i))
            images[..., i] = root_sum_of_squares(coils)
        return images


def calibrated(subjects: list[Subject], psnr: float, count: int, seed: int) -> float:
    """σ at which the noisy draws' mean PSNR, in the poster's metric, is ``psnr`` dB."""
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        sigma = float(np.exp(middle))
        psnrs = [
            mean_psnr(unit_range(s.draws(sigma, count, seed + i)), unit_range(s.truth))
            for i, s in enumerate(subjects)
        ]
        low, high = (middle, high) if np.mean(psnrs) > psnr else (low, middle)
    return float(np.exp((low + high) / 2))


def unit_range(values: np.ndarray) -> np.ndarray:
    """Min–max of the whole array to [0, 1]."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / ((high - low) or 1.0)


def poster_metric(images: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Mean PSNR (dB) and SSIM over slices and draws, both arrays min–max scaled: the poster's.

    An offset or a scale that a method puts on everything is forgiven, and one bright voxel
    darkens all others.
    """
    return by_slice(unit_range(images), unit_range(truth))


def by_slice(images: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Mean PSNR (dB) and SSIM over slices and draws at the range 1: the fixed-scale metric."""
    ssim = [
        structural_similarity(
            truth[:, :, z], images[:, :, z, i], data_range=1.0, win_size=SSIM_WINDOW
        )
        for z in range(truth.shape[2])
        for i in range(images.shape[3])
    ]
    return mean_psnr(images, truth), float(np.mean(ssim))


def mean_psnr(images: np.ndarray, truth: np.ndarray) -> float:
    """Mean PSNR (dB) over slices and draws at the range 1."""
    mse = ((images - truth[..., None]).astype(float) ** 2).mean((0, 1))
    return float(np.mean(-10 * np.log10(np.maximum(mse, TINY))))
