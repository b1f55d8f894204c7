"""Local PCA with a threshold from a σ map, by DIPY, in parallel over slabs."""

import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from dipy.core.gradients import gradient_table
from dipy.denoise.localpca import localpca
from dipy.denoise.pca_noise_estimate import pca_noise_estimate
from jaxtyping import Bool, Float, Int
from threadpoolctl import threadpool_limits

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.machine import Machine
from dwiser.methods.capabilities import Capabilities, WorkingMemory
from dwiser.methods.classical import Classical, Filtered, MaskAndSigma
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.methods.peers.directions import any_directions
from dwiser.methods.peers.local_rank import TauOfSigma, edge, kept_components
from dwiser.methods.peers.mppca import warn_of_wide_patches
from dwiser.methods.peers.slabs import filter_in_slabs, radius_by_axis
from dwiser.scan import Scan
from dwiser.watch import Watch

MANJON = "Manjón et al. 2013 (10.1371/journal.pone.0073021)"
DIPY = "DIPY 1.12's default"
SMOOTHER = "a phantom: σ from 0.83 to 0.99 of the true one (5-95 %); with DIPY's 2, to 1.02"
SIGMA_RADIUS = 1  # voxels: DIPY's patches for σ are 3³
FEWEST_FOR_SIGMA = 6  # DWIs beside a single b0: DIPY's σ of 3 was 1.5 times too high, of 1 2.5

MEASURED = WorkingMemory(2.3, 1.5)  # benchmarks/memory.py


@dataclass(frozen=True)
class LocalPCA(Classical):
    """In every patch, principal components with less variance than (τ·σ)² are set to zero.

    Manjón, Coupé, Concha, Buades, Collins, Robles, *Diffusion Weighted Image Denoising Using
    Overcomplete Local PCA*, PLoS ONE 2013 (10.1371/journal.pone.0073021). DIPY's ``localpca``,
    with σ from DIPY's ``pca_noise_estimate`` (equation 8 there corrects the magnitude's bias).

    Notes
    -----
    DIPY estimates σ from the b0s alone where there are two or more, from the DWIs otherwise;
    with a single b0 and fewer than six DWIs it is too high, and a warning says so. Its smoothing
    mixes in the background: at the 5th percentile of a phantom's mask σ was 0.83 of the true
    one, and 0.68 where the background was set to zero. ``sigma=map`` takes the scan's map
    instead: the user's (``--noise-map``), or dwiser's own estimate.

    The scan is filtered in slabs of slices as ``mppca`` does.
    """

    name: ClassVar[str] = "localpca"
    presets: ClassVar[Presets] = {
        "paper": {
            "patch_radius": S(2, DIPY),
            "tau_factor": S(2.3, MANJON),
            "smooth": S(2, DIPY),
            "pca_method": S("eig", DIPY),
        },
        "laptop": {
            "patch_radius": S(2, DIPY),
            "tau_factor": S(2.3, MANJON),
            "smooth": S(3, SMOOTHER),
            "pca_method": S("eig", DIPY),
        },
    }

    patch_radius: int = option(2, "patches of (2r+1)³ voxels", least=1)
    tau_factor: float | None = option(
        2.3, "τ, in units of σ; none: the edge of the Marchenko-Pastur law", least=0
    )
    sigma: Literal["estimate", "map"] = option(
        "estimate", "the noise: DIPY's pca_noise_estimate, or the scan's own map (--noise-map)"
    )
    smooth: int = option(3, "sd in voxels of the Gaussian that smooths DIPY's estimate", least=0)
    pca_method: Literal["eig", "svd"] = option("eig", "eigenvalues (faster), or singular values")
    rank_map: bool = option(False, "also how many components are kept at each voxel")

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do; DIPY's estimate may stand in for the σ map."""
        return replace(
            super().capabilities, takes_noise_map=self.sigma == "map", gives_rank=True,
            memory=MEASURED,
        )  # fmt: skip

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        radius = radius_by_axis(self.name, self.patch_radius, scan)
        warn_of_wide_patches(self.name, scan.shape[3], radius)
        sigma = domain.sigma if self.sigma == "map" else estimated_sigma(scan, self.smooth)
        data, _, processes = filter_in_slabs(
            partial(denoise_slab, self.pca_method, self.tau_factor),
            scan.data, domain.mask, sigma, radius, threads=machine.threads, watch=watch,
        )  # fmt: skip
        record = {
            "patch_radius_by_axis": radius.tolist(),
            "processes": processes,
            "its_own_sigma_median": float(np.median(sigma[domain.mask])),
        }
        rank = None
        if self.rank_map:
            least = edge(scan.shape[3], int(np.prod(2 * radius + 1)))
            tau = TauOfSigma(sigma, least if self.tau_factor is None else self.tau_factor)
            rank = kept_components(scan.data, domain.mask, radius, tau, threads=machine.threads)
        return Filtered(data, record=record, rank=rank)


def estimated_sigma(scan: Scan, smooth: int) -> Float[np.ndarray, "x y z"]:
    """DIPY's ``pca_noise_estimate`` with the magnitude's bias corrected, in the data's units.

    Raises
    ------
    InputError
        For an axis of two voxels, which has no patch of three and is no single slice.
    """
    if 2 in scan.shape[:3]:
        raise InputError(
            "DIPY's pca_noise_estimate needs one voxel or at least 3 along each axis: set "
            "sigma=map, or take mppca.",
            code=Code.SCAN_TOO_SMALL,
        )
    g = scan.gradients
    b0s = int(g.is_b0.sum())
    if b0s < 2 and len(g) - b0s < FEWEST_FOR_SIGMA:
        warnings.warn(
            f"DIPY's σ is too high for a scan with {b0s} b0 and {len(g) - b0s} diffusion-weighted "
            "volumes, and localpca removes too much: set sigma=map.",
            DwiserWarning,
            stacklevel=4,
        )
    table = gradient_table(g.bvals, bvecs=any_directions(g), b0_threshold=g.b0_threshold)
    sigma = pca_noise_estimate(
        scan.data, table, patch_radius=SIGMA_RADIUS, correct_bias=True, smooth=smooth
    )
    return np.nan_to_num(sigma).astype(np.float32)


def denoise_slab(
    pca_method: str,
    tau_factor: float | None,
    data: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    radius: Int[np.ndarray, "3"],
) -> tuple[Float[np.ndarray, "x y z v"], Float[np.ndarray, "x y z"]]:
    """DIPY's ``localpca`` on one thread: the data, NaN in voxels no patch covers; σ as it came."""
    with threadpool_limits(1), np.errstate(invalid="ignore", divide="ignore"):
        values = localpca(
            data, sigma=sigma, mask=mask, patch_radius=radius, pca_method=pca_method,
            tau_factor=tau_factor, suppress_warning=True,
        )  # fmt: skip
    return values, sigma
