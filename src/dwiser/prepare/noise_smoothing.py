"""A σ map from patches: smoothed as far as σ is smooth, judged by two independent estimates."""

from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from dwiser.machine import side_by_side
from dwiser.prepare.noise_patches import SPACING, NoisePatches
from dwiser.prepare.smooth import sd_in_voxels

WIDEST_MM = 15.0  # FWHM; the noise of a coil array varies slowly
NARROWER = 0.8  # each width over the one before
NARROWEST = 2.5  # voxels: patch centres are three apart
ACCURATE = 0.025  # an error of σ that changes nothing: no need for a narrower map
BEST = 1.25  # or an error at most this much above the least
FALLBACK = 1e-3  # of the highest weight: below it the next wider map counts
OUTLYING = 3.0  # robust sds: local signal raises σ in a few patches


def smoothing_width(patches: NoisePatches, voxel_size: tuple[float, ...]) -> float:
    """The FWHM in mm of the Gaussian that σ is smoothed by: 15 mm, less where σ changes sooner.

    Notes
    -----
    Either half of the directions gives log σ with noise of its own, L₁ and L₂, of variance τ².
    With S the smoothing, E(S L₁ − L₂)² is bias² + var(S L₁) + τ², and E(S L₁ − S L₂)² twice
    var(S L₁), of which the mean of both halves has half: the error of the map follows without
    the truth. The widest Gaussian is taken whose error is below 2.5 %, or 1.25 times the least.
    """
    widths = _widths(voxel_size)
    if patches.halves is None:
        return widths[0]
    good = (patches.sigma > 0) & (patches.halves > 0).all(0)
    if not good.any():
        return widths[0]
    logs, trust = _tamed(np.log(patches.halves[:, good])), patches.trust[good]
    places = (patches.centres[good] - patches.centres[good].min(0)) // SPACING
    grid = tuple(int(n) + 1 for n in places.max(0))
    spaced = tuple(SPACING * edge for edge in voxel_size)
    half_variance = np.average(np.square(logs[0] - logs[1]), weights=trust) / 2
    errors = []
    for width in widths:
        sd = sd_in_voxels(width, spaced, grid)
        weight, *sums = (_gridded(v, places, grid, sd) for v in (trust, *(trust * logs)))
        one, two = (s[tuple(places.T)] / weight[tuple(places.T)].clip(1e-30) for s in sums)
        across = (np.square(one - logs[1]) + np.square(two - logs[0])) / 2
        risk = np.average(across - np.square(one - two) / 4, weights=trust) - half_variance
        errors.append(np.sqrt(max(0.0, risk)))
    enough = max(ACCURATE, BEST * min(errors))
    return next(w for w, error in zip(widths, errors, strict=True) if error <= enough)


def smooth_map(
    patches: NoisePatches, mask: Bool[np.ndarray, "x y z"], voxel_size: tuple[float, ...], *,
    threads: int = 1,
) -> Float[np.ndarray, "x y z"]:  # fmt: skip
    """A smooth σ map over the whole grid from values at patch centres.

    Normalised Gaussian convolution in the log domain, where a few patches with signal
    left in them weigh little, patches at the floor less still; far from any the median stands.
    """
    good = patches.sigma > 0
    centres, trust = patches.centres[good], patches.trust[good]
    logs = np.log(patches.sigma[good])
    middle = np.median(logs)
    logs = _tamed(logs)
    log_sigma = np.full(mask.shape, middle)
    for width in dict.fromkeys((WIDEST_MM, smoothing_width(patches, voxel_size))):
        sd = sd_in_voxels(width, voxel_size, mask.shape)
        smooth = partial(_gridded, places=centres, shape=mask.shape, sd=sd)
        weight, total = side_by_side(smooth, (trust, trust * (logs - middle)), threads)
        floor = FALLBACK * weight.max()
        log_sigma = middle + (total + floor * (log_sigma - middle)) / (weight + floor)
    return np.exp(log_sigma).astype(np.float32)


def _widths(voxel_size: tuple[float, ...]) -> list[float]:
    """FWHMs in mm to choose from, wide to narrow."""
    narrowest = NARROWEST * float(np.prod(voxel_size)) ** (1 / 3)
    widths = [WIDEST_MM]
    while widths[-1] * NARROWER >= narrowest:
        widths.append(widths[-1] * NARROWER)
    return widths


def _tamed(logs: Float[np.ndarray, "*h g"]) -> Float[np.ndarray, "*h g"]:
    """Outlying patches pulled to three robust sds of the median."""
    middle = np.median(logs)
    spread = OUTLYING * (1.4826 * np.median(np.abs(logs - middle)) + 0.05)
    return logs.clip(middle - spread, middle + spread)


def _gridded(
    values: Float[np.ndarray, "g"],
    places: np.ndarray,
    shape: tuple[int, ...],
    sd: tuple[float, ...],
) -> Float[np.ndarray, "x y z"]:
    """Values summed into a grid and smoothed."""
    grid = np.zeros(shape)
    np.add.at(grid, tuple(places.T), values)
    return ndimage.gaussian_filter(grid, sd, mode="constant", truncate=3)
