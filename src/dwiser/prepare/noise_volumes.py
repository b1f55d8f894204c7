"""Volumes acquired without excitation: noise alone, from which σ and the channels are read."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy import ndimage

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.prepare.coils import ONE, channels_of_ratio
from dwiser.prepare.computed_volumes import FEWEST, Differences
from dwiser.prepare.volume_roles import ranges
from dwiser.scan import Scan

DARK = 0.5  # of the brightest volume, above which a b0 holds signal
AS_DARK = 1.05  # times the darkest DWI
CONTRAST = 0.25  # correlation with the object's edges, above which there is signal
SAMPLES = 600.0  # behind σ at a voxel: its sd is 2 %
OFF = 0.03  # of the usual size of the noise, beyond which a noise volume is another's


@dataclass(frozen=True, eq=False)
class NoiseOnly:
    """σ (X, Y, Z) of one channel in the data's units, channels, and the volumes left out."""

    sigma: Float32[np.ndarray, "x y z"]
    coils: float
    outliers: tuple[int, ...]


def noise_volumes(
    scan: Scan, volumes: Int[np.ndarray, "m"], differences: Differences
) -> tuple[int, ...]:
    """Of ``volumes``, the b0s that hold noise alone.

    Diffusion weighting only darkens: a b0 as dark as the darkest DWI, far darker than the
    brightest volume, and without the object's edges, is none.
    """
    b0s = [int(v) for v in volumes if scan.gradients.is_b0[v]]
    if not b0s or len(differences.here) < FEWEST:
        return ()
    level = {int(v): float(differences.here[:, v].mean()) for v in volumes}
    dwis = [v for v in level if v not in b0s]
    darkest = min((level[v] for v in dwis), default=np.inf)
    dark = [v for v in b0s if level[v] < min(DARK * max(level.values()), AS_DARK * darkest)]
    bright = [v for v in level if v not in dark]
    if not dark or not bright:
        return ()
    edges = np.mean([differences.step(v) for v in bright], axis=0)
    return tuple(v for v in dark if _correlation(differences.step(v), edges) < CONTRAST)


def noise_only(noise: Float[np.ndarray, "x y z n"], numbers: tuple[int, ...]) -> NoiseOnly:
    """σ and channels from volumes of noise alone; ``numbers`` are what messages call them.

    Notes
    -----
    A magnitude of n channels without signal has the mean square 2nσ², and a variance over its
    squared mean that depends on n alone; both from local means over the volumes and a Gaussian
    neighbourhood with enough samples. A volume whose size differs by more than 3 % from the
    median of the volumes was taken otherwise (first volumes before the steady state are), and
    is left out.

    Raises
    ------
    InputError
        For volumes that are zero everywhere.
    """
    alive = (noise > 0).any(3)
    if not alive.any():
        raise InputError(
            "The noise volumes hold zeros only: give volumes with noise.", code=Code.NOISE_VALUES
        )
    size = np.sqrt(np.square(noise[alive], dtype=float).mean(0))
    usual = float(np.median(size))
    off = np.abs(size / usual - 1) > OFF if len(size) > 2 else np.zeros(len(size), bool)
    outliers = tuple(n for n, is_off in zip(numbers, off, strict=True) if is_off)
    if outliers:
        most = float(np.abs(size[off] / usual - 1).max())
        warnings.warn(
            f"Of the noise volumes, {ranges(outliers)} (counted from 0) differ in size from the "
            f"others by up to {most:.0%}: σ is read from the others.",
            DwiserWarning,
            stacklevel=2,
        )
    used = noise[..., ~off].astype(float)
    width = float(np.cbrt(SAMPLES / used.shape[3]) / (2 * np.sqrt(np.pi)))
    weight = ndimage.gaussian_filter(alive.astype(float), width)

    def local(values: Float[np.ndarray, "x y z"]) -> Float[np.ndarray, "x y z"]:
        smooth: np.ndarray = ndimage.gaussian_filter(np.where(alive, values, 0), width)
        return smooth / weight.clip(1e-6)

    mean, square = local(used.mean(3)), local(np.square(used).mean(3))
    if used.shape[3] > 1:  # voxel by voxel: no change of σ from place to place is in it
        variance, centre = used[alive].var(1, ddof=1).mean(), np.square(used[alive].mean(1)).mean()
        ratio = float(variance / (centre - variance / used.shape[3]))
    else:
        ratio = float(np.median(square[alive] / np.square(mean[alive]))) - 1
    coils = channels_of_ratio(ratio)
    coils = 1.0 if coils < ONE else round(coils, 2)
    sigma = np.sqrt(square / (2 * coils))
    sigma[weight < 0.01] = float(np.median(sigma[alive]))  # far from any noise
    return NoiseOnly(sigma.astype(np.float32), coils, outliers)


def _correlation(a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"]) -> float:
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
