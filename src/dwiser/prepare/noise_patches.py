"""σ in small patches: Marchenko–Pastur on directions of noise, Koay-corrected.

Sources: Veraart et al. 2016 (10.1016/j.neuroimage.2016.08.016) for the estimator on a
patch; Koay & Basser 2006 (10.1016/j.jmr.2006.01.016) for magnitude's correction.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import threadpool_limits

from dwiser.prepare.box import Box
from dwiser.prepare.moments import koay, magnitude_floor
from dwiser.prepare.noise_correlation import NoiseCorrelation, SpatialNoise, spatial_noise

RADIUS = 2  # patches of 5³ voxels,
FEWEST_SAMPLES = 40.0  # independent ones in a patch: where noise is correlated it grows,
WIDEST = 4  # up to 9³ voxels
SPACING = 3  # voxels between patch centres: patches overlap by two
FILLED = 0.5  # share of a patch that must lie in the object,
NEARLY = 0.8  # or of the fullest patch's share, where no patch is that full (a thin, bent mask)
GROUP = 10  # directions at once, where there are twice as many
LEAST_EVEN = 0.3  # of a patch's samples count, however unlike its voxels' noise is
PIECE = 3  # voxels on an edge of a patch's pieces, whose means tell the signal
ALIKE = 8  # groups of like brightness in a patch with air in it
AIR = 1.2  # times the floor: the darkest group's mean, where the patch has air; σ is then too low
TRUST = 8  # power of the magnitude's variance in σ²: near the floor σ is a guess at the signal
BATCH = 256  # patches at once


@dataclass(frozen=True, eq=False)
class NoisePatches:
    """σ at patch centres: voxel indices (G, 3) and sd (G,), in the data's units.

    ``trust`` (G,): 1 where the signal is strong, little at the floor, where σ hangs on what the
    signal is taken to be. ``halves`` (2, G): σ from either half of the directions, whose noise
    is independent; None where there are too few.
    """

    centres: np.ndarray
    sigma: Float[np.ndarray, "g"]
    trust: Float[np.ndarray, "g"]
    halves: Float[np.ndarray, "2 g"] | None = None


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
    remaining = np.arange(m, 0, -1)  # m − p for p = 0 … m−1
    p = m - remaining
    long = rows[:, None] - p[None, :]
    mean = np.cumsum(eigenvalues, 1)[:, remaining - 1] / remaining / long
    spread = (
        (eigenvalues[:, remaining - 1] - eigenvalues[:, :1])
        / long
        / (4 * np.sqrt(remaining / long))
    )
    fits = mean >= spread
    fits[:, -1] = True
    return np.take_along_axis(mean, fits.argmax(1)[:, None], 1)[:, 0]


def noise_patches(
    data: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    coils: float | int = 1,
    *,
    threads: int = 1,
    spatial: SpatialNoise | None = None,
) -> NoisePatches:
    """σ on a coarse grid of patches inside the mask; patches mostly outside are left out.

    No patch is thicker than the mask.

    ``spatial`` is the noise of these data in this mask, if it was measured before.

    Notes
    -----
    Patches show their noise in directions without the scan's common signal; what local signal
    is there goes with the components above the noise's law. That law is one of independent
    samples, so a patch of correlated noise counts as fewer of them than its voxels.
    """
    spatial = spatial or spatial_noise(data, mask)
    data, alive = data[..., :: spatial.every], spatial.voxels
    directions, correlation = spatial.directions, spatial.correlation
    box = (Box.around(alive) if alive.any() else Box.full(alive.shape)).index
    size = _patch_size(tuple(part.stop - part.start for part in box), correlation)
    share = correlation.effective_share(size)
    windows = sliding_window_view(data, size, axis=(0, 1, 2)).swapaxes(4, 6)  # x lies together
    filled = sliding_window_view(alive, size).swapaxes(3, 5)
    starts = np.argwhere(np.ones(filled.shape[2::-1], bool))[:, ::-1]  # slice by slice, as files
    spaced = _on_grid(starts, filled.shape[:3], box)
    voxels = filled[tuple(spaced.T)].reshape(len(spaced), -1)
    share_filled = voxels.mean(1)
    most = float(share_filled.max(initial=0))
    enough = (share_filled > 0) & (share_filled >= (FILLED if most >= FILLED else NEARLY * most))
    spaced, voxels = spaced[enough], voxels[enough]
    centres, floor = spaced + np.array(size) // 2, magnitude_floor(coils)
    half = directions.half[tuple(centres.T)]
    sigma, trust, halves = np.zeros(len(spaced)), np.zeros(len(spaced)), np.zeros((2, len(spaced)))

    def work(part: np.ndarray) -> None:
        patch = windows[tuple(spaced[part].T)].reshape(len(part), data.shape[3], -1)
        inside = voxels[part]
        if not inside.all():
            patch = np.where(inside[:, None], patch, 0)
        side = int(half[part[0]])
        by_group = _variances(patch, inside, directions.basis[side], share)
        variance = by_group.mean(1)
        of_voxels = _pieces(size[::-1]) * inside[:, None]
        volumes = directions.volume_share(side)
        means, weights = _means_of(patch, inside, of_voxels, variance)
        sigma[part] = koay(variance, means, coils, weights=weights, volume_weights=volumes)
        level = np.where(inside, patch.mean(1), np.inf)
        dark = np.flatnonzero(level.min(1) < AIR * floor * sigma[part])  # no other can hold air
        if len(dark):
            alike = _alike(level[dark], inside[dark])
            means, weights = _means_of(patch[dark], inside[dark], alike, variance[dark])
            air = means[:, 0].mean(1) < AIR * floor * sigma[part[dark]]
            if air.any():
                sigma[part[dark[air]]] = koay(
                    variance[dark[air]], means[air], coils, weights=weights[air],
                    volume_weights=volumes,
                )  # fmt: skip
        ratio = variance / np.square(sigma[part]).clip(1e-30)
        trust[part] = ratio**TRUST
        if by_group.shape[1] > 1:
            both = np.stack([by_group[:, ::2].mean(1), by_group[:, 1::2].mean(1)])
            halves[:, part] = np.sqrt(both / ratio.clip(1e-30))

    batches = list(_batches(half))
    with threadpool_limits(1, "blas"):  # many small problems: its own threads only fight over them
        if threads == 1:  # a thread of its own would keep the memory that it freed
            for part in batches:
                work(part)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, batches))
    split = _groups(directions.count) > 1
    return NoisePatches(centres, sigma, trust, halves if split else None)


def _patch_size(shape: tuple[int, ...], correlation: NoiseCorrelation) -> tuple[int, ...]:
    """5³ voxels, or as many more as it takes to separate correlated noise from signal."""
    for radius in range(RADIUS, WIDEST + 1):
        size = tuple(min(2 * radius + 1, n) for n in shape)
        if correlation.effective_share(size) * np.prod(size) >= FEWEST_SAMPLES:
            break
    return size


def _batches(half: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of patches of one half, ``BATCH`` at most."""
    for side in (0, 1):
        patches = np.flatnonzero(half == side)
        for low in range(0, len(patches), BATCH):
            yield patches[low : low + BATCH]


