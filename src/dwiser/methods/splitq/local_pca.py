"""Local principal components with optimal shrinkage, on a few channels of known noise.

Sources: Manjón et al. 2013 (10.1371/journal.pone.0073021) and Veraart et al. 2016 for PCA on
overlapping patches; Gavish & Donoho 2017 (10.1109/TIT.2017.2653801) for the shrinkage of
singular values that is optimal in squared error when the noise is known.
"""

from contextlib import nullcontext
from types import ModuleType

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.compiled import patches
from dwiser.machine import Machine, limited, side_by_side
from dwiser.methods.splitq.arrays import Array, add_to_rows, namespace, rows_at, slices
from dwiser.methods.splitq.neighbours import Centres, Grid, with_outside

CHUNK = 32_768  # voxels of patches at once: four times more take a tenth longer, and memory
COMPILED_MOST = 48  # the smaller side of a patch; Jacobi's rotations of larger ones are no faster
PART = 1024  # patches at least that the compiled code adds up before others do
PLANES = 4  # of patches in a part, at least: it reaches two more on either side


def shrinkage(ratio: Float[Array, "c k"], aspect: Float[Array, "_ 1"]) -> Float[Array, "c k"]:
    """The weight of a component whose sample variance is ``ratio`` times the noise's.

    η(λ)/λ^½ of Gavish & Donoho (Frobenius): √((λ−γ−1)²−4γ)/λ above the edge (1+√γ)², 0 below,
    with γ = channels/samples (``aspect``).
    """
    above = ratio > (1 + aspect**0.5) ** 2
    root = ((ratio - aspect - 1) ** 2 - 4 * aspect).clip(min=0) ** 0.5
    return root / ratio.clip(min=1e-12) * above


def local_pca(
    values: Float[Array, "n k"],
    grid: Grid,
    offsets: Int[np.ndarray, "o 3"],
    noise: float,
    *,
    centres: Centres = "all",
    threads: int = 1,
    share: float = 1.0,
) -> Float[Array, "n k"]:
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
    way = _by_arrays if _compiled(values, offsets) is None else _by_compiled_code
    # threads of BLAS or torch would stand in the way of those that share the patches
    with limited(Machine(threads=1)) if threads > 1 else nullcontext():
        total, weight = way(values, grid, offsets, grid.centres(centres), noise, share, threads)

    def divide(part: slice) -> None:
        total[part] /= weight[part, None].clip(min=1e-12)
        alone = weight[part] == 0  # in no patch
        if alone.any():
            total[part][alone] = values[part][alone]

    list(side_by_side(divide, slices(len(values), CHUNK), threads))
    return total


def _compiled(values: Array, offsets: Int[np.ndarray, "o 3"]) -> ModuleType | None:
    """The compiled code, where it is there and made for such arrays and patches."""
    small = min(len(offsets), values.shape[1]) <= COMPILED_MOST
    return patches if small and isinstance(values, np.ndarray) else None


def _by_compiled_code(
    values: Float[Array, "n k"], grid: Grid, offsets: Int[np.ndarray, "o 3"],
    centres: Int[Array, "c"], noise: float, share: float, threads: int,
) -> tuple[Float[Array, "n k"], Float[Array, "n"]]:  # fmt: skip
    """`_by_arrays`, compiled: each part adds its patches up on its own, in the rows it reaches."""
    values, steps = np.ascontiguousarray(values, np.float32), offsets @ grid.strides
    total, weight = np.zeros_like(values), np.zeros_like(values[:, 0])

    def work(part: slice) -> tuple[slice, Array, Array]:
        middles = grid.at[centres[part]]
        ends = np.array([middles[0] + steps.min(), middles[-1] + steps.max() + 1])
        low, high = np.searchsorted(grid.at, ends).tolist()
        sums = np.zeros((high - low, values.shape[1]), np.float32), np.zeros(high - low, np.float32)
        patches.denoise(values, grid.index, middles, steps, noise, share, low, *sums)
        return slice(low, high), *sums

    size = max(PART, PLANES * len(centres) // grid.planes)
    for rows, own, trust in side_by_side(work, slices(len(centres), size), threads):
        total[rows] += own
        weight[rows] += trust
    return total, weight


def _by_arrays(
    values: Float[Array, "n k"], grid: Grid, offsets: Int[np.ndarray, "o 3"],
    centres: Int[Array, "c"], noise: float, share: float, threads: int,
) -> tuple[Float[Array, "n k"], Float[Array, "n"]]:  # fmt: skip
    """The sums over patches of their voxels denoised and times their trust, and of the trust."""
    xp, padded = namespace(values), with_outside(values)
    total, weight = xp.zeros_like(padded), xp.zeros_like(padded[:, 0])

    def work(part: slice) -> tuple[Array, Array, Array]:
        around = grid.around(centres[part], offsets)
        clean, trust = _patches(rows_at(padded, around), around < len(grid), noise, share)
        return around, clean * trust[..., None], trust

    size = max(1, CHUNK // len(offsets))
    for around, clean, trust in side_by_side(work, slices(len(centres), size), threads):
        add_to_rows(total, around, clean)
        add_to_rows(weight, around, trust)
    return total[: len(values)], weight[: len(values)]


def _patches(
    x: Float[Array, "c o k"], inside: Bool[Array, "c o"], noise: float, share: float = 1.0
) -> tuple[Float[Array, "c o k"], Float[Array, "c o"]]:
    """Each patch denoised, and how far each of its voxels is to be trusted (0 outside)."""
    held = namespace(x).asarray(inside, dtype=x.dtype)
    count = held.sum(1, keepdims=True)
    mean = held[:, None] @ x / count[..., None]
    centred = (x - mean) * held[..., None]
    samples, channels = x.shape[1:]
    few = samples < channels  # the smaller of the two Gram matrices has the same eigenvalues
    gram = centred @ centred.mT if few else centred.mT @ centred
    variance, axes = _eigh(gram / (noise * (count - 1).clip(min=1)[..., None]))
    weights = shrinkage(variance, channels / (count * share))
    scores, loadings = (axes, axes.mT @ centred) if few else (centred @ axes, axes.mT)
    clean = mean + (scores * weights[:, None]) @ loadings
    freedom = weights.sum(1, keepdims=True) + channels / count
    return clean, held / freedom


def _eigh(gram: Float[Array, "c s s"]) -> tuple[Float[Array, "c s"], Float[Array, "c s s"]]:
    """Eigenvalues and vectors; for some matrices of low rank LAPACK gives NaN or up in float32."""
    xp = namespace(gram)
    try:
        variance, axes = xp.linalg.eigh(gram)
    except xp.linalg.LinAlgError:
        return _eigh_in_double(gram)
    lost = ~xp.isfinite(variance).all(1)
    if lost.any():
        variance[lost], axes[lost] = _eigh_in_double(gram[lost])
    return variance, axes


def _eigh_in_double(gram: Float[Array, "c s s"]) -> tuple[Array, Array]:
    """The same, asked for in float64."""
    xp = namespace(gram)
    variance, axes = xp.linalg.eigh(xp.asarray(gram, dtype=xp.float64))
    return xp.asarray(variance, dtype=gram.dtype), xp.asarray(axes, dtype=gram.dtype)
