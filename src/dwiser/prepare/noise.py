"""The σ map: Marchenko–Pastur on small patches, Koay-corrected, smoothed.

Sources: Veraart et al. 2016 (10.1016/j.neuroimage.2016.08.016) for the estimator on a
patch; Koay & Basser 2006 (10.1016/j.jmr.2006.01.016) for magnitude's correction.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage
from threadpoolctl import threadpool_limits

from dwiser.prepare.moments import koay, variance_by_mean
from dwiser.prepare.shells import shells
from dwiser.prepare.smooth import sd_in_voxels
from dwiser.scan import Scan

RADIUS = 2  # patches of 5³ voxels
SPACING = 3  # voxels between patch centres: patches overlap by two
FILLED = 0.5  # share of a patch that must lie in the object
SMOOTHING_MM = 15.0  # FWHM; the noise of a coil array varies slowly
MOST_VOLUMES = 128  # more volumes are thinned: the estimate gains nothing, the time is cubic
PIECE = 3  # voxels on an edge of a patch's pieces, whose means tell the signal
TRUST = 8  # power of the magnitude's variance in σ²: near the floor σ is a guess at the signal
BATCH = 256  # patches at once


@dataclass(frozen=True, eq=False)
class NoisePatches:
    """σ at patch centres: voxel indices (G, 3) and sd (G,), in the data's units.

    ``trust`` (G,): 1 where the signal is strong, little at the floor, where σ hangs on what the
    signal is taken to be.
    """

    centres: np.ndarray
    sigma: Float[np.ndarray, "g"]
    trust: Float[np.ndarray, "g"]


def marchenko_pastur(
    eigenvalues: Float[np.ndarray, "g m"], rows: Float[np.ndarray, "g"] | np.ndarray
) -> Float[np.ndarray, "g"]:
    """Noise variance of each patch from the eigenvalues of its Gram matrix.

    Parameters
    ----------
    eigenvalues : (G, m) ascending, of XᵀX for X of ``rows`` × m, m ≤ rows.
    rows : (G,), the longer side.

    Notes
    -----
    The fewest signal components p for which what is left fits a Marchenko–Pastur law:
    mean(λ_rest) ≥ (λ_max,rest − λ_min)/(4√γ), with λ of XᵀX/(rows − p) and
    γ = (m−p)/(rows−p); the variance is the mean of the rest.
    """
    m = eigenvalues.shape[1]
    kept = np.arange(m, 0, -1)  # m − p for p = 0 … m−1
    p = m - kept
    long = rows[:, None] - p[None, :]
    mean = np.cumsum(eigenvalues, 1)[:, kept - 1] / kept / long
    spread = (eigenvalues[:, kept - 1] - eigenvalues[:, :1]) / long / (4 * np.sqrt(kept / long))
    fits = mean >= spread
    fits[:, -1] = True
    return np.take_along_axis(mean, fits.argmax(1)[:, None], 1)[:, 0]


def noise_patches(
    data: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    coils: float | int = 1,
    *,
    threads: int = 1,
) -> NoisePatches:
    """σ on a coarse grid of patches inside the mask; patches mostly outside are left out."""
    size = tuple(min(2 * RADIUS + 1, n) for n in mask.shape)
    step = max(1, data.shape[3] // MOST_VOLUMES)
    data = data[..., ::step]
    alive = np.zeros_like(mask)
    for v in range(data.shape[3]):
        alive |= data[..., v] > 0
    alive &= mask
    windows = sliding_window_view(data, size, axis=(0, 1, 2))
    filled = sliding_window_view(alive, size)
    starts = np.argwhere(np.ones(filled.shape[2::-1], bool))[:, ::-1]  # slice by slice, as files
    spaced = _on_grid(starts, filled.shape[:3])
    voxels = filled[tuple(spaced.T)].reshape(len(spaced), -1)
    enough = voxels.mean(1) >= FILLED
    spaced, voxels = spaced[enough], voxels[enough]
    sigma, trust = np.empty(len(spaced)), np.empty(len(spaced))

    def work(lo: int) -> None:
        part = slice(lo, lo + BATCH)
        patch = windows[tuple(spaced[part].T)].reshape(len(spaced[part]), data.shape[3], -1)
        found = _patch_sigma(patch.transpose(0, 2, 1), voxels[part], size, coils)
        sigma[part], trust[part] = found

    batches = range(0, len(spaced), BATCH)
    with threadpool_limits(1, "blas"):  # many small problems: its own threads only fight over them
        if threads == 1:  # a thread of its own would keep the memory that it freed
            for lo in batches:
                work(lo)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, batches))
    return NoisePatches(spaced + np.array(size) // 2, sigma, trust)


def _on_grid(starts: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    on = np.ones(len(starts), bool)
    for axis, n in enumerate(shape):
        first = ((n - 1) % SPACING) // 2
        on &= (starts[:, axis] - first) % SPACING == 0
    return starts[on]


def _patch_sigma(
    patch: np.ndarray, voxels: np.ndarray, size: tuple[int, ...], coils: float | int
) -> tuple[np.ndarray, np.ndarray]:
    """σ of (g, n, v) patches and its trust, counting only the voxels that are in the object."""
    x = np.where(voxels[..., None], patch, 0).astype(np.float64)
    n, v = voxels.sum(1), x.shape[2]
    gram = x.transpose(0, 2, 1) @ x if v <= x.shape[1] else x @ x.transpose(0, 2, 1)
    eigenvalues = np.linalg.eigvalsh(gram).clip(0)
    variance = np.empty(len(x))
    for count in np.unique(n):  # patches with zeroed voxels have fewer rows: fewer true roots
        same, m = n == count, min(count, v)
        rows = np.full(int(same.sum()), max(count, v), float)
        variance[same] = marchenko_pastur(eigenvalues[same][:, -m:], rows)
    whole = x.sum(1)[:, None] / n[:, None, None]
    pieces = _pieces(size)
    sums, counts = pieces @ x, (voxels @ pieces.T)[..., None]
    apart = np.where(counts > 0, sums / counts.clip(1) - whole, 0)
    fewer = np.where(counts > 0, 1 / counts.clip(1) - 1 / n[:, None, None], 0)
    by_noise = variance * fewer.mean((1, 2))
    kept = np.sqrt((1 - by_noise / np.square(apart).mean((1, 2)).clip(1e-30)).clip(0))
    means = whole + kept[:, None, None] * apart
    sigma = koay(variance, means, coils, weights=counts[..., 0])
    return sigma, (variance / np.square(sigma).clip(1e-30)) ** TRUST


def _pieces(size: tuple[int, ...]) -> Float[np.ndarray, "p n"]:
    """1 at the voxels of each of a patch's corner pieces, 0 elsewhere: a row each.

    A patch's own mean will not do: half fluid and half brain, no voxel has that signal, and the
    variance of its noise is not the voxels' mean variance. (Nor will noisy means: at the floor
    any spread looks like signal, so that of the noise is taken off the pieces'.)
    """
    starts = list(product(*(sorted({0, max(0, n - PIECE)}) for n in size)))
    rows = np.zeros((len(starts), *size))
    for row, (i, j, k) in zip(rows, starts, strict=True):
        row[i : i + PIECE, j : j + PIECE, k : k + PIECE] = 1
    return rows.reshape(len(rows), -1)


def smooth_map(
    patches: NoisePatches, mask: Bool[np.ndarray, "x y z"], voxel_size: tuple[float, ...]
) -> Float[np.ndarray, "x y z"]:
    """A smooth σ map over the whole grid from values at patch centres.

    Normalised Gaussian convolution in the log domain, where a few patches with signal
    left in them weigh little, patches at the floor less still; far from any the median stands.
    """
    good = patches.sigma > 0
    centres, logs = patches.centres[good], np.log(patches.sigma[good])
    trust = patches.trust[good]
    middle = np.median(logs)
    spread = 1.4826 * np.median(np.abs(logs - middle)) + 0.05
    logs = logs.clip(middle - 3 * spread, middle + 3 * spread)
    weight, total = np.zeros(mask.shape), np.zeros(mask.shape)
    np.add.at(weight, tuple(centres.T), trust)
    np.add.at(total, tuple(centres.T), trust * (logs - middle))
    widths = sd_in_voxels(SMOOTHING_MM, voxel_size, mask.shape)
    weight = ndimage.gaussian_filter(weight, widths, mode="constant", truncate=3)
    total = ndimage.gaussian_filter(total, widths, mode="constant", truncate=3)
    floor = 1e-3 * weight.max()
    return np.exp(middle + total / (weight + floor)).astype(np.float32)


def sigma_map(
    scan: Scan, mask: Bool[np.ndarray, "x y z"], coils: float | int = 1, *, threads: int = 1
) -> Float[np.ndarray, "x y z"]:
    """sd of the noise at every voxel, in the data's units; the scan's own map if it has one.

    Returns 0 everywhere when no patch carries noise (a simulated noiseless scan).
    """
    if scan.sigma is not None:
        return scan.sigma.astype(np.float32)
    patches = noise_patches(scan.data, mask, coils, threads=threads)
    if not (patches.sigma > 0).any():
        return np.zeros(mask.shape, np.float32)
    return smooth_map(patches, mask, scan.voxel_size)


def noise_by_volume(
    scan: Scan,
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    coils: float | int = 1,
) -> Float[np.ndarray, "v"]:
    """sd of each volume's magnitudes over σ: 1 where the signal is strong, 0.655 at Rice's floor.

    Root mean square over the mask, from the mean of the volume's shell.

    Notes
    -----
    Volumes of unlike noise look like signal to a covariance: where half of a scan is at the
    floor, the other half's noise exceeds the spectrum's edge, component by component.
    """
    found, noise = np.ones(scan.shape[3]), sigma[mask]
    for shell in shells(scan.gradients):
        mean = np.zeros(len(noise), np.float32)
        for v in shell.volumes:
            mean += scan.data[..., v][mask]
        mean /= np.maximum(noise * np.float32(len(shell.volumes)), np.float32(1e-12))
        variance = variance_by_mean(coils).at(mean)[0]
        found[shell.volumes] = np.sqrt(variance.mean(dtype=float))
    return found
