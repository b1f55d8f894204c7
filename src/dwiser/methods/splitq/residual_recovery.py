"""How much of what was removed goes back: where a residual is more than noise can be.

A lesion that shows in one direction, a pulsation, a moved volume: what the other volumes cannot
tell is lost from an estimate made of them, and stands in that volume's residual. There the
residual's local energy exceeds the noise's, and its share above it is restored.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from dwiser.machine import side_by_side
from dwiser.memmap import allocate_like
from dwiser.methods.splitq.parts import chunks
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.prepare.box import Box
from dwiser.prepare.smooth import sd_in_voxels

WINDOW = 5  # voxels on an edge: 124 neighbours, the voxel itself left out
NEAR = 3  # voxels on an edge of the window of faint means
FAINT = 3.5  # standard deviations of such a mean; noise exceeds them once in two thousand
SURE = 2.0  # standard deviations of the energy of so many samples of noise
DOUBTED = 1 / 9  # of the neighbours count where noise contradicts its map: it is alike in them
FEWEST = 20  # neighbours; with fewer nothing is restored
AROUND_MM = 15.0  # FWHM over which what is usual is smoothed; σ is known no finer
LEAST_VOLUMES = 8  # fewer do not tell what is usual
CHUNK = 16_384  # voxels whose median over the volumes is taken at once: it copies them


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Sums over a cube about each of the mask's voxels, itself left out; 0 outside the mask.

    Parameters
    ----------
    mask : (x, y, z), in its bounding box.
    window : the cube's edge in voxels.
    count : (n,) how many neighbours each of the n voxels has.
    """

    mask: Bool[np.ndarray, "x y z"]
    window: int
    count: Float[np.ndarray, "n"]

    @classmethod
    def of(cls, mask: Bool[np.ndarray, "x y z"], window: int) -> "Neighbours":
        if not mask.any():
            return cls(mask, window, np.zeros(0, np.float32))
        inside = mask[Box.around(mask).index]
        count = _around(inside.astype(np.float32), window)[inside] - 1
        return cls(inside, window, count)

    def sum(self, values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Over each voxel's neighbours."""
        image = np.zeros(self.mask.shape, np.float32)
        image[self.mask] = values
        return _around(image, self.window)[self.mask] - values


def return_residual(
    estimate: Float[np.ndarray, "n v"], whitened: WhitenedScan, voxel_size: tuple[float, ...],
    threads: int,
) -> Float[np.ndarray, "n v"]:  # fmt: skip
    """Put back into ``estimate`` what noise does not explain; the share that went back.

    The whitened scan's y becomes the standardised residual, and is gone. Where the noise
    contradicts its map, only what stands far out of its surroundings goes back.
    """
    residual = whitened.take_y()
    residual -= estimate

    def standardise(part: slice) -> None:
        residual[part] /= whitened.spread_of(estimate[part], slice(None), part)

    def put_back(v: int) -> None:
        own, part = residual[:, v], share[:, v]
        back = part * own
        if not whitened.contradicted:
            back += (1 - part) * mean_back(own, near)
        estimate[:, v] += whitened.spread_of(estimate[:, v], v) * back

    volumes, near = range(residual.shape[1]), Neighbours.of(whitened.mask, NEAR)
    list(side_by_side(standardise, chunks(len(residual)), threads))
    counts = DOUBTED if whitened.contradicted else 1.0
    share = given_back(residual, whitened.mask, voxel_size, counts, threads=threads)
    list(side_by_side(put_back, volumes, threads))
    return share


def given_back(
    residual: Float[np.ndarray, "n v"],
    mask: Bool[np.ndarray, "x y z"],
    voxel_size: tuple[float, ...],
    counts: float = 1.0,
    *,
    threads: int = 1,
) -> Float[np.ndarray, "n v"]:
    """The share w of each residual that goes back, 0 … 1.

    Parameters
    ----------
    residual : (n, V) standardised: mean 0 and sd 1 if it is noise, at the mask's voxels.
    counts : share of a voxel's neighbours that count as samples of their own.

    Notes
    -----
    With v̂ the mean square of a voxel's neighbours in one volume and u what is usual there (its
    median over the volumes, smoothed), w = max(0, 1 − u(1 + 2√(2/n))/v̂), of n neighbours that
    count. Noise stays: its v̂ exceeds u by two standard deviations in one voxel of fifty, and then
    by little, so that the mean of w is under 0.005. What is usual is measured, not taken from σ: a
    σ map a few percent off would give noise back everywhere.
    """
    volumes = residual.shape[1]
    if volumes < LEAST_VOLUMES:
        return np.zeros_like(residual)
    neighbours, energy = Neighbours.of(mask, WINDOW), allocate_like(residual)
    count = neighbours.count

    def local_energy(v: int) -> None:
        energy[:, v] = neighbours.sum(np.square(residual[:, v])) / np.maximum(count, 1)

    def median(rows: np.ndarray) -> np.ndarray:
        return np.median(rows, 1)

    list(side_by_side(local_energy, range(volumes), threads))
    starts = range(0, len(energy), CHUNK)
    parts = [energy[low : low + CHUNK] for low in starts]
    middle = np.concatenate(list(side_by_side(median, parts, threads)))
    usual = _smooth(middle, mask, voxel_size, threads)
    bound = usual * (1 + SURE * np.sqrt(2 / np.maximum(counts * count, 1)))
    bound[count < FEWEST] = np.inf

    def share(part: slice) -> None:  # in place: as large as the scan's mask
        np.maximum(energy[part], np.float32(1e-12), out=energy[part])
        energy[part] = (1 - bound[part, None] / energy[part]).clip(0, 1)

    list(side_by_side(share, (slice(low, low + CHUNK) for low in starts), threads))
    return energy


def mean_back(residual: Float[np.ndarray, "n"], near: Neighbours) -> Float[np.ndarray, "n"]:
    """What goes back of a residual's local mean, in its own units: faint, but of one sign.

    Parameters
    ----------
    residual : (n,) of one volume, standardised as for `given_back`.
    near : of its mask's voxels, 3 voxels wide.

    Notes
    -----
    The mean m of a voxel's 26 neighbours has variance 1/26 if it is noise. Above ``FAINT``
    standard deviations it goes back, shrunk as James and Stein shrink:
    m·max(0, 1 − FAINT²/(26 m²)). The mean, not the residual: little noise comes with it.
    """
    count = np.maximum(near.count, 1)
    mean = near.sum(residual) / count
    sure = 1 - FAINT**2 / np.maximum(count * mean**2, 1e-12)
    return (mean * np.where(count >= FEWEST, sure.clip(0, 1), 0)).astype(np.float32)


def _around(image: np.ndarray, window: int) -> np.ndarray:
    """Sum over the window."""
    return ndimage.uniform_filter(image, window, mode="constant") * np.float32(window**3)


def _smooth(
    values: np.ndarray, mask: Bool[np.ndarray, "x y z"], voxel_size: tuple[float, ...], threads: int
) -> np.ndarray:
    """A normalised Gaussian mean inside the mask."""
    widths = sd_in_voxels(AROUND_MM, voxel_size, mask.shape)
    image = np.zeros(mask.shape, np.float32)
    image[mask] = values
    wide = partial(ndimage.gaussian_filter, sigma=widths, mode="constant")
    total, weight = side_by_side(wide, (image, mask.astype(np.float32)), threads)
    return total[mask] / np.maximum(weight[mask], 1e-6)
