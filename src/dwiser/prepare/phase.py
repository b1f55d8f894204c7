"""From a complex series to a real one: the smooth phase of each volume is removed.

The real part then has the signal with Gaussian noise of mean zero: no Rician bias.
Source: Eichner et al. 2015 (10.1016/j.neuroimage.2015.07.074), here without a voxel's own value
in the estimate of its phase.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Complex, Float, Float32
from scipy import fft, ndimage

from dwiser.errors import Code, InputError
from dwiser.memmap import allocate_like

WIDTH = 1.2  # voxels, sd of the in-plane Gaussian: of 0.8 … 3 the least error on a tuning phantom
BLOCK = 8  # voxels along x that are of one half of a slice
PERIODS = {
    "radians": 2 * np.pi,
    "units of π": 2.0,
    "cycles": 1.0,
    "degrees": 360.0,
    "scanner steps of 2π/4096": 4096.0,
    "milliradians": 2000 * np.pi,
    "scanner steps of 2π/8192": 8192.0,
    "scanner steps of 2π/65536": 65536.0,
}
SMALL = ("units of π", "cycles")  # a phase in radians without wraps may have their span too
OVER, FILLED = 1.001, 0.9  # how much of a period the values of a whole series span
PADDING, NEWTON_STEPS = 2, 4  # of a slice's Fourier transform; from its maximum to the ramp
LEAST_WRAPS = 0.001  # of neighbours, more than half a period apart: 0.25 in noise alone


def as_radians(
    phase: Float[np.ndarray, "x y z v"], mask: Bool[np.ndarray, "x y z"] | None = None
) -> tuple[Float32[np.ndarray, "x y z v"], str]:
    """A phase series in radians, and the unit that it was in.

    The unit is the period that the values fill: what a scanner writes as phase wraps, and the
    background's noise takes every value. An offset of all values does not matter. A span of 1 or
    2 is a period only where neighbours wrap: steps of more than half of it. Without wraps it may
    be radians or not, and is refused.

    Parameters
    ----------
    mask : outside it NaN is allowed, and becomes 0.

    Raises
    ------
    InputError
        For values that fill no known period, or hold NaN or infinite ones in the mask.
    """
    finite = np.isfinite(phase)
    if not finite.all():
        if mask is None or not finite[mask].all():
            raise InputError(
                "The phase holds NaN or infinite voxels: replace them first.",
                code=Code.IMAGE_NOT_FINITE,
            )
        phase = np.where(finite, phase, np.float32(0))
    low, high = (float(edge) for edge in (phase[finite].min(), phase[finite].max()))
    unit = _unit(high - low, phase)
    if unit is not None:
        return (phase * np.float32(2 * np.pi / PERIODS[unit])).astype(np.float32, copy=False), unit
    if low == high:
        raise InputError(
            f"The phase is {low + 0.0:g} everywhere: give the phase image that belongs to the "
            "magnitude.",
            code=Code.PHASE_VALUES,
        )
    goes = f"The phase goes from {low + 0.0:g} to {high + 0.0:g}"
    if high - low <= OVER * PERIODS["units of π"]:
        raise InputError(
            f"{goes} and never wraps, so that its unit cannot be told (radians, units of π or "
            "cycles): give magnitude and phase as one complex image in place of the series.",
            code=Code.PHASE_VALUES,
        )
    raise InputError(
        f"{goes}: these are neither radians, units of π, cycles nor the steps of a scanner (a "
        "span of 4096, 8192 or 65536): rescale it to radians.",
        code=Code.PHASE_VALUES,
    )


def _unit(span: float, phase: Float[np.ndarray, "x y z v"]) -> str | None:
    for unit, period in PERIODS.items():
        least = OVER * PERIODS["units of π"] if unit == "radians" else FILLED * period
        fills = least <= span <= OVER * period
        if fills and (unit not in SMALL or _wraps(phase, period) >= LEAST_WRAPS):
            return unit
    return None


def _wraps(phase: Float[np.ndarray, "x y z v"], period: float) -> float:
    """The share of neighbours along x that are more than half a period apart.

    Voxels of exactly 0 do not count: a background that somebody masked has edges, not wraps.
    """
    pairs = wraps = 0
    for v in range(phase.shape[3]):
        first, second = phase[:-1, ..., v], phase[1:, ..., v]
        known = (first != 0) & (second != 0)
        pairs += int(known.sum())
        wraps += int((known & (np.abs(second - first) > period / 2)).sum())
    return wraps / max(pairs, 1)


@dataclass(frozen=True)
class Rephasing:
    """How the phase φ₀ that is removed is estimated.

    Parameters
    ----------
    how : "window", the phase of the in-plane mean of a voxel's neighbours; "slice", a constant
        and a ramp in each slice of each volume; "none", φ₀ = 0: it was removed before.
    width : of the window, sd of the Gaussian that weights the neighbours, in voxels.
    """

    how: Literal["window", "slice", "none"] = "window"
    width: float = WIDTH

    def removed(self, z: Complex[np.ndarray, "x y z"]) -> Complex[np.ndarray, "x y z"]:
        """e^{iφ₀} of one volume.

        Parameters
        ----------
        z : the complex volume.

        Returns
        -------
        (X, Y, Z) complex64, of size 1
        """
        if self.how == "none":
            return np.ones_like(z)
        if self.how == "slice":
            return _waves(z)
        around = _neighbours_along_slope(z, self.width)
        size = np.abs(around)
        return np.divide(around, size, out=np.ones_like(around), where=size > 0)


WINDOW = Rephasing()  # unless a method is set otherwise


@dataclass(frozen=True, eq=False)
class RealPart:
    """The real part (X, Y, Z, V), and the sd (V,) of the imaginary part in the mask over σ's.

    ``phase`` (X, Y, Z, V) is φ₀ in radians, where it was asked for.
    """

    data: Float32[np.ndarray, "x y z v"]
    imaginary: Float[np.ndarray, "v"]
    phase: Float32[np.ndarray, "x y z v"] | None = None


def real_part(
    magnitude: Float[np.ndarray, "x y z v"],
    phase: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    rephasing: Rephasing = WINDOW,
    *,
    with_phase: bool = False,
) -> RealPart:
    """Re(M e^{iφ} e^{−iφ₀}), φ₀ as ``rephasing`` estimates it.

    Parameters
    ----------
    phase : radians. with_phase : return φ₀ too.

    Notes
    -----
    A voxel has no part (of a slice's wave: next to none) in its own φ₀, so that φ₀ does not
    follow its noise: where there is no signal the real part has mean zero, and no noise floor
    returns. An error δ of φ₀ costs the share 1 − cos δ of the signal, which goes to the imaginary
    part. That should contain noise only; its mean square is returned as a check.
    """
    data = allocate_like(magnitude)
    angle = allocate_like(magnitude) if with_phase else None
    imaginary = np.zeros(magnitude.shape[3])
    for v in range(magnitude.shape[3]):
        turn = np.exp(1j * phase[..., v].astype(np.float32))
        z = (magnitude[..., v] * turn).astype(np.complex64)
        removed = rephasing.removed(z)
        turned = z * removed.conj()
        data[..., v] = turned.real
        if angle is not None:
            angle[..., v] = np.angle(removed)
        imaginary[v] = float(np.sqrt(np.square(turned.imag[mask], dtype=float).mean()))
    return RealPart(data, imaginary, angle)


def plane_wave(z: Complex[np.ndarray, "x y"]) -> Complex[np.ndarray, "x y"]:
    """e^{i(a + k·r)} of a slice: the wave that the slice resembles most, max |Σ z e^{−ik·r}|.

    Parameters
    ----------
    z : the slice; all zero gives 1.

    Returns
    -------
    (X, Y) complex64, of size 1

    Notes
    -----
    The maximum of the zero-padded Fourier transform, then Newton's steps on ln |Σ z e^{−ik·r}|.
    """
    if not z.any():
        return np.ones_like(z)
    padded = tuple(PADDING * n for n in z.shape)
    spectrum = np.abs(fft.fft2(z, padded))
    place = np.unravel_index(int(spectrum.argmax()), padded)
    k = [2 * np.pi * fft.fftfreq(n)[i] for n, i in zip(padded, place, strict=True)]
    x, y = (np.arange(n) - (n - 1) / 2 for n in z.shape)
    for _ in range(NEWTON_STEPS):
        rest = z * np.outer(np.exp(-1j * k[0] * x), np.exp(-1j * k[1] * y))
        total, along, across = rest.sum(), rest.sum(1), rest.sum(0)
        first = np.array([x @ along, y @ across]) / total
        mixed = (x @ rest @ y) / total
        second = np.array([[x**2 @ along / total, mixed], [mixed, y**2 @ across / total]])
        curvature = (second - np.outer(first, first)).real
        if np.linalg.eigvalsh(curvature)[0] <= 0:  # beyond the maximum's own hill
            break
        k = list(np.array(k) + np.linalg.solve(curvature, first.imag))
    wave = np.outer(np.exp(1j * k[0] * x), np.exp(1j * k[1] * y))
    total = (z * wave.conj()).sum()
    return np.asarray(wave * (total / max(abs(total), np.finfo(float).tiny)), np.complex64)


def _waves(z: np.ndarray) -> np.ndarray:
    return np.stack([plane_wave(z[:, :, k]) for k in range(z.shape[2])], axis=2)


def _neighbours_along_slope(z: np.ndarray, width: float) -> np.ndarray:
    """The mean of a voxel's neighbours, the slice's wave taken off before and put back after.

    At the object's edge neighbours lie on one side, and a slope of the phase would turn their
    mean from the voxel's own phase. A slice near its noise has no wave to be seen: it is taken
    off where the means become larger by it. Either half of the slice gets what the other half
    shows, so that no voxel has a part in its own phase.
    """
    around = _neighbours(z, width)
    half = (np.arange(z.shape[0]) // BLOCK % 2 == 0)[:, None, None]
    for own in (half, ~half):
        others = np.where(own, np.complex64(0), z)
        wave = _waves(others)
        level = _energy(_neighbours(others * wave.conj(), width))
        larger = own & (level > _energy(_neighbours(others, width)))
        if larger.any():
            around = np.where(larger, wave * _neighbours(z * wave.conj(), width), around)
    return around


def _energy(z: np.ndarray) -> np.ndarray:
    """Of each slice."""
    return np.square(np.abs(z)).sum((0, 1))


def _neighbours(z: np.ndarray, width: float) -> np.ndarray:
    """The in-plane Gaussian mean, less the voxel's own share of it."""
    widths = (width, width, 0)
    tap = np.zeros(2 * int(4 * width + 0.5) + 1)
    tap[len(tap) // 2] = 1
    own_weight = float(ndimage.gaussian_filter1d(tap, width)[len(tap) // 2]) ** 2
    mean: np.ndarray = ndimage.gaussian_filter(z, widths, mode="constant")
    return mean - np.complex64(own_weight) * z
