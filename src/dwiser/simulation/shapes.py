"""Shapes with soft, one-voxel edges: half-spaces, sheets and tubes on a voxel grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

HEAD_SHARE = 0.46  # semi-axis over the field of view: some voxels of air on each side
SLAB_SHARE = 0.35  # a grid of few slices is a slab cut from a head that is nearly round
SAMPLES = 4  # points on a curve for each voxel of its extent

Field = Float[np.ndarray, "x y z"]
Points = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Frame:
    """The head's own coordinates on a grid: 0 at its centre, 1 where it ends on each axis."""

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
        """The voxel centres' x, y and z as an open grid, ``finer`` samples a voxel and axis."""
        axes = [
            ((np.arange(n * finer) + 0.5) / finer - n / 2) / semi
            for n, semi in zip(self.shape, self.semi, strict=True)
        ]
        x, y, z = np.ix_(*(a.astype(np.float32) for a in axes))
        return x, y, z

    def axes_of(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Float[np.ndarray, "x y z 3"]:
        """Head-coordinate vectors as unit vectors along the voxel axes."""
        scaled = [c * s for c, s in zip((x, y, z), self.semi, strict=True)]
        full = [np.broadcast_to(c, self.shape) for c in scaled]
        return unit(np.stack(full, axis=-1).astype(np.float32))


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors at length 1; a vector of no length becomes x."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    safe = np.where(length > 0, length, 1)
    return np.where(length > 0, vectors / safe, np.eye(3, dtype=vectors.dtype)[0])


def smooth_step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, 3t² − 2t³ between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def distance(phi: Field) -> Field:
    """First-order signed distance in voxels to where ``phi`` is 0, negative inside."""
    along = [axis for axis, n in enumerate(phi.shape) if n > 1]
    slopes = [np.gradient(phi, axis=axis) for axis in along]
    steep = np.sqrt(sum(s * s for s in slopes))
    return phi / np.maximum(steep, np.finfo(np.float32).tiny)


def inside(distances: Field) -> Field:
    """The share of a voxel inside a flat edge at this signed distance (voxels)."""
    return np.clip(0.5 - distances, 0, 1).astype(np.float32)


def sheet(distances: Field, half: float) -> Field:
    """The share of a voxel covered by a flat sheet of half-thickness ``half`` voxels."""
    low, high = np.maximum(distances - 0.5, -half), np.minimum(distances + 0.5, half)
    return np.clip(high - low, 0, 1).astype(np.float32)


def coarsen(field: np.ndarray, finer: int) -> Field:
    """The mean over blocks of ``finer`` samples along each axis, float32."""
    x, y, z = (n // finer for n in field.shape)
    blocks = field.reshape(x, finer, y, finer, z, finer)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)


def tube(
    frame: Frame, controls: Float[np.ndarray, "k 3"], radius: float
) -> tuple[Field, Float[np.ndarray, "x y z 3"]]:
    """A curved tube through control points (head coordinates), ``radius`` in voxels.

    Returns the share of each voxel inside it and the curve's direction at its nearest point.
    """
    through = np.asarray(controls, float) * frame.semi
    curve = make_interp_spline(np.linspace(0, 1, len(through)), through, k=min(3, len(through) - 1))
    t = np.linspace(0, 1, int(SAMPLES * 2 * frame.unit))
    middle = np.array(frame.shape) / 2 - 0.5
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in frame.shape), indexing="ij"), axis=-1)
    reach = radius + 1
    far, nearest = cKDTree(curve(t) + middle).query(grid.reshape(-1, 3), distance_upper_bound=reach)
    far, nearest = far.reshape(frame.shape), nearest.reshape(frame.shape)
    tangents = np.vstack([unit(curve.derivative()(t)), np.zeros(3)])  # the last: out of reach
    return inside(np.minimum(far, 2 * reach) - radius), tangents[nearest].astype(np.float32)


def smooth_field(shape: Sequence[int], width: float, rng: np.random.Generator) -> Field:
    """A smooth random field of mean 0 and sd 1; ``width`` is its smoothing in voxels."""
    field = gaussian_filter(rng.standard_normal(tuple(shape), dtype=np.float32), width)
    spread = float(field.std())
    return (field - field.mean()) / (spread if spread > 0 else 1.0)
