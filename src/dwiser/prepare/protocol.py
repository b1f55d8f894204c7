"""What makes two scans of one protocol: shells, number of volumes, directions, voxel size."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from jaxtyping import Float

from dwiser.prepare.shells import b_tolerance
from dwiser.scan import Gradients, Scan

DIRECTION = 5.0  # degrees, after the best common rotation; repositioning a head is about this
ROTATION = 45.0  # degrees: a tilted field of view rotates the table, another table is no rotation
VOXEL = 0.1  # of an edge
ROUNDS = 5  # of matching signs and rotating


@dataclass(frozen=True, eq=False)
class Protocol:
    """The table of a scan, b in s/mm² and unit directions (0 for b0s), and its voxels in mm."""

    bvals: Float[np.ndarray, "v"]
    bvecs: Float[np.ndarray, "v 3"]
    voxel: Float[np.ndarray, "3"]

    @classmethod
    def of(cls, scan: Scan) -> "Protocol":
        return cls(*_without_b0_values(scan.gradients), np.array(scan.voxel_size))

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "Protocol":
        """From the plain values of ``plain``."""
        return cls(*(np.array(values[name], float) for name in ("bvals", "bvecs", "voxel")))

    def plain(self) -> dict[str, Any]:
        """As lists of numbers, for a file."""
        return {n: getattr(self, n).tolist() for n in ("bvals", "bvecs", "voxel")}

    def differs(self, other: "Protocol") -> str | None:
        """In words, what of ``other`` is not this protocol; None if it is the same.

        Notes
        -----
        The gradient tables by `_table_difference`, up to one common rotation of at most 45°
        (a tilted field of view); voxels within 10 %.
        """
        tables = (self.bvals, self.bvecs), (other.bvals, other.bvecs)
        difference = _table_difference(*tables, most_rotation=ROTATION)
        if difference is not None:
            return difference
        if (np.abs(other.voxel / self.voxel - 1) > VOXEL).any():
            sizes = (" × ".join(f"{edge:.3g}" for edge in p.voxel) for p in (other, self))
            return "its voxels are {} and not {} mm".format(*sizes)
        return None


def same_table(first: Gradients, second: Gradients) -> bool:
    """Whether two gradient tables in the same voxel axes are equal, volume by volume.

    The same rule as `Protocol.differs` has, without a common rotation: for scans on one grid.
    """
    tables = _without_b0_values(first), _without_b0_values(second)
    return _table_difference(*tables, most_rotation=0.0) is None


def _without_b0_values(table: Gradients) -> tuple[np.ndarray, np.ndarray]:
    """b-values and directions, both 0 for b0s."""
    b0 = table.is_b0
    return np.where(b0, 0.0, table.bvals), np.where(b0[:, None], 0.0, table.bvecs)


def _table_difference(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    *,
    most_rotation: float,
) -> str | None:
    """In words, what of the second gradient table is not the first; None if they are the same.

    Notes
    -----
    As many volumes in the same order; the same b0s; b-values within `b_tolerance`; directions
    within 5°, up to sign and one common rotation of at most ``most_rotation`` degrees.
    """
    (bvals, bvecs), (other_bvals, other_bvecs) = first, second
    if len(bvals) != len(other_bvals):
        return f"it has {len(other_bvals)} volumes and not {len(bvals)}"
    wrong = np.abs(bvals - other_bvals) > b_tolerance(bvals)
    wrong |= (bvals == 0) != (other_bvals == 0)
    if wrong.any():
        v = int(np.flatnonzero(wrong)[0])
        return f"its volume {v} has b = {other_bvals[v]:g} and not {bvals[v]:g} s/mm²"
    dwis = bvals > 0
    if dwis.any():
        rotation, angle = _rotated(bvecs[dwis], other_bvecs[dwis], most_rotation)
        if rotation > most_rotation or angle.max() > DIRECTION:
            v = int(np.flatnonzero(dwis)[angle.argmax()])
            return f"its directions differ (volume {v} by {angle.max():.0f}°)"
    return None


def _rotated(a: np.ndarray, b: np.ndarray, most_rotation: float) -> tuple[float, np.ndarray]:
    """The rotation from ``b`` to ``a`` that fits best, and the angles after it, in degrees."""
    rotations = scipy.spatial.transform.Rotation
    rotation = rotations.identity()
    for _ in range(ROUNDS if most_rotation > 0 else 0):
        signs = np.sign((rotation.apply(b) * a).sum(1))
        with warnings.catch_warnings():  # one direction, or all in a plane, leave a rotation open
            warnings.simplefilter("ignore", UserWarning)
            rotation, _ = rotations.align_vectors(a * np.where(signs == 0, 1, signs)[:, None], b)
    cosine = np.abs((rotation.apply(b) * a).sum(1)).clip(max=1)
    return float(np.degrees(rotation.magnitude())), np.degrees(np.arccos(cosine))
