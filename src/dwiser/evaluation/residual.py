"""Without truth: what was removed, raw − denoised, in units of the noise.

If noise and nothing else was removed, the residual is white, has the noise's variance or less,
and does not show the anatomy (Manzano-Patron et al. 2024,
10.1162/imag_a_00060; Veraart et al. 2016).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from dwiser.errors import Code, InputError
from dwiser.evaluation.groups import in_mask
from dwiser.evaluation.normality import k_squared
from dwiser.evaluation.records import measured
from dwiser.evaluation.usable import usable_voxels
from dwiser.machine import side_by_side
from dwiser.memmap import allocate_like
from dwiser.prepare.lookup import Lookup
from dwiser.prepare.moments import magnitude_moments
from dwiser.seeds import stream

READINGS = ("signal", "mean", "gaussian")
FLOOR_SNR = 10.0  # beyond it the Rician bias is below 0.05 σ and all readings agree
SAMPLE = 5000  # values for the normality statistic: of millions, any deviation is "significant"
FEWEST_PAIRS = 100  # of neighbours, over all volumes
FEWEST_VOLUMES = 4  # that leave three pairs beside the successive ones
UNCHANGED = 0.02  # of σ: a residual this small is no residual
SURE = 0.99  # quantile of the χ² law above which more was removed than noise explains
READING_SAMPLE = 400_000  # values at low signal that decide the reading
HIGHEST, FINENESS = 60.0, 0.01  # of the table of the magnitude's law, in σ

_ONE_VOLUME = "there is one volume only, or nothing was removed"
_FEW_VOLUMES = "fewer than 4 volumes, or nothing was removed"
_ALONE = "fewer than 100 neighbours in the mask, or nothing was removed"


@dataclass(frozen=True, eq=False)
class Residual:
    """What was removed from the n voxels of the mask, in units of the noise.

    Parameters
    ----------
    standard : (n, v) (raw − E)/SD, the Rician expectation and sd of a raw voxel if the
        denoised one is right; r/σ for Gaussian noise.
    reading : what the denoised value is taken for. "signal": the signal without noise, E is
        its Rician mean. "mean": the Rician mean itself (no correction of the Rician bias), E is
        the value. "gaussian": additive noise, E is the value and SD is σ. The one under
        which the raw data are likeliest.
    mask : (x, y, z) the voxels used: in the mask, σ > 0, not all zero in the raw scan, and
        none where the scanner suppressed the background: where the mean over the DWIs lies
        clearly below the magnitude's floor, σ√(π/2) for one channel, no expectation holds.
    coils : the channels behind the raw magnitude.
    suppressed : how many voxels were excluded for that.
    """

    standard: Float[np.ndarray, "n v"]
    reading: str
    mask: Bool[np.ndarray, "x y z"]
    coils: float | int = 1
    suppressed: int = 0


@dataclass(frozen=True)
class Moments:
    """r/σ of one group: mean, sd, skewness, excess kurtosis, and D'Agostino–Pearson's K².

    K² comes from 5000 values drawn at random; 95 % of normal samples stay below 5.99.
    """

    mean: float = measured("σ")
    sd: float = measured("σ")
    skewness: float | None = measured("", "nothing was removed here")
    kurtosis: float | None = measured("", "nothing was removed here")
    k2: float | None = measured("", "nothing was removed here, or fewer than 20 values")


@dataclass(frozen=True)
class Whiteness:
    """Correlation of the residual with its neighbour along x, y, z and in the next volume.

    volume_error: standard error of the last, the spread of all other pairs of volumes over the
    root of the number of successive ones. volume_fit: the mean correlation of
    any two volumes after a fit across them that removes at least their mean, −1/(V − 1).
    """

    x: float | None = measured("", _ALONE)
    y: float | None = measured("", _ALONE)
    z: float | None = measured("", _ALONE)
    volume: float | None = measured("", _ONE_VOLUME)
    volume_error: float | None = measured("", _FEW_VOLUMES, default=None)
    volume_fit: float | None = measured("", _ONE_VOLUME, default=None)


@dataclass(frozen=True)
class Energy:
    """Mean square of the standardised residual, and where it exceeds what noise explains.

    excess: share of voxels whose mean square over the volumes lies above the 99 % point of
    its χ² law; pure noise gives 0.01.
    """

    mean: float = measured("σ²")
    excess: float = measured("")


@lru_cache(maxsize=8)
def _law(reading: str, coils: float | int) -> Lookup:
    """Expectation and sd of a raw voxel, σ = 1, by the denoised value; float32, as the data."""
    values = np.arange(0, HIGHEST + FINENESS, FINENESS)
    mean, variance = magnitude_moments(values, coils)
    if reading == "mean":  # the value is the mean itself: the sd of the signal with this mean
        variance = np.interp(np.interp(values, mean, values), values, variance)
        mean = values
    return Lookup(np.stack([mean, np.sqrt(variance)]).astype(np.float32), 0.0, FINENESS)


def expected_raw(
    snr: np.ndarray, reading: str, coils: float | int
) -> tuple[np.ndarray, np.ndarray]:
    """Expectation and sd (in σ) of a raw voxel whose denoised value is ``snr`` (in σ)."""
    if reading == "gaussian":
        return snr, np.ones_like(snr)
    value, sd = _law(reading, coils).at(snr)
    return (snr if reading == "mean" else np.where(snr > HIGHEST, snr, value)), sd


def residual(
    raw: Float[np.ndarray, "x y z v"],
    denoised: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    coils: float | int = 1,
    dwis: Int[np.ndarray, "m"] | None = None,
    *,
    threads: int = 1,
) -> Residual:
    """The residual in units of the noise, σ may vary in space; definitions at `Residual`.

    ``coils`` are the channels behind the raw magnitude, which set its noise floor. ``dwis`` are
    the volumes whose mean shows a suppressed background, all by default.

    Raises
    ------
    CannotMeasure
        Where σ is 0 or unknown in the whole mask.
    InputError
        For NaN or infinite values in the denoised image.
    """
    usable, suppressed = usable_voxels(raw, mask, sigma, coils, dwis, threads=threads)
    reading = _likeliest(raw, denoised, usable, sigma, coils, threads)
    standard = np.empty((raw.shape[3], int(usable.sum())), np.float32).T

    def of_volume(v: int) -> None:
        pair = raw[..., v], denoised[..., v]
        standard[:, v] = _standardised(*pair, usable, sigma, reading, coils)

    list(side_by_side(of_volume, range(raw.shape[3]), threads))
    return Residual(standard, reading, usable, coils, suppressed)


def standardised_series(
    raw: Float[np.ndarray, "x y z v"],
    denoised: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    coils: float | int = 1,
    dwis: Int[np.ndarray, "m"] | None = None,
) -> Float[np.ndarray, "x y z v"]:
    """The standardised residual of `residual` as an image, a volume at a time; no unit.

    0 outside the voxels that `residual` uses. In memory, or mapped if ``raw`` is.

    Raises
    ------
    CannotMeasure, InputError
        As `residual` does.
    """
    usable, _ = usable_voxels(raw, mask, sigma, coils, dwis)
    reading = _likeliest(raw, denoised, usable, sigma, coils)
    image = allocate_like(raw)
    for v in range(raw.shape[3]):
        pair = raw[..., v], denoised[..., v]
        image[..., v] = 0
        image[..., v][usable] = _standardised(*pair, usable, sigma, reading, coils)
    return image


def _standardised(
    raw: np.ndarray,
    denoised: np.ndarray,
    where: np.ndarray,
    sigma: np.ndarray,
    reading: str,
    coils: float | int,
) -> np.ndarray:
    """(raw − E)/SD of one volume's voxels ``where``."""
    noise = sigma[where].astype(np.float32)
    value, sd = expected_raw(denoised[where] / noise, reading, coils)
    return (raw[where] / noise - value) / sd


