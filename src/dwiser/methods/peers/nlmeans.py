"""Non-local means of every volume by itself, by DIPY."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from dipy.denoise.nlmeans import nlmeans
from jaxtyping import Bool, Float

from dwiser.errors import Code, InputError
from dwiser.machine import Machine
from dwiser.methods.classical import MaskAndSigma, VolumeByVolume
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.scan import Scan

Algorithm: TypeAlias = Literal["classic", "blockwise"]
COUPE = "Coupé et al. 2008 (10.1109/TMI.2007.906087): searched in 11³ voxels, patches of 3³"
RICIAN = "Wiest-Daesslé et al. 2008: the squared magnitude's bias of 2σ² is taken away"
SEARCH = "our phantoms: 4 % more error than a search in 11³ voxels, in a twentieth of the time"
CLASSIC = "our phantoms: DIPY's blockwise one blurs a b0 by four times its noise"


@dataclass(frozen=True)
class NLMeans(VolumeByVolume):
    """Each voxel becomes a mean of those near it, weighted by how alike their patches are.

    Coupé et al., *An Optimized Blockwise Nonlocal Means Denoising Filter for 3-D Magnetic
    Resonance Images*, IEEE TMI 2008; Descoteaux et al. 2008 for the Rician form. DIPY's
    ``nlmeans``, with σ from the scan's map.

    Notes
    -----
    DIPY's ``classic`` algorithm looks no further than ``block_radius`` with the patch
    included: at ``block_radius <= patch_radius`` it finds nothing to average, which is refused.
    """

    name: ClassVar[str] = "nlmeans"
    divides_by_sigma: ClassVar[bool] = True
    presets: ClassVar[Presets] = {
        "paper": {
            "patch_radius": S(1, COUPE),
            "block_radius": S(5, COUPE),
            "rician": S(True, RICIAN),
            "algorithm": S("classic", "Descoteaux et al. 2008, as in DIPY before 1.12"),
        },
        "laptop": {
            "patch_radius": S(1, COUPE),
            "block_radius": S(2, SEARCH),
            "rician": S(True, RICIAN),
            "algorithm": S("classic", CLASSIC),
        },
    }

    patch_radius: int = option(1, "patches that are compared: (2r+1)³ voxels", least=1)
    block_radius: int = option(2, "where alike patches are searched: (2r+1)³ voxels", least=1)
    rician: bool = option(True, "take away the magnitude's bias")
    algorithm: Algorithm = option("classic", "which of DIPY's two: voxel by voxel, or blockwise")

    def __post_init__(self) -> None:
        refuse_idle_search(self.name, self.algorithm, self.patch_radius, self.block_radius)

    def _volume(
        self, image: Float[np.ndarray, "x y z"], scan: Scan, domain: MaskAndSigma, machine: Machine
    ) -> Float[np.ndarray, "x y z"]:
        return non_local_mean(
            image, domain.sigma, domain.mask,
            patch_radius=self.patch_radius, block_radius=self.block_radius,
            rician=self.rician, algorithm=self.algorithm, threads=machine.threads,
        )  # fmt: skip


def refuse_idle_search(
    name: str, algorithm: Algorithm, patch_radius: int, block_radius: int
) -> None:
    """An error for a search that would compare a patch with nothing but itself.

    Raises
    ------
    InputError
        For the classic algorithm with a block no larger than a patch.
    """
    if algorithm == "classic" and block_radius <= patch_radius:
        raise InputError(
            f"block_radius of {name} must be above its patch_radius {patch_radius} with the "
            f"classic algorithm, not {block_radius}: raise it, or set algorithm=blockwise.",
            code=Code.SETTING_VALUE,
        )


def non_local_mean(
    image: Float[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    mask: Bool[np.ndarray, "x y z"],
    *,
    patch_radius: int,
    block_radius: int,
    rician: bool,
    algorithm: Algorithm,
    threads: int,
) -> Float[np.ndarray, "x y z"]:
    """DIPY's filter inside the mask; ``image`` elsewhere.

    On an axis that its search overshoots, a single slice say, DIPY reads memory that is not the
    image's: short axes are made longer with their last voxels.
    """
    least = 2 * (block_radius + patch_radius) + 1
    short = [(0, max(0, least - n)) for n in image.shape]
    wide, noise = (np.pad(part, short, mode="edge") for part in (image, sigma.astype(float)))
    filtered = nlmeans(
        wide, noise, mask=np.pad(mask, short), patch_radius=patch_radius,
        block_radius=block_radius, rician=rician, num_threads=threads, method=algorithm,
    )  # fmt: skip
    x, y, z = image.shape
    return np.where(mask, filtered[:x, :y, :z], image)
