"""What was done to a scan before: resampling, zero filling, another denoiser; from the data alone.

A raw scan's noise is white or, where the scanner interpolated, alike in neighbours of one slice. It
fills k-space, and it holds up the smallest components of every neighbourhood: as much as the
Marchenko–Pastur law says of so many volumes and so many independent voxels. Limits were set between
phantoms and raw scans of five scanners on one side, and the same ones shifted, smoothed,
zero-filled and denoised on the other.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import threadpool_limits

from dwiser.errors import DwiserWarning
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise_correlation import noise_correlation, window_corners
from dwiser.prepare.noise_directions import NoiseDirections, noise_directions
from dwiser.prepare.stored_values import stored_step, stored_values
from dwiser.scan import Scan

SLICES = 12  # of the middle, that are looked at
FEWEST_VOLUMES = 8  # fewer show too little of their noise
MANY_VOLUMES = 20  # from which a window's own signal leaves most of its components to noise
WINDOW = 7  # voxels on an edge
WINDOWS = 100
ALIKE = (0.25, 0.15)  # along every axis; few volumes, many: raw scans 0.14 and 0.02 at most
WEAK = (0.11, 0.6)  # 10 % over 50 % component, of what noise leaves; few volumes, many
MOST_VOLUMES = 32  # whose components are looked at, of all: more than that, noise leaves them weak
LEAST_SHARE = 0.3  # of a window's voxels count at least: raw noise is alike in a plane at most
LAW_POINTS = 4000  # of the Marchenko–Pastur law
EMPTY = 0.2  # power at both edges of k-space over its middle; raw scans 0.21 along one at least
COARSE = 1.0  # a step of the values in σ; then rounding adds 4 % to the noise's sd
BINS = 6  # of |k| along an axis
MIDDLE = slice(1, 4)  # bins of the middle: the first holds what is left of the signal
DIRECTIONS = 4  # noise images a slice


@dataclass(frozen=True)
class NoiseTraces:
    """What earlier steps leave in a scan's noise.

    neighbours : correlation between adjacent voxels along x, y and z. edges : power of the noise
    beyond 5/6 of the highest in-plane |k| along x and y, over that in the middle. components :
    variance of the principal component a tenth up from the smallest, over the middle one's, of 32
    volumes at most; the median over windows of 7³ voxels. of_noise : the same of noise alone, as
    correlated as the scan's. volumes : how many there are. step : what all values are multiples
    of, over the noise's sd; 0 where there is no such step.
    """

    neighbours: tuple[float, float, float]
    edges: tuple[float, float]
    components: float
    of_noise: float
    volumes: int
    step: float = 0.0

    @property
    def sentences(self) -> tuple[str, ...]:
        """One for each step that shows."""
        many = int(self.volumes >= MANY_VOLUMES)
        said = []
        if self.step > COARSE:
            said.append(
                f"The values are rounded to steps of {self.step:.1f} σ of the noise: export the "
                "scan with a finer scale, since rounding so coarse is an error of its own."
            )
        if self.components < WEAK[many] * self.of_noise:
            said.append(
                "The scan looks denoised already: its weakest components hold "
                f"{self.components:.2f} of the middle one's variance, noise alone would leave "
                f"{self.of_noise:.2f}; start from the raw scan."
            )
        elif min(self.neighbours) > ALIKE[many]:
            said.append(
                "The scan looks resampled or smoothed: its noise is alike in neighbours along x, "
                f"y and z (correlation {min(self.neighbours):.2f} at least); denoise before any "
                "such step."
            )
        elif max(self.edges) < EMPTY:
            said.append(
                "The scan looks zero-filled or filtered: its noise has little power at the "
                f"edges of k-space ({self.edges[0]:.2f} along x and {self.edges[1]:.2f} along y, "
                "of its middle); denoise before any interpolation, or reconstruct without it."
            )
        return tuple(said)


def noise_traces(scan: Scan) -> NoiseTraces | None:
    """Measured in the middle slices; None for fewer than 8 volumes, and where no window fits."""
    mask = middle_object(scan)
    return None if mask is None else _noise_traces(scan.data[middle_slices(scan)], mask)


def middle_slices(scan: Scan) -> tuple[slice, slice, slice]:
    """The part of the field of view that is looked at."""
    first = max(0, (scan.shape[2] - SLICES) // 2)
    return slice(None), slice(None), slice(first, first + SLICES)


def middle_object(scan: Scan) -> Bool[np.ndarray, "x y z"] | None:
    """The object in the middle slices; None for a scan that is too small."""
    cut = middle_slices(scan)
    data = scan.data[cut]
    if data.shape[3] < FEWEST_VOLUMES or min(data.shape[:3]) < WINDOW:
        return None
    return scan.mask[cut] if scan.mask is not None else _object(scan, cut)


def _noise_traces(
    data: Float[np.ndarray, "x y z v"], mask: Bool[np.ndarray, "x y z"]
) -> NoiseTraces | None:
    corners = window_corners(mask, (WINDOW,) * 3, WINDOWS)
    if not len(corners):
        return None
    with threadpool_limits(1, "blas"):  # many small products: more threads only wait for each other
        directions = noise_directions(data, mask)
        correlation = noise_correlation(data, mask, directions, windows=WINDOWS)
        components = _weak_components(data, corners)
        edges = _edges(data, mask, directions)
    if components is None or edges is None:
        return None
    sd = _noise_sd(data, mask, directions)
    step = stored_step(data, mask) / sd if sd > 0 else 0.0
    share = max(LEAST_SHARE, correlation.effective_share((WINDOW,) * 3))
    of_noise = components_of_noise(min(data.shape[3], MOST_VOLUMES), share * (WINDOW**3 - 1))
    volumes = data.shape[3]
    return NoiseTraces(correlation.neighbours, edges, components, of_noise, volumes, step)


def components_of_noise(volumes: int, samples: float) -> float:
    """The 10 % over the 50 % eigenvalue of a covariance of noise, by Marchenko and Pastur's law.

    ``samples`` are independent ones, and more than the volumes. 10.1070/SM1967v001n04ABEH001994.
    """
    ratio = volumes / samples
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    power = np.linspace(low, high, LAW_POINTS)
    below = np.cumsum(np.sqrt(((high - power) * (power - low)).clip(0)) / power)
    ranks = (np.array([volumes // 10, volumes // 2]) + 0.5) / volumes
    weak, middle = np.interp(ranks, below / below[-1], power)
    return float(weak / middle)


def earlier_steps(scan: Scan) -> tuple[str, ...]:
    """What was done to a scan before, as far as it shows: a sentence each."""
    return earlier_steps_in(scan, middle_object(scan))


def earlier_steps_in(scan: Scan, middle: Bool[np.ndarray, "x y z"] | None) -> tuple[str, ...]:
    """The same with the scan's ``middle_object``, which alone is not for a thread of its own.

    It holds warnings back, which is the whole program's matter.
    """
    traces = None if middle is None else _noise_traces(scan.data[middle_slices(scan)], middle)
    return (*stored_values(scan).sentences, *(() if traces is None else traces.sentences))


def _object(scan: Scan, cut: tuple[slice, ...]) -> Bool[np.ndarray, "x y z"]:
    data = scan.data[cut]
    if not data.any():
        return np.zeros(data.shape[:3], bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)  # given when the whole was read
        return object_mask(replace(scan, data=data, sigma=None, phase=None))


def _noise_sd(
    data: Float[np.ndarray, "x y z v"], mask: Bool[np.ndarray, "x y z"], known: NoiseDirections
) -> float:
    """Root mean square along noise's directions; the median over voxels of the object."""
    by_half = [
        np.square(data[mask & (known.half == side)] @ known.basis[side]).mean(1) for side in (0, 1)
    ]
    squares = np.concatenate(by_half)
    return float(np.sqrt(np.median(squares))) if len(squares) else 0.0