def removed(
    raw: Float[np.ndarray, "x y z v"],
    denoised: Float[np.ndarray, "x y z v"],
    sigma: Float[np.ndarray, "x y z"],
    where: Bool[np.ndarray, "x y z"],
    volumes: Iterable[Any],
) -> Iterator[Float[np.ndarray, "n"]]:
    """r/σ with r = raw − denoised, of one volume after the other."""
    noise = sigma[where].astype(np.float32)
    for v in volumes:
        yield (raw[..., v][where].astype(np.float32) - denoised[..., v][where]) / noise


def _likeliest(
    raw: np.ndarray,
    denoised: np.ndarray,
    where: np.ndarray,
    sigma: np.ndarray,
    coils: float | int,
    threads: int = 1,
) -> str:
    """The reading under which the raw data are likeliest, from some voxels at low signal.

    Raises
    ------
    InputError
        For NaN or infinite values in the denoised image.
    """
    noise = sigma[where].astype(np.float32)

    def counts(v: int) -> tuple[int, int]:
        column = denoised[..., v][where]
        return int((column / noise < FLOOR_SNR).sum()), int((~np.isfinite(column)).sum())

    of_volumes = list(side_by_side(counts, range(raw.shape[3]), threads))
    count, bad = (sum(kind) for kind in zip(*of_volumes, strict=True))
    if bad:
        raise InputError(
            f"The denoised image holds {bad} NaN or infinite values in the mask.",
            code=Code.IMAGE_NOT_FINITE,
        )
    if not count:
        return "gaussian"
    every = max(1, count // READING_SAMPLE)
    some, few = np.zeros(where.shape, bool), noise[::every]
    some.flat[np.flatnonzero(where)[::every]] = True
    noisy, clean = side_by_side(
        lambda data: in_mask(data, some) / few[:, None], (raw, denoised), threads
    )
    low = clean < FLOOR_SNR
    a, d = noisy[low], clean[low]
    cost = {}
    for reading in READINGS:
        value, sd = expected_raw(d, reading, coils)
        cost[reading] = float((((a - value) / sd) ** 2 + 2 * np.log(sd)).mean(dtype=float))
    return min(cost, key=lambda name: cost[name])


def moments(volumes: Iterable[Float[np.ndarray, "n"]], count: int, *, seed: int = 0) -> Moments:
    """Mean, sd, skewness, excess kurtosis and K² of r/σ of ``count`` volumes; K² of some values."""
    rng, some = stream(seed, "normality"), []
    powers, values = np.zeros(4), 0
    for at, volume in enumerate(volumes):  # one in double precision at a time, for memory
        size = len(volume)
        if not at:
            drawn = rng.integers(0, size * count, min(SAMPLE, size * count))
        some.append(volume[drawn[drawn // size == at] % size].astype(float))
        column = volume.astype(float)
        square = column**2
        powers += column.sum(), square.sum(), (square * column).sum(), (square**2).sum()
        values += size
    mean, second, third, fourth = powers / values
    variance = max(0.0, second - mean**2)
    if variance**0.5 < UNCHANGED:
        return Moments(float(mean), float(variance**0.5), None, None, None)
    fourth += -4 * mean * third + 6 * mean**2 * second - 3 * mean**4  # about the mean
    third += -3 * mean * second + 2 * mean**3
    # of fewer than 20 values the test's kurtosis part is not valid
    k2 = k_squared(np.concatenate(some)) if values >= 20 else None
    skewness, kurtosis = third / variance**1.5, fourth / variance**2 - 3
    return Moments(float(mean), float(variance**0.5), float(skewness), float(kurtosis), k2)


def whiteness(
    standard: Float[np.ndarray, "n v"], mask: Bool[np.ndarray, "x y z"], *, in_space: bool = False
) -> Whiteness:
    """Lag-1 autocorrelation along each axis (both voxels in the mask) and across volumes.

    ``in_space``: not across the volumes.

    The mean of every volume is subtracted first, so that a shift of one volume does not count.
    """
    place = np.full(mask.shape, -1)
    place[mask] = np.arange(len(standard))
    pairs = []
    for axis in range(3):
        a = place.take(range(mask.shape[axis] - 1), axis).ravel()
        b = place.take(range(1, mask.shape[axis]), axis).ravel()
        both = (a >= 0) & (b >= 0)
        pairs.append((a[both], b[both]))
    products, before = np.zeros((4, 3)), None  # Σab, Σa², Σb² along x, y, z and the volumes
    for column in standard.T:
        z = column - column.mean()
        for product, (a, b) in zip(products, pairs, strict=False):
            product += _products(z[a], z[b])
        if before is not None and not in_space:
            products[3] += _products(before, z)
        before = z
    counts = [len(a) * standard.shape[1] for a, _ in pairs]
    x, y, z = (
        _lag(p) if count >= FEWEST_PAIRS else None
        for p, count in zip(products[:3], counts, strict=True)
    )
    volumes = standard.shape[1]
    if volumes < 2 or in_space:
        return Whiteness(x, y, z, None)
    error = _successive_error(standard) if volumes >= FEWEST_VOLUMES else None
    return Whiteness(x, y, z, _lag(products[3]), error, -1 / (volumes - 1))


def _successive_error(standard: Float[np.ndarray, "n v"]) -> float | None:
    """Standard error of the mean correlation of successive volumes, from all other pairs."""
    mean = standard.mean(0, dtype=float)
    covariance = (standard.T @ standard) / len(standard) - np.outer(mean, mean)
    power = np.sqrt(np.diag(covariance).clip(0))
    if not (power > 0).all():
        return None
    others = (covariance / np.outer(power, power))[np.triu_indices(len(mean), 2)]
    return float(others.std(ddof=1) / (len(mean) - 1) ** 0.5)


def _products(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    return float(a @ b), float(a @ a), float(b @ b)


def _lag(products: np.ndarray) -> float | None:
    together, first, second = products
    power = float(first * second) ** 0.5
    return float(together) / power if power > 0 else None


def energy(
    standard: Float[np.ndarray, "n v"], volumes: Int[np.ndarray, "m"] | None = None
) -> Energy:
    """Mean square over volumes in each voxel, against its χ² law with m degrees of freedom."""
    chosen = np.arange(standard.shape[1]) if volumes is None else volumes
    local = np.zeros(len(standard))
    for v in chosen:
        local += np.square(standard[:, v])
    local /= len(chosen)
    limit = scipy.special.chdtri(len(chosen), 1 - SURE) / len(chosen)
    return Energy(float(local.mean()), float((local > limit).mean()))
