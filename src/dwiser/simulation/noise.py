"""Noise of known σ: Gaussian, Rician, non-central χ; uniform, g-factor, spatially correlated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from jaxtyping import Bool, Complex, Float

from dwiser.errors import Code, InputError, unknown
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
                f"not {self.partial_fourier:g}.",
                code=Code.ARGUMENT_VALUE,
            )
        if not self.zero_fill >= 1:
            raise InputError(
                f"The zero-fill factor must be at least 1, not {self.zero_fill:g}.",
                code=Code.ARGUMENT_VALUE,
            )
        if self.phase_axis not in (0, 1):
            raise InputError(
                f"The phase-encode axis must be 0 or 1, not {self.phase_axis}.",
                code=Code.ARGUMENT_VALUE,
            )

    def acquired(self, shape: Sequence[int]) -> Bool[np.ndarray, "x y"]:
        """The acquired part of an in-plane k-space.

        Parameters
        ----------
        shape : of the image; the first two axes count.

        Returns
        -------
        (X, Y) bool, in FFT order
        """
        lines = np.ones(tuple(shape[:2]), bool)
        for axis in (0, 1):
            k = np.fft.fftfreq(shape[axis])
            line = np.abs(k) <= 0.5 / self.zero_fill
            if axis == self.phase_axis:
                line &= k >= (0.5 - self.partial_fourier) / self.zero_fill
            lines &= line[:, None] if axis == 0 else line
        return lines


FULL = Sampling()


def complex_noise(
    shape: Sequence[int], rng: np.random.Generator, sampling: Sampling = FULL
) -> Complex[np.ndarray, "x y z"]:
    """Complex Gaussian noise of sd 1 in the real and in the imaginary part.

    With lines missing it is drawn in k-space, set to 0 there, transformed by an orthonormal
    inverse FFT over the two in-plane axes and rescaled to sd 1: correlated between voxels.

    Parameters
    ----------
    shape : (X, Y, Z) of the image.
    rng : draws the noise.
    sampling : which lines were acquired.

    Returns
    -------
    (X, Y, Z) complex64
    """
    white = rng.standard_normal((2, *shape), dtype=np.float32)
    noise = white[0] + 1j * white[1]
    acquired = sampling.acquired(shape)
    if acquired.all():
        return noise
    image = scipy.fft.ifft2(noise * acquired[:, :, None], axes=(0, 1), norm="ortho")
    return (image / np.sqrt(acquired.mean())).astype(np.complex64)


def gfactor_map(shape: Sequence[int], seed: int) -> Float[np.ndarray, "x y z"]:
    """A smooth map of noise amplification, largest near the centre.

    Parameters
    ----------
    shape : (X, Y, Z) of the grid.
    seed : moves the centre a little.

    Returns
    -------
    (X, Y, Z) float32, from 1 far out to 2.5
    """
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
    """The sd of the noise in each voxel.

    Parameters
    ----------
    kind : "uniform" or "gfactor".
    level : the map's mean over ``mask``, in the image's units.
    mask : (X, Y, Z) the object.
    seed : of the g-factor map.

    Returns
    -------
    (X, Y, Z) float32, in the units of ``level``

    Raises
    ------
    InputError
        For another kind.
    """
    if kind == "uniform":
        return np.full(mask.shape, level, np.float32)
    if kind == "gfactor":
        gain = gfactor_map(mask.shape, seed)
        return (gain * np.float32(level / gain[mask].mean())).astype(np.float32)
    raise unknown("σ map", kind, SIGMA_MAPS, code=Code.ARGUMENT_VALUE)


Volume = Float[np.ndarray, "x y z"]


def add_gaussian(
    image: Volume, sigma: Volume, rng: np.random.Generator, sampling: Sampling = FULL
) -> Volume:
    """image + σ n: the real channel, unbiased, below 0 where the signal is at the noise.

    Parameters
    ----------
    image : (X, Y, Z) without noise.
    sigma : (X, Y, Z) sd of one channel's noise, in the image's units.
    rng : draws the noise.
    sampling : which k-space lines were acquired.

    Returns
    -------
    (X, Y, Z) in the image's units
    """
    return image + sigma * complex_noise(image.shape, rng, sampling).real


def add_rician(
    image: Volume, sigma: Volume, rng: np.random.Generator, sampling: Sampling = FULL
) -> Volume:
    """|image + σ (n₁ + i n₂)|: the magnitude of one channel (Gudbjartsson & Patz 1995).

    Parameters
    ----------
    image : (X, Y, Z) without noise.
    sigma : (X, Y, Z) sd of one channel's noise, in the image's units.
    rng : draws the noise.
    sampling : which k-space lines were acquired.

    Returns
    -------
    (X, Y, Z) in the image's units
    """
    return add_nc_chi(image, sigma, rng, sampling, coils=1)


def add_nc_chi(
    image: Volume,
    sigma: Volume,
    rng: np.random.Generator,
    sampling: Sampling = FULL,
    *,
    coils: int,
) -> Volume:
    """Root sum of squares over channels of sd σ each: non-central χ of 2·coils.

    The law depends on the channels' total signal only, so all of it is put in the first
    (Constantinides et al. 1997).

    Parameters
    ----------
    image : (X, Y, Z) without noise.
    sigma : (X, Y, Z) sd of one channel's noise, in the image's units.
    rng : draws the noise.
    sampling : which k-space lines were acquired.
    coils : number of channels.

    Returns
    -------
    (X, Y, Z) in the image's units
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
    """Add noise to every volume, each from its own random stream.

    Parameters
    ----------
    truth : (X, Y, Z, V) without noise; not modified.
    sigma : (X, Y, Z) sd of one channel's noise, in the units of ``truth``.
    add : adds noise to one volume, say ``add_rician``.
    seed : of the noise.
    sampling : which k-space lines were acquired.

    Returns
    -------
    (X, Y, Z, V) in the units of ``truth``
    """
    noisy = np.empty_like(truth)
    for v in range(truth.shape[3]):
        noisy[..., v] = add_to_volume(truth[..., v], v, sigma, add, seed=seed, sampling=sampling)
    return noisy


def add_to_volume(
    image: Volume, v: int, sigma: Volume, add: Adder, *, seed: int, sampling: Sampling = FULL
) -> Volume:
    """Add noise to one volume of a series, from that volume's own random stream.

    Parameters
    ----------
    image : (X, Y, Z) without noise; not modified.
    v : its place in the series.
    sigma : (X, Y, Z) sd of one channel's noise, in the units of ``image``.
    add : adds noise to one volume, say ``add_rician``.
    seed : of the noise.
    sampling : which k-space lines were acquired.

    Returns
    -------
    (X, Y, Z) in the units of ``image``
    """
    return add(np.ascontiguousarray(image), sigma, stream(seed, "noise", v), sampling)
