"""Directions across volumes in which the scan as a whole shows noise and no signal.

The leading components of the volumes' covariance over the mask hold most of the signal. What is
orthogonal to them is noise, untouched by any smoothing in space: its spatial correlation is the
scan's own. Each half of the mask gets its directions from the other half, so that they do not
adapt to the noise that they are to measure.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.seeds import stream

SIGNAL_SHARE = 2  # at most half of the volumes are taken for signal
FEWEST_NOISE = 12  # directions that remain at least: fewer cannot be separated from local signal
VOXELS_PER_VOLUME = 10  # that a half's covariance needs; smaller masks get no common components
MOST_VOXELS = 30_000  # of a half, for its covariance
BLOCK = 8  # voxels along the longest axis that go to one half


@dataclass(frozen=True, eq=False)
class NoiseDirections:
    """Orthonormal directions without the scan's common signal.

    Parameters
    ----------
    basis : (2, V, D), for the voxels of either half; a voxel's data @ basis has noise of the
        data's own variance.
    half : (X, Y, Z) 0 or 1, which half a voxel belongs to.
    """

    basis: Float[np.ndarray, "2 v d"]
    half: Int[np.ndarray, "x y z"]

    @property
    def count(self) -> int:
        return self.basis.shape[2]

    @property
    def rank(self) -> int:
        """How many common components were removed."""
        return self.basis.shape[1] - self.count

    def volume_share(self, half: int) -> Float[np.ndarray, "v"]:
        """How much of each volume's noise variance is in the directions; their mean is D/V."""
        return np.square(self.basis[half]).sum(1)


def noise_directions(
    data: Float[np.ndarray, "x y z v"], mask: Bool[np.ndarray, "x y z"]
) -> NoiseDirections:
    """The directions orthogonal to the mask's leading components, mixed at random.

    Notes
    -----
    With V volumes min(V/2, V − 12) components are removed, none where the mask has fewer than
    20 voxels a volume. Mixing makes any subset of the directions as good as another.
    """
    volumes = data.shape[3]
    half = _blocks(mask.shape)
    voxels = [np.argwhere(mask & (half == side)) for side in (0, 1)]
    few = min(len(v) for v in voxels) < VOXELS_PER_VOLUME * volumes
    rank = 0 if few else max(0, min(volumes // SIGNAL_SHARE, volumes - FEWEST_NOISE))
    size = volumes - rank
    mixing = np.linalg.qr(stream(0, "noise directions").standard_normal((size, size)))[0]
    if rank == 0:
        return NoiseDirections(np.stack([mixing, mixing]).astype(np.float32), half)
    basis = [_complement(data, voxels[1 - side], rank) @ mixing for side in (0, 1)]
    return NoiseDirections(np.stack(basis).astype(np.float32), half)


def _blocks(shape: tuple[int, ...]) -> Int[np.ndarray, "x y z"]:
    """0 and 1 in turns along the longest axis."""
    axis = int(np.argmax(shape))
    turns = np.arange(shape[axis]) // BLOCK % 2
    return np.broadcast_to(np.expand_dims(turns, [a for a in range(3) if a != axis]), shape)


def _complement(
    data: Float[np.ndarray, "x y z v"], voxels: Int[np.ndarray, "n 3"], rank: int
) -> Float[np.ndarray, "v d"]:
    """What is orthogonal to the leading components of these voxels' second moment."""
    voxels = voxels[:: -(-len(voxels) // MOST_VOXELS)]
    y = data[tuple(voxels.T)]
    moment = (y.T @ y).astype(np.float64)
    return np.linalg.eigh(moment)[1][:, : data.shape[3] - rank]
