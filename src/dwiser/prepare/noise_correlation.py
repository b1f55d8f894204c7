"""Correlation of the noise between neighbouring voxels, measured from the scan alone.

Interpolation, zero-filled or partially sampled k-space and parallel imaging all correlate noise in
space. In directions across volumes that show no signal (``noise_directions``) what remains of it
in a window is removed by the window's own principal components, and the autocorrelation of the
rest along each axis is that of the noise.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import threadpool_limits

from dwiser.prepare.constant_voxels import varying
from dwiser.prepare.noise_directions import NoiseDirections, noise_directions

LAGS = 3  # voxels
WINDOW = 7  # voxels on an edge
MOST_WINDOWS = 400
AT_ONCE = 16  # windows
FEWEST_WINDOWS = 20  # wholly in the mask; otherwise half of one must be
DIRECTIONS = 12  # at once in a window: few beside its voxels, so that its components fit no noise
LOCAL_SIGNAL = 6  # components of a window's own signal: a tensor's
MOST_VOLUMES = 128  # more are thinned: the estimate gains nothing, the time is cubic
LEFT_OVER = 3  # of them where six or more common ones were removed


@dataclass(frozen=True, eq=False)
class NoiseCorrelation:
    """Autocorrelation of the magnitude's noise at 1, 2 and 3 voxels along x, y and z.

    Parameters
    ----------
    lags : (3, 3), axis by lag; 0 where the field is too short to tell.
    """

    lags: Float[np.ndarray, "3 3"]

    @property
    def neighbours(self) -> tuple[float, float, float]:
        """Correlation of adjacent voxels along x, y and z."""
        x, y, z = (float(r) for r in self.lags[:, 0])
        return x, y, z

    def effective_share(self, size: tuple[int, ...]) -> float:
        """Independent samples in a box of voxels, over its voxels: n/ΣΣρ²; 1 for white noise.

        The spread of a covariance from correlated samples is that from so many independent
        ones. ρ between two voxels is taken as the product of the axes', 0 beyond three voxels.
        """
        share = 1.0
        for axis, n in enumerate(size):
            rho = self._along(axis, np.subtract.outer(np.arange(n), np.arange(n)))
            share *= n / np.square(rho).sum()
        return share

    def share_of(self, offsets: Int[np.ndarray, "o 3"]) -> float:
        """The same for any neighbourhood: the voxels at ``offsets`` from one."""
        apart = offsets[:, None] - offsets
        rho = np.prod([self._along(axis, apart[..., axis]) for axis in range(3)], axis=0)
        return float(len(offsets) / np.square(rho).sum())

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, int, int]
    ) -> Float[np.ndarray, "x y z"]:
        """Normal noise of variance 1 with this correlation, periodic over the field."""
        noise = rng.standard_normal(shape)
        for axis, n in enumerate(shape):
            place = np.minimum(np.arange(n), n - np.arange(n))
            power = np.fft.fft(self._along(axis, place)).real.clip(min=0)
            root = np.sqrt(power / power.mean())
            wide = root.reshape([-1 if a == axis else 1 for a in range(3)])
            noise = np.fft.ifft(np.fft.fft(noise, axis=axis) * wide, axis=axis).real
        return noise.astype(np.float32)

    def _along(self, axis: int, distance: Int[np.ndarray, "*d"]) -> Float[np.ndarray, "*d"]:
        """ρ of voxels so far apart along an axis."""
        far = np.minimum(np.abs(distance), LAGS + 1)
        return np.concatenate([[1.0], self.lags[axis], [0.0]])[far]


@dataclass(frozen=True, eq=False)
class SpatialNoise:
    """A scan's noise in space, measured once for all that work on the scan.

    ``every``: every so many volumes were looked at. voxels : (X, Y, Z), of the mask and not the
    same in all volumes. directions, correlation : measured there.
    """

    every: int
    voxels: Bool[np.ndarray, "x y z"]
    directions: NoiseDirections
    correlation: NoiseCorrelation


def spatial_noise(
    data: Float[np.ndarray, "x y z v"], mask: Bool[np.ndarray, "x y z"]
) -> SpatialNoise:
    """Noise directions and the noise's correlation at the mask's voxels that differ by volume."""
    every = max(1, data.shape[3] // MOST_VOLUMES)
    data = data[..., ::every]
    alive = np.zeros_like(data[..., 0], bool)
    for v in range(data.shape[3]):
        alive |= data[..., v] > 0
    alive &= mask & varying(data)
    with threadpool_limits(1, "blas"):  # the same bits on any number of threads
        directions = noise_directions(data, alive)
        correlation = noise_correlation(data, alive, directions)
    return SpatialNoise(every, alive, directions, correlation)


def noise_correlation(
    data: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    directions: NoiseDirections | None = None,
    *,
    windows: int = MOST_WINDOWS,
) -> NoiseCorrelation:
    """The noise's autocorrelation, from up to 400 windows of 7³ voxels spread over the mask.

    Parameters
    ----------
    data : magnitudes, or real parts, of V volumes. directions : theirs, if known already.
    windows : how many at most.

    Notes
    -----
    Windows weigh the same whatever their σ. All lags are 0 where nothing remains: a noiseless
    scan, or a mask of no window.
    """
    directions = directions or noise_directions(data, mask)
    size = tuple(min(WINDOW, n) for n in mask.shape)
    boxes = sliding_window_view(data, size, axis=(0, 1, 2))
    filled = sliding_window_view(mask, size)
    starts = window_corners(mask, size, windows)
    products, powers = np.zeros((3, LAGS)), np.zeros((3, LAGS))
    signal = LEFT_OVER if directions.rank >= LOCAL_SIGNAL else LOCAL_SIGNAL
    half = directions.half[tuple((starts + np.array(size) // 2).T)]
    for side in (0, 1):
        basis, of_side = directions.basis[side][:, :DIRECTIONS], starts[half == side]
        few = max(1, basis.shape[1] - signal)
        for low in range(0, len(of_side), AT_ONCE):
            at = tuple(of_side[low : low + AT_ONCE].T)
            inside = filled[at]
            x = np.moveaxis(boxes[at], 1, -1).reshape(len(inside), -1, data.shape[3]) @ basis
            x = np.where(inside.reshape(len(inside), -1, 1), x, 0).astype(np.float64)
            variance, axes = np.linalg.eigh(x.mT @ x)
            total = variance[:, :few].sum(1)
            some = total > 0
            rest = (x[some] @ axes[some][..., :few]) / np.sqrt(total[some])[:, None, None]
            product, power = _at_lags(rest.reshape(-1, *size, few), inside[some])
            products += product
            powers += power
    lags = np.divide(products, powers, out=np.zeros_like(products), where=powers > 0)
    return NoiseCorrelation(lags.clip(-1, 1))


def window_corners(
    mask: Bool[np.ndarray, "x y z"], size: tuple[int, ...], most: int = MOST_WINDOWS
) -> Int[np.ndarray, "w 3"]:
    """Corners of at most so many windows of this size: wholly in the mask, or half if few are."""
    inside = mask.astype(np.int32)
    for axis, edge in enumerate(size):  # one axis after another: a sum over a box is separable
        inside = sliding_window_view(inside, edge, axis=axis).sum(-1, dtype=np.int32)
    voxels = math.prod(size)
    starts = np.argwhere(inside == voxels)
    if len(starts) < FEWEST_WINDOWS:
        starts = np.argwhere(2 * inside >= voxels)
    return starts[:: max(1, -(-len(starts) // most))]


def _at_lags(
    rest: Float[np.ndarray, "w x y z k"], inside: Bool[np.ndarray, "w x y z"]
) -> tuple[Float[np.ndarray, "3 l"], Float[np.ndarray, "3 l"]]:
    """Sums of products of voxels so far apart along an axis, and of their mean squares."""
    products, powers = np.zeros((3, LAGS)), np.zeros((3, LAGS))
    square = np.square(rest).sum(-1)
    for axis in range(3):
        for lag in range(1, min(LAGS, rest.shape[1 + axis] - 1) + 1):
            low: list[slice] = [slice(None)] * 4
            high = low.copy()
            low[1 + axis], high[1 + axis] = slice(None, -lag), slice(lag, None)
            a, b = tuple(low), tuple(high)
            both = inside[a] & inside[b]
            products[axis, lag - 1] = (rest[a] * rest[b]).sum()
            powers[axis, lag - 1] = ((square[a] + square[b]) * both).sum() / 2
    return products, powers