def _weak_components(data: Float[np.ndarray, "x y z v"], corners: np.ndarray) -> float | None:
    """Median over windows of the 10 % over the 50 % eigenvalue of the volumes' covariance."""
    volumes = data.shape[3]
    chosen = np.linspace(0, volumes - 1, min(volumes, MOST_VOLUMES)).round().astype(int)
    windows, ratios = sliding_window_view(data, (WINDOW,) * 3, axis=(0, 1, 2)), []
    for corner in corners:
        x = windows[tuple(corner)][chosen].reshape(len(chosen), -1).astype(float)
        x -= x.mean(1, keepdims=True)
        power = np.linalg.eigvalsh(x @ x.T).clip(0)
        if power[len(power) // 2] > 0:
            ratios.append(power[len(power) // 10] / power[len(power) // 2])
    return float(np.median(ratios)) if ratios else None


def _edges(
    data: Float[np.ndarray, "x y z v"], mask: Bool[np.ndarray, "x y z"], known: NoiseDirections
) -> tuple[float, float] | None:
    """The noise's power at the edges of in-plane k-space along x and y, over its middle's."""
    plane = mask.shape[0], mask.shape[1]
    power = np.zeros(plane)
    for z in range(mask.shape[2]):
        noise = np.zeros((*plane, min(DIRECTIONS, known.count)))
        for side in (0, 1):
            inside = mask[:, :, z] & (known.half[:, :, z] == side)
            noise[inside] = data[:, :, z][inside] @ known.basis[side][:, :DIRECTIONS]
        power += np.square(np.abs(np.fft.fft2(noise, axes=(0, 1)))).sum(-1)
    flat = (_bins(mask.shape[0])[:, None] * BINS + _bins(mask.shape[1])).ravel()
    counts = np.bincount(flat, minlength=BINS**2).clip(1)
    mean = (np.bincount(flat, power.ravel(), BINS**2) / counts).reshape(BINS, BINS)
    middle = float(np.median(mean[MIDDLE, MIDDLE]))
    if middle <= 0:
        return None
    return float(mean[-1, 1:3].mean() / middle), float(mean[1:3, -1].mean() / middle)


def _bins(length: int) -> Int[np.ndarray, "n"]:
    """By |k|, 0 to the highest, in FFT order."""
    return np.minimum((2 * np.abs(np.fft.fftfreq(length)) * BINS).astype(int), BINS - 1)
