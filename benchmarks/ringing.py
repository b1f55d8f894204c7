"""Raw scans whose edges ring: a head of twice the matrix, of whose k-space the middle is kept.

Signal and noise go through one k-space: partial Fourier and zero filling take lines of both, and a
scanner's own filter weighs both.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float

from benchmarks.moving_head import acquired
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import phantom
from dwiser.simulation.noise import Sampling

FINER = 2  # samples a voxel along x and y
OVER_NOISE = ("snr", "noise", "coils", "partial_fourier", "zero_fill")


def ringing_scan(
    shape: tuple[int, int, int], settings: dict[str, Any], seed: int, *, hann: bool = False
) -> tuple[Scan, Bool[np.ndarray, "x y z"]]:
    """A raw scan with Gibbs ringing, and where its object is.

    Parameters
    ----------
    shape : (X, Y, Z) voxels. settings : of `dwiser.simulation.phantom`; its noise is Rician or
        nc-χ here. hann : whether the scanner weighs k-space by Hann's window along x and y.
    """
    x, y, z = shape
    fine = phantom((FINER * x, FINER * y, z), seed=seed, noise="none", **_of_head(settings))
    coarse = phantom(shape, seed=seed, **{**settings, "noise": "rician", "coils": 1, "texture": 0})
    mask = fine.mask.reshape(x, FINER, y, FINER, z).mean((1, 3)) > 0.5
    sampling = Sampling(settings.get("partial_fourier", 1.0), settings.get("zero_fill", 1.0))
    weight = sampling.acquired(shape).astype(float)
    if hann:
        weight *= np.outer(*((1 + np.cos(2 * np.pi * np.fft.fftfreq(n))) / 2 for n in (x, y)))
    coils = settings.get("coils", 1)
    data = np.empty((*shape, fine.truth.shape[3]), np.float32)
    for v in range(data.shape[3]):
        rng = stream(seed, "ringing", v)
        image = acquired(fine.truth[..., v]) / np.sqrt(coils)
        channels = (_scanned(image, coarse.sigma, weight, rng) for _ in range(coils))
        data[..., v] = np.sqrt(sum(np.square(np.abs(c)) for c in channels))
    return replace(fine.scan, data=data, affine=coarse.scan.affine, mask=None), mask


def _of_head(settings: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in settings.items() if k not in (*OVER_NOISE, "sigma_map")}


def _scanned(
    image: Complex[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    weight: Float[np.ndarray, "x y"],
    rng: np.random.Generator,
) -> Complex[np.ndarray, "x y z"]:
    """Signal and noise of one channel after the lines that were sampled and the filter."""
    noise = rng.standard_normal((2, *image.shape))
    noise = noise[0] + 1j * noise[1]
    through = (_filtered(part, weight) for part in (image, noise))
    signal, noise = through
    return signal + sigma * noise / np.sqrt(np.mean(np.square(weight)))


def _filtered(
    image: Complex[np.ndarray, "x y z"], weight: Float[np.ndarray, "x y"]
) -> Complex[np.ndarray, "x y z"]:
    spectrum = np.fft.fft2(image, axes=(0, 1)) * weight[..., None]
    return np.fft.ifft2(spectrum, axes=(0, 1))
