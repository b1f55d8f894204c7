"""Marchenko–Pastur PCA on sliding patches, by DIPY, in parallel over slabs."""

import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from dipy.denoise.localpca import mppca
from jaxtyping import Bool, Float, Int
from threadpoolctl import threadpool_limits

from dwiser.errors import DwiserWarning
from dwiser.machine import Machine
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.classical import Classical, Filtered, MaskAndSigma
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.methods.peers.local_rank import MarchenkoPastur, kept_components
from dwiser.methods.peers.slabs import filter_in_slabs, radius_by_axis
from dwiser.scan import Scan
from dwiser.watch import Watch

PEER = "MPPCA as compared by Wu et al., ICLR 2025: DIPY's mppca, patch radius 2"


@dataclass(frozen=True)
class MPPCA(Classical):
    """In every patch, principal components under the Marchenko–Pastur edge are set to zero.

    Veraart et al., *Denoising of diffusion MRI using random matrix theory*, NeuroImage 2016
    (10.1016/j.neuroimage.2016.08.016). DIPY's ``mppca``.

    Notes
    -----
    DIPY walks voxel by voxel through matrices of V × V. A second BLAS thread makes that 25
    times slower (14 ms a voxel instead of 0.6), so each process is held to one thread, and
    the threads of the machine become processes that each take a slab of slices (``slabs``):
    the result is that of one call, to the bit. Along axes shorter than a patch the radius
    shrinks to fit.
    """

    name: ClassVar[str] = "mppca"
    presets: ClassVar[Presets] = {
        "paper": {"patch_radius": S(2, PEER), "pca_method": S("eig", PEER)},
        "laptop": {"patch_radius": S(2, PEER), "pca_method": S("eig", PEER)},
    }

    patch_radius: int = option(2, "patches of (2r+1)³ voxels", least=1)
    pca_method: Literal["eig", "svd"] = option("eig", "eigenvalues (faster), or singular values")
    rank_map: bool = option(False, "also how many components are kept at each voxel")

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do."""
        return replace(super().capabilities, gives_rank=True)

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        radius = radius_by_axis(self.name, self.patch_radius, scan)
        warn_of_wide_patches(self.name, scan.shape[3], radius)
        data, sigma, processes = filter_in_slabs(
            partial(denoise_slab, self.pca_method), scan.data, domain.mask, domain.sigma, radius,
            threads=machine.threads, watch=watch,
        )  # fmt: skip
        positive = sigma[domain.mask & (sigma > 0)]
        record = {
            "patch_radius_by_axis": radius.tolist(),
            "processes": processes,
            "its_own_sigma_median": float(np.median(positive)) if positive.size else None,
        }
        rank = None
        if self.rank_map:
            law = MarchenkoPastur(int(np.prod(2 * radius + 1)))
            rank = kept_components(scan.data, domain.mask, radius, law, threads=machine.threads)
        return Filtered(data, record=record, rank=rank)


def warn_of_wide_patches(name: str, volumes: int, radius: Int[np.ndarray, "3"]) -> None:
    """Say that a patch has fewer voxels than there are volumes: noise components look alike."""
    samples = int(np.prod(2 * radius + 1))
    if samples - 1 < volumes:
        warnings.warn(
            f"{name} sees {samples} voxels a patch but {volumes} volumes, and removes less "
            "noise than it could: raise patch_radius.",
            DwiserWarning,
            stacklevel=5,
        )


def denoise_slab(
    pca_method: str,
    data: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    radius: Int[np.ndarray, "3"],
) -> tuple[Float[np.ndarray, "x y z v"], Float[np.ndarray, "x y z"]]:
    """DIPY's ``mppca`` on one thread: the data and its own σ; NaN in voxels no patch covers."""
    with threadpool_limits(1), np.errstate(invalid="ignore", divide="ignore"):
        values, sigma_map = mppca(
            data, mask=mask, patch_radius=radius, pca_method=pca_method,
            return_sigma=True, suppress_warning=True,
        )  # fmt: skip
    return values, np.nan_to_num(sigma_map)