def _on_grid(starts: np.ndarray, shape: tuple[int, ...], inside: tuple[slice, ...]) -> np.ndarray:
    """Every third start along each axis; where the object is thinner than a patch, its own."""
    on = np.ones(len(starts), bool)
    for axis, (n, part) in enumerate(zip(shape, inside, strict=True)):
        if part.stop - part.start <= 2 * RADIUS:
            on &= starts[:, axis] == part.start
            continue
        first = ((n - 1) % SPACING) // 2
        on &= (starts[:, axis] - first) % SPACING == 0
    return starts[on]


def _groups(count: int) -> int:
    return max(1, count // GROUP)


def _variances(
    patch: Float[np.ndarray, "g v n"],
    voxels: Bool[np.ndarray, "g n"],
    basis: Float[np.ndarray, "v d"],
    share: float,
) -> Float[np.ndarray, "g k"]:
    """Noise variance of patches in each group of directions, from the voxels in the object."""
    groups = _groups(basis.shape[1])
    width = basis.shape[1] // groups
    x = basis[:, : groups * width].T @ patch
    x = x.reshape(len(patch), groups, width, -1).astype(np.float64)
    gram = x @ x.mT if width <= x.shape[3] else x.mT @ x
    eigenvalues = np.linalg.eigvalsh(gram).clip(0)
    n = voxels.sum(1)
    samples = (share * n * _evenness(x, n) if groups > 1 else share * n).clip(1)
    roots = np.minimum(samples.round().astype(int), width)
    gain, rows = np.repeat(samples / n, groups), np.repeat(samples.clip(width), groups)
    eigenvalues, roots = eigenvalues.reshape(len(gain), -1), np.repeat(roots, groups)
    variance = np.empty(len(gain))
    for m in np.unique(roots):  # fewer samples have fewer true roots
        same = roots == m
        largest = eigenvalues[same][:, -m:] * gain[same, None]
        variance[same] = marchenko_pastur(largest, rows[same])
    return variance.reshape(-1, groups)


def _evenness(
    x: Float[np.ndarray, "g k w n"], n: Float[np.ndarray, "g"] | np.ndarray
) -> Float[np.ndarray, "g"]:
    """Share of a patch's samples that count where its voxels' noise differs: (Σσ²)²/(n Σσ⁴).

    A voxel's power over D directions has the noise's variance, spread by 2/D of its square.
    """
    power = np.einsum("gkwn,gkwn->gn", x, x)
    ratio = np.square(power.sum(1)) / np.square(power).sum(1).clip(1e-30) / n
    return (ratio * (1 + 2 / (x.shape[1] * x.shape[2]))).clip(LEAST_EVEN, 1)


def _means_of(
    patch: Float[np.ndarray, "g v n"],
    voxels: Bool[np.ndarray, "g n"],
    groups: Float[np.ndarray, "g p n"],
    variance: Float[np.ndarray, "g"],
) -> tuple[Float[np.ndarray, "g p v"], Float[np.ndarray, "g p"]]:
    """Mean signals of a patch's groups of voxels, their spread less the noise's share."""
    n = voxels.sum(1)
    patch_mean = patch.sum(2, dtype=np.float64)[:, None] / n[:, None, None]
    sums = groups.astype(patch.dtype) @ patch.mT
    counts = groups.sum(2, dtype=float)[..., None]
    deviation = np.where(counts > 0, sums / counts.clip(1) - patch_mean, 0)
    fewer = np.where(counts > 0, 1 / counts.clip(1) - 1 / n[:, None, None], 0)
    by_noise = variance * fewer.mean((1, 2))
    signal_share = np.sqrt((1 - by_noise / np.square(deviation).mean((1, 2)).clip(1e-30)).clip(0))
    return patch_mean + signal_share[:, None, None] * deviation, counts[..., 0]


def _alike(
    level: Float[np.ndarray, "g n"], voxels: Bool[np.ndarray, "g n"]
) -> Float[np.ndarray, "g p n"]:
    """1 at a patch's voxels in groups of one size, by their means over volumes, dark to bright.

    ``level`` are these means, infinite where no voxel of the object is.

    Where a thin object or its edge shares every corner of the patch with air, no piece has the
    signal of its voxels: the variance of air's noise, .43 of σ², was taken for that of tissue.
    """
    rank = level.argsort(1, kind="stable").argsort(1)
    group = rank * ALIKE // voxels.sum(1, keepdims=True).clip(1)
    alike = group[:, None] == np.arange(ALIKE)[:, None]
    return (alike & voxels[:, None]).astype(np.float32)


def _pieces(size: tuple[int, ...]) -> Float[np.ndarray, "p n"]:
    """1 at the voxels of each of a patch's corner pieces, 0 elsewhere: a row each.

    A patch's own mean will not do: half fluid and half brain, no voxel has that signal, and the
    variance of its noise is not the voxels' mean variance. (Nor will noisy means: at the floor
    any spread looks like signal, so that of the noise is subtracted from the pieces'.)
    """
    starts = list(product(*(sorted({0, max(0, n - PIECE)}) for n in size)))
    rows = np.zeros((len(starts), *size))
    for row, (i, j, k) in zip(rows, starts, strict=True):
        row[i : i + PIECE, j : j + PIECE, k : k + PIECE] = 1
    return rows.reshape(len(rows), -1)
