"""Marchenko–Pastur PCA on sliding patches, by DIPY, in parallel over slabs."""

import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
from dipy.denoise.localpca import mppca
from jaxtyping import Bool, Float, Int
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from dwiser.errors import DwiserWarning, InputError
from dwiser.machine import Machine
from dwiser.methods.classical import TASK, Classical, Filtered, Ground
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.scan import Scan
from dwiser.watch import Progress, Watch

WORTH_A_PROCESS = 5000  # voxels: below that, starting a process costs more than it saves
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
    the threads of the machine become processes that each take a slab of slices. A slab reaches
    two patch radii further than the slices it answers for, which is all that those depend on:
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

    def _filter(
        self, scan: Scan, ground: Ground, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        radius = np.minimum(self.patch_radius, (np.array(scan.shape[:3]) - 1) // 2)
        if not radius.any():
            raise InputError("mppca needs at least 3 voxels along one axis: there is no patch.")
        self._warn_of_wide_patches(scan.shape[3], radius)
        most = max(1, int(ground.mask.sum()) // WORTH_A_PROCESS)
        parts = slabs(ground.mask, int(radius[2]), min(machine.threads, most))
        data, sigma = np.full_like(scan.data, np.nan), np.zeros(scan.shape[:3], np.float32)
        work = (
            delayed(denoise_slab)(
                scan.data[:, :, part.outer], ground.mask[:, :, part.outer], radius, self.pca_method
            )
            for part in parts
        )
        answers = Parallel(n_jobs=len(parts), return_as="generator")(work)
        for done, (part, (values, sd)) in enumerate(zip(parts, answers, strict=True), 1):
            data[:, :, part.inner] = values[:, :, part.within]
            sigma[:, :, part.inner] = sd[:, :, part.within]
            watch(Progress(TASK, done, len(parts), "slabs"))
        own = sigma[ground.mask & (sigma > 0)]
        record = {
            "patch_radius_by_axis": radius.tolist(),
            "processes": len(parts),
            "its_own_sigma_median": float(np.median(own)) if own.size else None,
        }
        return Filtered(data, record=record)

    def _warn_of_wide_patches(self, volumes: int, radius: np.ndarray) -> None:
        samples = int(np.prod(2 * radius + 1))
        if samples - 1 < volumes:
            warnings.warn(
                f"mppca sees {samples} voxels a patch but {volumes} volumes, and removes less "
                "noise than it could: raise patch_radius.",
                DwiserWarning,
                stacklevel=4,
            )


@dataclass(frozen=True)
class Slab:
    """Slices along z that one process answers for (``inner``), and those it needs (``outer``)."""

    inner: slice
    outer: slice

    @property
    def within(self) -> slice:
        """The inner slices, counted from the outer ones' first."""
        return slice(self.inner.start - self.outer.start, self.inner.stop - self.outer.start)


def slabs(mask: Bool[np.ndarray, "x y z"], radius: int, parts: int) -> list[Slab]:
    """Cut the mask's slices into about ``parts`` slabs of as many mask voxels each."""
    voxels = mask.sum((0, 1))
    held = np.flatnonzero(voxels)
    first, last = int(held[0]), int(held[-1]) + 1
    share = np.cumsum(voxels) / voxels.sum()
    cuts = np.searchsorted(share, np.arange(1, parts) / parts) + 1
    edges = np.unique(np.concatenate([[first], cuts.clip(first, last), [last]])).tolist()
    depth = mask.shape[2]
    return [
        Slab(slice(a, b), slice(max(0, a - 2 * radius), min(depth, b + 2 * radius)))
        for a, b in pairwise(edges)
    ]


def denoise_slab(
    data: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    radius: Int[np.ndarray, "3"],
    pca_method: str,
) -> tuple[Float[np.ndarray, "x y z v"], Float[np.ndarray, "x y z"]]:
    """DIPY's ``mppca`` on one thread: the data and σ; NaN in voxels that no patch covers."""
    with threadpool_limits(1), np.errstate(invalid="ignore", divide="ignore"):
        values, sigma = mppca(
            data, mask=mask, patch_radius=radius, pca_method=pca_method,
            return_sigma=True, suppress_warning=True,
        )  # fmt: skip
    return values, np.nan_to_num(sigma)
