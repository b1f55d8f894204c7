"""From a complex series to a real one: the smooth phase of each volume is removed.

The real part then has the signal with Gaussian noise of mean zero: no Rician bias.
Source: Eichner et al. 2015 (10.1016/j.neuroimage.2015.07.074), here without a voxel's own value
in the estimate of its phase.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy import ndimage

from dwiser.errors import Code, InputError

WIDTH = 1.2  # voxels, sd of the in-plane Gaussian: of 0.8 … 3 the least error on a tuning phantom
PERIODS = {
    "radians": 2 * np.pi,
    "degrees": 360.0,
    "scanner steps of 2π/4096": 4096.0,
    "milliradians": 2000 * np.pi,
    "scanner steps of 2π/8192": 8192.0,
    "scanner steps of 2π/65536": 65536.0,
}
OVER, FILLED = 1.001, 0.9  # how much of a period the values of a whole series span
LEAST_RADIANS = 0.1  # a span below this is a constant, or in a unit that nobody uses


def as_radians(
    phase: Float[np.ndarray, "x y z v"],
) -> tuple[Float32[np.ndarray, "x y z v"], str]:
    """A phase series in radians, and the unit that it was in.

    The unit is the period that the values fill: what a scanner writes as phase wraps, and the
    background's noise takes every value. An offset of all values does not matter.

    Raises
    ------
    InputError
        For values that fill no known period, or hold NaN or infinite ones.
    """
    low, high = float(phase.min()), float(phase.max())
    span = high - low
    if not np.isfinite(span):
        raise InputError(
            "The phase holds NaN or infinite voxels: replace them first.",
            code=Code.IMAGE_NOT_FINITE,
        )
    for unit, period in PERIODS.items():
        least = LEAST_RADIANS if unit == "radians" else FILLED * period
        if least <= span <= OVER * period:
            return (phase * np.float32(2 * np.pi / period)).astype(np.float32, copy=False), unit
    raise InputError(
        f"The phase goes from {low:g} to {high:g}: these are neither radians nor the steps of a "
        "scanner (a span of 4096, 8192 or 65536): rescale it to radians.",
        code=Code.PHASE_VALUES,
    )


@dataclass(frozen=True, eq=False)
class RealPart:
    """The real part (X, Y, Z, V), and the sd (V,) of the imaginary part in the mask over σ's."""

    data: Float32[np.ndarray, "x y z v"]
    imaginary: Float[np.ndarray, "v"]


def real_part(
    magnitude: Float[np.ndarray, "x y z v"],
    phase: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    width: float = WIDTH,
) -> RealPart:
    """Re(M e^{iφ} e^{−iφ₀}), φ₀ the phase of the in-plane mean of a voxel's neighbours.

    Parameters
    ----------
    phase : radians. width : sd of the Gaussian that weights the neighbours, in voxels.

    Notes
    -----
    A voxel has no part in its own φ₀, so that φ₀ does not follow its noise: where there is no
    signal the real part has mean zero, and no noise floor returns. An error δ of φ₀ costs the
    share 1 − cos δ of the signal, which goes to the imaginary part. That should contain noise
    only; its mean square is returned as a check.
    """
    data = np.empty(magnitude.shape, np.float32)
    imaginary = np.zeros(magnitude.shape[3])
    for v in range(magnitude.shape[3]):
        z = magnitude[..., v] * np.exp(1j * phase[..., v].astype(np.float32))
        around = _neighbours(z.astype(np.complex64), width)
        size = np.abs(around)
        turned = z * np.divide(around.conj(), size, out=np.ones_like(around), where=size > 0)
        data[..., v] = turned.real
        imaginary[v] = float(np.sqrt(np.square(turned.imag[mask], dtype=float).mean()))
    return RealPart(data, imaginary)


def _neighbours(z: np.ndarray, width: float) -> np.ndarray:
    """The in-plane Gaussian mean, less the voxel's own share of it."""
    widths = (width, width, 0)
    tap = np.zeros(2 * int(4 * width + 0.5) + 1)
    tap[len(tap) // 2] = 1
    own_weight = float(ndimage.gaussian_filter1d(tap, width)[len(tap) // 2]) ** 2
    mean: np.ndarray = ndimage.gaussian_filter(z, widths, mode="constant")
    return mean - np.complex64(own_weight) * z
