"""Noise of known σ: Gaussian, Rician, non-central χ; uniform, g-factor, spatially correlated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from jaxtyping import Bool, Complex, Float

from dwiser.errors import InputError, unknown
from dwiser.seeds import stream

G_RANGE = (1.0, 2.5)  # edge to centre, as SENSE 2 shows; see the g-factor of sherbrooke_1p8mm
G_CENTRE_JITTER = 0.1  # of the half field of view, so that two seeds have two maps
G_WIDTH = 0.55  # sd of the bump, of the half field of view
G_FALL = 1.0  # radians to the first and last slice: the bump falls as their cosine
SIGMA_MAPS = ("uniform", "gfactor")


@dataclass(frozen=True)
class Sampling:
    """Which part of k-space was acquired, for noise correlated in space.

    Parameters
    ----------
    partial_fourier : share of the phase-encode lines acquired, above 0.5 and up to 1.
    zero_fill : in-plane matrix over the acquired one, at least 1 (1.2: zeros around).
    phase_axis : the phase-encode axis, 0 or 1.

    Raises
    ------
    InputError
        For values out of range.
    """

    partial_fourier: float | int = 1.0
    zero_fill: float | int = 1.0
    phase_axis: int = 1

    def __post_init__(self) -> None:
        if not 0.5 < self.partial_fourier <= 1:
            raise InputError(
                f"The partial Fourier factor must be above 0.5 and at most 1, "
                f"not {self.partial_fourier:g}."
            )
        if not self.zero_fill >= 1:
            raise InputError(f"The zero-fill factor must be at least 1, not {self.zero_fill:g}.")
        if self.phase_axis not in (0, 1):
            raise InputError(f"The phase-encode axis must be 0 or 1, not {self.phase_axis}.")

    def kept(self, shape: Sequence[int]) -> Bool[np.ndarray, "x y"]:
        """The acquired part of an in-plane k-space of ``shape``, in FFT order."""
        keep = np.ones(tuple(shape[:2]), bool)
        for axis in (0, 1):
            k = np.fft.fftfreq(shape[axis])
            line = np.abs(k) <= 0.5 / self.zero_fill
            if axis == self.phase_axis:
                line &= k >= (0.5 - self.partial_fourier) / self.zero_fill
            keep &= line[:, None] if axis == 0 else line
        return keep


FULL = Sampling()


def complex_noise(
    shape: Sequence[int], rng: np.random.Generator, sampling: Sampling = FULL
) -> Complex[np.ndarray, "x y z"]:
    """Complex Gaussian noise, sd 1 in the real and in the imaginary part, complex64.

    With lines missing it is drawn in k-space, zeroed there, brought back by an orthonormal
    inverse FFT over the two in-plane axes and rescaled to sd 1: correlated between voxels.
    """
    white = rng.standard_normal((2, *shape), dtype=np.float32)
    noise = white[0] + 1j * white[1]
    keep = sampling.kept(shape)
    if keep.all():
        return noise
    image = scipy.fft.ifft2(noise * keep[:, :, None], axes=(0, 1), norm="ortho")
    return (image / np.sqrt(keep.mean())).astype(np.complex64)


def gfactor_map(shape: Sequence[int], seed: int) -> Float[np.ndarray, "x y z"]:
    """A smooth map of noise amplification, largest near the centre and 1 far out, float32."""
    rng = stream(seed, "g-factor")
    centre = rng.uniform(-G_CENTRE_JITTER, G_CENTRE_JITTER, 2)
    x, y = (
        (np.arange(n) - (n - 1) / 2) / (n / 2) - c for n, c in zip(shape[:2], centre, strict=True)
    )
    low, high = G_RANGE
    bump = np.exp(-(x[:, None] ** 2 + y**2) / (2 * G_WIDTH**2))
    z = (np.arange(shape[2]) - (shape[2] - 1) / 2) / (shape[2] / 2)
    return (low + (high - low) * bump[:, :, None] * np.cos(G_FALL * z)).astype(np.float32)


def sigma_map(
    kind: str, level: float, mask: Bool[np.ndarray, "x y z"], seed: int
) -> Float[np.ndarray, "x y z"]:
    """The sd of the noise in each voxel, its mean over ``mask`` being ``level``, float32.

    Raises
    ------
    InputError
        For a kind other than "uniform" and "gfactor".
    """
    if kind == "uniform":
        return np.full(mask.shape, level, np.float32)
    if kind == "gfactor":
        gain = gfactor_map(mask.shape, seed)
        return (gain * np.float32(level / gain[mask].mean())).astype(np.float32)
    raise unknown("σ map", kind, SIGMA_MAPS)


Volume = Float[np.ndarray, "x y z"]


def add_gaussian(
    image: Volume, sigma: Volume, rng: np.random.Generator, sampling: Sampling = FULL
) -> Volume:
    """image + σ n: the real channel, unbiased, below 0 where the signal is at the noise."""
    return image + sigma * complex_noise(image.shape, rng, sampling).real


def add_rician(
    image: Volume, sigma: Volume, rng: np.random.Generator, sampling: Sampling = FULL
) -> Volume:
    """|image + σ (n₁ + i n₂)|: the magnitude of one channel (Gudbjartsson & Patz 1995)."""
    return add_nc_chi(image, sigma, rng, sampling, coils=1)


def add_nc_chi(
    image: Volume,
    sigma: Volume,
    rng: np.random.Generator,
    sampling: Sampling = FULL,
    *,
    coils: int,
) -> Volume:
    """Root sum of squares over ``coils`` channels of sd σ each: non-central χ of 2·coils.

    The law depends on the channels' total signal only, so all of it is put in the first
    (Constantinides et al. 1997).
    """
    power = np.zeros(image.shape, np.float32)
    for coil in range(coils):
        channel = sigma * complex_noise(image.shape, rng, sampling)
        if coil == 0:
            channel = channel + image
        power += channel.real**2 + channel.imag**2
    return np.sqrt(power)


Adder = Callable[[Volume, Volume, np.random.Generator, Sampling], Volume]


def add_to_series(
    truth: Float[np.ndarray, "x y z v"],
    sigma: Volume,
    add: Adder,
    *,
    seed: int,
    sampling: Sampling = FULL,
) -> Float[np.ndarray, "x y z v"]:
    """Noise on every volume, each from a stream of its own; ``truth`` is not touched."""
    noisy = np.empty_like(truth)
    for v in range(truth.shape[3]):
        noisy[..., v] = add(
            np.ascontiguousarray(truth[..., v]), sigma, stream(seed, "noise", v), sampling
        )
    return noisy
