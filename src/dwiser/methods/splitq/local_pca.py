"""Local principal components with optimal shrinkage, on a few channels of known noise.

Sources: Manjón et al. 2013 (10.1371/journal.pone.0073021) and Veraart et al. 2016 for PCA on
overlapping patches; Gavish & Donoho 2017 (10.1109/TIT.2017.2653801) for the shrinkage of
singular values that is optimal in squared error when the noise is known.
"""

from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dwiser.machine import Machine, limited, side_by_side
from dwiser.methods.splitq.neighbours import Centres, Grid, with_outside

CHUNK = 32_768  # voxels of patches at once: four times more take a tenth longer, and memory


def shrinkage(ratio: Float[Tensor, "c k"], aspect: Float[Tensor, "_ 1"]) -> Float[Tensor, "c k"]:
    """The weight of a component whose sample variance is ``ratio`` times the noise's.

    η(λ)/λ^½ of Gavish & Donoho (Frobenius): √((λ−γ−1)²−4γ)/λ above the edge (1+√γ)², 0 below,
    with γ = channels/samples (``aspect``).
    """
    above = ratio > (1 + aspect.sqrt()).square()
    root = ((ratio - aspect - 1).square() - 4 * aspect).clamp(min=0).sqrt()
    return torch.where(above, root / ratio.clamp(min=1e-12), torch.zeros_like(ratio))


def local_pca(
    values: Float[Tensor, "n k"],
    grid: Grid,
    offsets: Int[np.ndarray, "o 3"],
    noise: float,
    *,
    centres: Centres = "all",
    threads: int = 1,
    share: float = 1.0,
) -> Float[Tensor, "n k"]:
    """Denoise the channels of a mask's voxels, patch by overlapping patch.

    Parameters
    ----------
    values : (n, K), each channel with independent noise of variance ``noise``.
    offsets : (O, 3), the patch around its centre. centres : which voxels are.
    threads : that share the patches (on a CPU); the sums are the same on any number of them.
    share : independent samples over a patch's voxels; below 1 where their noise is correlated.

    Notes
    -----
    In each patch the channels' deviations from the patch's mean are projected on the principal
    components of their covariance and shrunk. Every voxel is the average of what the patches
    that hold it say, each weighted by one over its degrees of freedom: a patch that needed few
    components is the surer one.
    """
    padded = with_outside(values)
    total, weight = torch.zeros_like(padded), padded.new_zeros(len(padded))

    def work(rows: Int[Tensor, "c"]) -> tuple[Tensor, Tensor, Tensor]:
        around = grid.around(rows, offsets)
        clean, trust = _patches(padded[around], around < len(grid), noise, share)
        weighted = (clean * trust[..., None]).reshape(around.numel(), padded.shape[1])
        return around.reshape(-1), weighted, trust.reshape(-1)

    parts = grid.centres(centres).split(max(1, CHUNK // len(offsets)))
    # torch's own threads would stand in the way of those that share the patches
    with limited(Machine(threads=1)) if threads > 1 else nullcontext():
        for rows, weighted, trust in side_by_side(work, parts, threads):
            total.index_add_(0, rows, weighted)
            weight.index_add_(0, rows, trust)
    del padded
    total, weight = total[:-1], weight[:-1, None]
    total /= weight.clamp(min=1e-12)
    torch.where(weight > 0, total, values, out=total)  # in place: as large as the channels
    return total


def _patches(
    x: Float[Tensor, "c o k"], inside: Tensor, noise: float, share: float = 1.0
) -> tuple[Float[Tensor, "c o k"], Float[Tensor, "c o"]]:
    """Each patch denoised, and how far each of its voxels is to be trusted (0 outside)."""
    held = inside.to(x.dtype)
    count = held.sum(1, keepdim=True)
    mean = x.sum(1, keepdim=True) / count[..., None]
    centred = (x - mean) * held[..., None]
    samples, channels = x.shape[1:]
    few = samples < channels  # the smaller of the two Gram matrices has the same eigenvalues
    gram = centred @ centred.transpose(1, 2) if few else centred.transpose(1, 2) @ centred
    variance, axes = _eigh(gram / (noise * (count - 1).clamp(min=1)[..., None]))
    weights = shrinkage(variance, channels / (count * share))
    scores, loadings = (axes, axes.transpose(1, 2) @ centred) if few else (centred @ axes, axes.mT)
    clean = mean + (scores * weights[:, None]) @ loadings
    freedom = weights.sum(1, keepdim=True) + channels / count
    return clean, held / freedom


def _eigh(gram: Float[Tensor, "c s s"]) -> tuple[Float[Tensor, "c s"], Float[Tensor, "c s s"]]:
    """Eigenvalues and vectors; for some matrices of low rank LAPACK gives NaN or up in float32."""
    try:
        variance, axes = torch.linalg.eigh(gram)
    except torch.linalg.LinAlgError:
        variance, axes = (part.to(gram.dtype) for part in torch.linalg.eigh(gram.double()))
    lost = ~torch.isfinite(variance).all(1)
    if lost.any():
        decomposed = torch.linalg.eigh(gram[lost].double())
        variance[lost], axes[lost] = (part.to(gram.dtype) for part in decomposed)
    return variance, axes
