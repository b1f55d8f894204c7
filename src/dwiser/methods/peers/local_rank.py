"""How many components DIPY's patches keep, which DIPY does not return: counted once more.

The eigenvalues of every patch again, without the vectors: a third of the filter's time or so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from dwiser.machine import Machine, limited, side_by_side

CHUNK = 256  # patches at once
# (eigenvalues (c, V) ascending, places (c, 3) of the patches' middles) → least variance kept (c,)
Threshold = Callable[[np.ndarray, np.ndarray], np.ndarray]


def kept_components(
    data: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    radius: Int[np.ndarray, "3"],
    threshold: Threshold,
    *,
    threads: int = 1,
) -> Float[np.ndarray, "x y z"]:
    """The rank of each voxel: of the patches that hold it, averaged as the filter averages them.

    Parameters
    ----------
    data : the raw series. mask : where patches have their middles.
    radius : of a patch along x, y and z.
    threshold : the least variance that a component has to have to be kept.
    threads : that share the patches.

    Notes
    -----
    Patches count by 1/(1 + rank), so that the mean of 1 + rank is their number over the sum of
    these. A patch's mean is no component. Voxels in no patch come back unchanged: they have V.
    """
    size = tuple(int(n) for n in 2 * radius + 1)
    samples, volumes = int(np.prod(size)), data.shape[3]
    inner = np.zeros_like(mask)
    within = tuple(slice(int(r), n - int(r)) for r, n in zip(radius, mask.shape, strict=True))
    inner[within] = mask[within]
    middles = np.argwhere(inner)
    windows = sliding_window_view(data, size, axis=(0, 1, 2))

    def rank_of(part: slice) -> np.ndarray:
        places = middles[part]
        corner = places - radius
        x = windows[corner[:, 0], corner[:, 1], corner[:, 2]].astype(float)
        x = x.reshape(len(places), volumes, samples)
        x -= x.mean(-1, keepdims=True)
        eigenvalues = np.linalg.eigvalsh(x @ x.mT / samples)
        return np.asarray((eigenvalues >= threshold(eigenvalues, places)[:, None]).sum(1))

    parts = [slice(low, low + CHUNK) for low in range(0, len(middles), CHUNK)]
    weight = np.zeros(mask.shape)
    with limited(Machine(threads=1)):
        for part, rank in zip(parts, side_by_side(rank_of, parts, threads), strict=True):
            weight[tuple(middles[part].T)] = 1 / (1.0 + rank)
    number, total = (
        ndimage.uniform_filter(image.astype(float), size, mode="constant") * samples
        for image in (inner, weight)
    )
    covered = number > 0.5
    rank = np.divide(number, total, out=np.full(mask.shape, volumes + 1.0), where=covered) - 1
    return np.where(mask, rank, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class TauOfSigma:
    """DIPY's ``localpca``: (τ·σ)² of the patch's middle."""

    sigma: Float[np.ndarray, "x y z"]
    tau: float

    def __call__(
        self, eigenvalues: Float[np.ndarray, "c v"], places: Int[np.ndarray, "c 3"]
    ) -> Float[np.ndarray, "c"]:
        return np.asarray((self.tau * self.sigma[tuple(places.T)]) ** 2, float)


@dataclass(frozen=True)
class MarchenkoPastur:
    """DIPY's ``mppca``: the edge of the law that the patch's lower eigenvalues follow."""

    samples: int

    def __call__(
        self, eigenvalues: Float[np.ndarray, "c v"], places: Int[np.ndarray, "c 3"]
    ) -> Float[np.ndarray, "c"]:
        from dipy.denoise.localpca import _pca_classifier  # not public, and nothing else tells

        variance = np.array([_pca_classifier(row, self.samples)[0] for row in eigenvalues])
        return edge(eigenvalues.shape[1], self.samples) ** 2 * variance


def edge(volumes: int, samples: int) -> float:
    """τ of the Marchenko–Pastur law, 1 + √(V/N), as DIPY takes it."""
    return 1 + float(np.sqrt(volumes / samples))
