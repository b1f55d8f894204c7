"""The poster's set-up: noise in multi-coil k-space, a root-sum-of-squares image."""

from collections.abc import Sequence

import numpy as np
import scipy.fft
from jaxtyping import Complex, Float

from dwiser.seeds import stream
from dwiser.simulation.noise import FULL, Sampling

COIL_RADIUS = 1.3  # of the half field of view: the coils sit on a ring around the head
COIL_REACH = 1.0  # sd of a coil's sensitivity, of the half field of view
PHASE_TURNS = 0.5  # phase of a coil's sensitivity over the half field of view, in turns


def coil_sensitivities(
    shape: Sequence[int], coils: int, seed: int = 0
) -> Complex[np.ndarray, "x y z c"]:
    """Smooth complex sensitivities of a ring of coils, Σ|c|² = 1 in every voxel, complex64.

    With that scaling the noiseless root sum of squares is the image itself.
    """
    rng = stream(seed, "coils")
    axes = [(np.arange(n) - (n - 1) / 2) / (n / 2) for n in shape]
    x, y, z = np.ix_(*axes)
    maps = np.empty((*shape, coils), np.complex64)
    for c in range(coils):
        angle = 2 * np.pi * (c + rng.uniform(-0.2, 0.2)) / coils
        height = rng.uniform(-0.5, 0.5)
        away = (
            (x - COIL_RADIUS * np.cos(angle)) ** 2
            + (y - COIL_RADIUS * np.sin(angle)) ** 2
            + (z - height) ** 2
        )
        slope = rng.normal(size=3)
        slope *= 2 * np.pi * PHASE_TURNS / np.linalg.norm(slope)
        phase = slope[0] * x + slope[1] * y + slope[2] * z + rng.uniform(0, 2 * np.pi)
        maps[..., c] = np.exp(-away / (2 * COIL_REACH**2) + 1j * phase)
    return maps / np.sqrt((np.abs(maps) ** 2).sum(-1, keepdims=True))


def noisy_coils(
    image: Float[np.ndarray, "x y z"],
    sensitivities: Complex[np.ndarray, "x y z c"],
    sigma: float,
    rng: np.random.Generator,
    sampling: Sampling = FULL,
) -> Complex[np.ndarray, "x y z c"]:
    """Each coil's image with i.i.d. Gaussian noise, sd σ in k-space's real and imaginary parts.

    Orthonormal FFTs over the two in-plane axes, so σ is the sd in the coil images too. With
    k-space lines missing, the noise there is dropped and σ still is what the image shows.
    """
    coils = image[..., None] * sensitivities
    kspace = scipy.fft.fft2(coils, axes=(0, 1), norm="ortho")
    draw = rng.standard_normal((2, *kspace.shape), dtype=np.float32)
    keep = sampling.kept(image.shape)
    weight = np.float32(sigma) * keep[:, :, None, None] / np.sqrt(keep.mean(dtype=np.float32))
    kspace += weight * (draw[0] + 1j * draw[1])
    return scipy.fft.ifft2(kspace, axes=(0, 1), norm="ortho").astype(np.complex64)


def root_sum_of_squares(coils: Complex[np.ndarray, "x y z c"]) -> Float[np.ndarray, "x y z"]:
    """The magnitude image √Σ|c|² of the coil images, float32."""
    return np.sqrt((coils.real**2 + coils.imag**2).sum(-1))


def add_kspace(
    image: Float[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    rng: np.random.Generator,
    sampling: Sampling = FULL,
    *,
    sensitivities: Complex[np.ndarray, "x y z c"],
) -> Float[np.ndarray, "x y z"]:
    """The root-sum-of-squares image of noisy coils.

    k-space noise is white, so a map σ that varies is applied as an unfolding amplifies: the
    coils are noised relative to it, (image/σ + unit noise)·σ.
    """
    coils = noisy_coils(image / sigma, sensitivities, 1.0, rng, sampling)
    return (root_sum_of_squares(coils) * sigma).astype(np.float32)
