"""A Gaussian blur of every volume inside the mask: what every comparison must beat."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from dwiser.machine import Machine
from dwiser.methods.classical import MaskAndSigma, VolumeByVolume
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.prepare.smooth import sd_in_voxels
from dwiser.scan import Scan

FWHM = 2.5  # mm


@dataclass(frozen=True)
class Gaussian(VolumeByVolume):
    """Each voxel becomes the Gaussian-weighted mean of its volume's voxels in the mask."""

    name: ClassVar[str] = "gaussian"
    presets: ClassVar[Presets] = {
        "laptop": {"fwhm": S(FWHM, "least error in DWIs of 2.5 mm phantoms at b0 SNR 20")}
    }

    fwhm: float = option(FWHM, "full width of the blur at half its height, in mm", least=0)

    def _volume(
        self, image: Float[np.ndarray, "x y z"], scan: Scan, domain: MaskAndSigma, machine: Machine
    ) -> Float[np.ndarray, "x y z"]:
        widths = sd_in_voxels(self.fwhm, scan.voxel_size, image.shape)
        return blurred(image, domain.mask, widths)


def blurred(
    image: Float[np.ndarray, "x y z"],
    mask: Bool[np.ndarray, "x y z"],
    widths: tuple[float, ...],
) -> Float[np.ndarray, "x y z"]:
    """Normalised convolution (Knutsson & Westin 1993): what lies outside the mask weighs nothing.

    ``widths`` are the Gaussian's sd in voxels. A constant inside the mask stays as it is.
    """
    weight = ndimage.gaussian_filter(mask.astype(float), widths, mode="constant")
    total = ndimage.gaussian_filter(np.where(mask, image, 0.0), widths, mode="constant")
    return np.divide(total, weight, out=image.copy(), where=mask & (weight > 0))
