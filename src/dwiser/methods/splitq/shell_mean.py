"""What all volumes of a shell lack alike: the residual's mean over a shell, and what goes back.

A weak signal that local estimates lose drowns in one volume's noise. Averaged over a shell and a
few voxels, the residual y − x̂ shows what the whole shell lacks: signal outside the subspace, or
smoothed away. How much of that mean is noise is measured and not taken from σ: with A and B the
means of two halves of the volumes, (A + B)/2 is the mean and (A − B)/2 has only its noise.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from dwiser.machine import side_by_side
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.prepare.box import Box
from dwiser.prepare.shells import shells
from dwiser.prepare.smooth import sd_in_voxels
from dwiser.scan import Scan

WIDTH = 1.5  # voxels: sd of the window that the residual's mean is taken over
AROUND_MM = 30.0  # FWHM over which the energies of mean and noise are: hundreds of windows
FEWEST = 4  # volumes of a shell: two in a half
TRUNCATE = 3.0  # sd of the Gaussians' ends
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class ShellMeans:
    """Restores the shells' means at the mask's n voxels; made once for a scan.

    Parameters
    ----------
    shells : the volumes of each shell of four or more.
    near, wide : means over 1.5 voxels and over 30 mm.
    threads : that share the shells.
    """

    shells: tuple[Int[np.ndarray, "_"], ...]
    near: "MaskedGaussian"
    wide: "MaskedGaussian"
    threads: int = 1

    @classmethod
    def of(cls, whitened: WhitenedScan, scan: Scan, threads: int = 1) -> "ShellMeans":
        """For the scan's shells, without the volumes that stand apart from theirs."""
        apart = np.array(sorted(whitened.outliers), int)
        usual = (np.setdiff1d(s.volumes, apart) for s in shells(scan.gradients))
        inside = whitened.mask
        inside = inside[Box.around(inside).index] if inside.any() else inside
        return cls(
            tuple(volumes for volumes in usual if len(volumes) >= FEWEST),
            MaskedGaussian.of(inside, (WIDTH,) * 3),
            MaskedGaussian.of(inside, sd_in_voxels(AROUND_MM, scan.voxel_size, inside.shape)),
            threads,
        )

    def __call__(self, values: Float[np.ndarray, "n v"], y: Float[np.ndarray, "n v"]) -> None:
        """Add to ``values`` what each shell's mean lacks of ``y``.

        Notes
        -----
        The mean m = (A + B)/2 goes back times max(0, 1 − ⟨(A − B)²⟩/⟨(A + B)²⟩), the share of its
        energy that noise does not explain (Wiener's weight), ⟨·⟩ being a mean over 30 mm. For
        volumes of independent noise that holds with any σ and any correlation in space.
        """

        def restore(volumes: Int[np.ndarray, "m"]) -> None:
            first, second = (self._mean(values, y, half) for half in (volumes[::2], volumes[1::2]))
            noise = self.wide(np.square(first - second))
            energy = self.wide(np.square(first + second))
            share = (1 - noise / np.maximum(energy, TINY)).clip(0, 1)
            lacking = (share * (first + second) / 2).astype(values.dtype)
            for v in volumes:  # one at a time: no copy of the shell
                values[:, v] += lacking

        list(side_by_side(restore, self.shells, self.threads))

    def _mean(
        self,
        values: Float[np.ndarray, "n v"],
        y: Float[np.ndarray, "n v"],
        volumes: Int[np.ndarray, "m"],
    ) -> Float[np.ndarray, "n"]:
        """Of the residual over some volumes and over the voxels near."""
        each = np.zeros(values.shape[1], values.dtype)
        each[volumes] = 1 / len(volumes)
        return self.near(y @ each - values @ each)


@dataclass(frozen=True, eq=False)
class MaskedGaussian:
    """Gaussian means over a mask's voxels, of voxels in the mask alone.

    Parameters
    ----------
    inside : (x, y, z) the mask, in its bounding box. widths : sd along each axis, in voxels.
    weight : (n,) how much of the Gaussian lies in the mask.
    """

    inside: Bool[np.ndarray, "x y z"]
    widths: tuple[float, ...]
    weight: Float[np.ndarray, "n"]

    @classmethod
    def of(cls, inside: Bool[np.ndarray, "x y z"], widths: tuple[float, ...]) -> "MaskedGaussian":
        weight = _filtered(inside.astype(np.float32), widths)[inside]
        return cls(inside, widths, np.maximum(weight, np.float32(TINY)))

    def __call__(self, values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        image = np.zeros(self.inside.shape, np.float32)
        image[self.inside] = values
        return _filtered(image, self.widths)[self.inside] / self.weight


def _filtered(
    image: Float[np.ndarray, "x y z"], widths: tuple[float, ...]
) -> Float[np.ndarray, "x y z"]:
    return ndimage.gaussian_filter(image, widths, mode="constant", truncate=TRUNCATE)
