"""Adaptive soft coefficient matching of every volume by itself, by DIPY."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from dipy.denoise.adaptive_soft_matching import adaptive_soft_matching
from dipy.denoise.noise_estimate import estimate_sigma
from jaxtyping import Float

from dwiser.machine import Machine
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.classical import MaskAndSigma, VolumeByVolume
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.methods.peers.nlmeans import Algorithm, non_local_mean, refuse_idle_search
from dwiser.scan import Scan

FINE, COARSE = 1, 2  # patch radii of the two passes: Coupé et al. 2012
PEAK = 255.0  # range of the images in Coupé et al. 2012: the matching's 0.01 is in their units
LEAST_EDGE = 9  # voxels: on shorter axes DIPY's wavelet transform does not invert itself
PEER = "ASCM as compared by Wu et al., ICLR 2025: DIPY's example"


@dataclass(frozen=True)
class ASCM(VolumeByVolume):
    """Two non-local means, one sharp and one smooth, matched in the wavelet domain.

    Coupé, Manjón, Robles, Collins, *Adaptive Multiresolution Non-Local Means Filter for 3D MR
    Image Denoising*, IET Image Processing 2012. DIPY's ``nlmeans`` with patch radius 1 and 2,
    and ``adaptive_soft_matching``.

    Notes
    -----
    The matching's soft threshold is in absolute units, so the scan is brought to a maximum of
    255 before it and back after it: scaling the input scales the output. The ``paper`` preset
    is worse than the noisy scan (on phantoms its b0s err four times as much): a block radius
    of 1 averages all 3³ neighbours nearly alike.
    """

    name: ClassVar[str] = "ascm"
    divides_by_sigma: ClassVar[bool] = True
    presets: ClassVar[Presets] = {
        "paper": {
            "sigma": S("estimate", f"{PEER}, estimate_sigma on every volume"),
            "block_radius": S(1, PEER),
            "rician": S(True, PEER),
            "algorithm": S("blockwise", f"{PEER}; what DIPY's nlmeans does by default"),
        },
        "laptop": {
            "sigma": S("map", "estimate_sigma takes a b0's edges for noise: 160 for 36"),
            "block_radius": S(3, "the least in which patches of radius 2 can be searched"),
            "rician": S(True, PEER),
            "algorithm": S("classic", "our phantoms: a quarter of the blockwise one's b0 error"),
        },
    }

    sigma: Literal["map", "estimate"] = option(
        "map", "the noise: our map (its mean, for the matching), or DIPY's estimate_sigma"
    )
    block_radius: int = option(3, "where alike patches are searched: (2r+1)³ voxels", least=1)
    rician: bool = option(True, "take away the magnitude's bias")
    algorithm: Algorithm = option("classic", "which of DIPY's two: voxel by voxel, or blockwise")

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do; DIPY's estimate_sigma may stand in for the σ map."""
        return replace(super().capabilities, takes_noise_map=self.sigma == "map")

    def __post_init__(self) -> None:
        refuse_idle_search(self.name, self.algorithm, COARSE, self.block_radius)

    def _volume(
        self, image: Float[np.ndarray, "x y z"], scan: Scan, domain: MaskAndSigma, machine: Machine
    ) -> Float[np.ndarray, "x y z"]:
        sigma = domain.sigma
        if self.sigma == "estimate":
            sigma = np.full(image.shape, float(estimate_sigma(image)[0]), np.float32)
        fine, coarse = (
            non_local_mean(
                image, sigma, domain.mask, patch_radius=radius, block_radius=self.block_radius,
                rician=self.rician, algorithm=self.algorithm, threads=machine.threads,
            )
            for radius in (FINE, COARSE)
        )  # fmt: skip
        unit = PEAK / float(scan.data.max())
        return (
            matched(image * unit, fine * unit, coarse * unit, sigma[domain.mask].mean() * unit)
            / unit
        )


def matched(
    image: Float[np.ndarray, "x y z"],
    fine: Float[np.ndarray, "x y z"],
    coarse: Float[np.ndarray, "x y z"],
    sigma: float | np.floating,
) -> Float[np.ndarray, "x y z"]:
    """DIPY's matching, on images long enough along every axis for its wavelets."""
    short = [(0, max(0, LEAST_EDGE - n)) for n in image.shape]
    wide = [np.pad(part, short, mode="edge") for part in (image, fine, coarse)]
    x, y, z = image.shape
    return adaptive_soft_matching(*wide, float(sigma))[:x, :y, :z]
