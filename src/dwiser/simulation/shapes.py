"""Shapes with soft, one-voxel edges: half-spaces, sheets and tubes on a voxel grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

HEAD_SHARE = 0.46  # semi-axis over the field of view: some voxels of air on each side
SLAB_SHARE = 0.35  # a grid of few slices is a slab cut from a head that is nearly round
SAMPLES = 4  # points on a curve for each voxel of its extent

Field = Float[np.ndarray, "x y z"]
Points = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Frame:
    """The head's own coordinates on a grid: 0 at its centre, 1 at its surface on each axis.

    Parameters
    ----------
    shape : (X, Y, Z) of the grid.
    """

    shape: tuple[int, int, int]

    @property
    def semi(self) -> Float[np.ndarray, "3"]:
        """The head's semi-axes in voxels."""
        n = np.array(self.shape, float)
        others = np.sqrt(n.prod() / n)
        return np.maximum(HEAD_SHARE * n, SLAB_SHARE * others)

    @property
    def unit(self) -> float:
        """Voxels in one unit of the head's coordinates, the mean of the three axes."""
        return float(self.semi.mean())

    def points(self, finer: int = 1) -> Points:
        """The voxel centres' head coordinates as an open grid.

        Parameters
        ----------
        finer : samples for each voxel and axis.

        Returns
        -------
        x (X, 1, 1), y (1, Y, 1), z (1, 1, Z), float32
        """
        axes = [
            ((np.arange(n * finer) + 0.5) / finer - n / 2) / semi
            for n, semi in zip(self.shape, self.semi, strict=True)
        ]
        x, y, z = np.ix_(*(a.astype(np.float32) for a in axes))
        return x, y, z

    def axes_of(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Float[np.ndarray, "x y z 3"]:
        """Head-coordinate vectors as unit vectors along the voxel axes.

        Parameters
        ----------
        x, y, z : components, broadcast to the grid.

        Returns
        -------
        (X, Y, Z, 3) float32
        """
        scaled = [c * s for c, s in zip((x, y, z), self.semi, strict=True)]
        full = [np.broadcast_to(c, self.shape) for c in scaled]
        return unit(np.stack(full, axis=-1).astype(np.float32))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to length 1.

    Parameters
    ----------
    vectors : (..., 3)

    Returns
    -------
    (..., 3); a vector of length 0 becomes the first axis
    """
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    safe = np.where(length > 0, length, 1)
    return np.where(length > 0, vectors / safe, np.eye(3, dtype=vectors.dtype)[0])


def smooth_step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """A smooth step, 3t² − 2t³ between two limits.

    Parameters
    ----------
    value : any shape.
    low, high : where the step begins and ends.

    Returns
    -------
    Of the shape of ``value``: 0 below ``low``, 1 above ``high``
    """
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def distance(phi: Field) -> Field:
    """First-order signed distance to the surface where a field is 0.

    Parameters
    ----------
    phi : (X, Y, Z), negative inside.

    Returns
    -------
    (X, Y, Z) in voxels, negative inside
    """
    along = [axis for axis, n in enumerate(phi.shape) if n > 1]
    slopes = [np.gradient(phi, axis=axis) for axis in along]
    steep = np.sqrt(sum(s * s for s in slopes))
    return phi / np.maximum(steep, np.finfo(np.float32).tiny)


def inside(distances: Field) -> Field:
    """The share of a voxel inside a flat edge.

    Parameters
    ----------
    distances : signed distance of the voxel's centre to the edge, in voxels.

    Returns
    -------
    float32 in [0, 1], of the same shape
    """
    return np.clip(0.5 - distances, 0, 1).astype(np.float32)


def sheet(distances: Field, half: float) -> Field:
    """The share of a voxel covered by a flat sheet.

    Parameters
    ----------
    distances : signed distance of the voxel's centre to the sheet's middle, in voxels.
    half : half of the sheet's thickness in voxels.

    Returns
    -------
    float32 in [0, 1], of the same shape
    """
    low, high = np.maximum(distances - 0.5, -half), np.minimum(distances + 0.5, half)
    return np.clip(high - low, 0, 1).astype(np.float32)


def coarsen(field: np.ndarray, finer: int) -> Field:
    """The mean over blocks of samples.

    Parameters
    ----------
    field : (X finer, Y finer, Z finer)
    finer : samples along each axis of a block.

    Returns
    -------
    (X, Y, Z) float32
    """
    x, y, z = (n // finer for n in field.shape)
    blocks = field.reshape(x, finer, y, finer, z, finer)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)


def tube(
    frame: Frame, controls: Float[np.ndarray, "k 3"], radius: float
) -> tuple[Field, Float[np.ndarray, "x y z 3"]]:
    """A curved tube through control points.

    Parameters
    ----------
    frame : the head's coordinates on the grid.
    controls : (k, 3) points in head coordinates.
    radius : in voxels.

    Returns
    -------
    share : (X, Y, Z) share of each voxel inside the tube.
    tangents : (X, Y, Z, 3) unit direction of the curve at its nearest point; 0 out of reach.
    """
    through = np.asarray(controls, float) * frame.semi
    curve = scipy.interpolate.make_interp_spline(
        np.linspace(0, 1, len(through)), through, k=min(3, len(through) - 1)
    )
    t = np.linspace(0, 1, int(SAMPLES * 2 * frame.unit))
    middle = np.array(frame.shape) / 2 - 0.5
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in frame.shape), indexing="ij"), axis=-1)
    reach = radius + 1
    far, nearest = scipy.spatial.cKDTree(curve(t) + middle).query(
        grid.reshape(-1, 3), distance_upper_bound=reach
    )
    far, nearest = far.reshape(frame.shape), nearest.reshape(frame.shape)
    tangents = np.vstack([unit(curve.derivative()(t)), np.zeros(3)])  # the last: out of reach
    return inside(np.minimum(far, 2 * reach) - radius), tangents[nearest].astype(np.float32)


def smooth_field(shape: Sequence[int], width: float, rng: np.random.Generator) -> Field:
    """A smooth random field of mean 0 and sd 1.

    Parameters
    ----------
    shape : of the grid.
    width : sd of the Gaussian that smooths it, in voxels.
    rng : draws the field.

    Returns
    -------
    float32, of ``shape``
    """
    field = gaussian_filter(rng.standard_normal(tuple(shape), dtype=np.float32), width)
    spread = float(field.std())
    return (field - field.mean()) / (spread if spread > 0 else 1.0)
