"""What makes two scans of one protocol: shells, number of volumes, directions, voxel size."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from dwiser.scan import Scan

B_ABSOLUTE, B_RELATIVE = 50.0, 0.05  # s/mm², as shells are told apart
DIRECTION = 5.0  # degrees, after the best common turn
TURN = 45.0  # degrees: a tilted field of view turns the table, another table is no turn
VOXEL = 0.1  # of an edge
ROUNDS = 5  # of matching signs and turning


@dataclass(frozen=True, eq=False)
class Protocol:
    """The table of a scan, b in s/mm² and unit directions (0 for b0s), and its voxels in mm."""

    bvals: Float[np.ndarray, "v"]
    bvecs: Float[np.ndarray, "v 3"]
    voxel: Float[np.ndarray, "3"]

    @classmethod
    def of(cls, scan: Scan) -> "Protocol":
        table = scan.gradients
        bvals = np.where(table.is_b0, 0.0, table.bvals)
        return cls(
            bvals, np.where(table.is_b0[:, None], 0.0, table.bvecs), np.array(scan.voxel_size)
        )

    @classmethod
    def told(cls, values: dict[str, Any]) -> "Protocol":
        """From the plain values of ``plain``."""
        return cls(*(np.array(values[name], float) for name in ("bvals", "bvecs", "voxel")))

    def plain(self) -> dict[str, Any]:
        """As lists of numbers, for a file."""
        return {n: getattr(self, n).tolist() for n in ("bvals", "bvecs", "voxel")}

    def differs(self, other: "Protocol") -> str | None:
        """In words, what of ``other`` is not this protocol; None if it is the same.

        Notes
        -----
        As many volumes in the same order; b-values within 5 % or 50 s/mm²; directions within 5°,
        up to sign and one common rotation of at most 45° (a tilted field of view); voxels within
        10 %.
        """
        if len(self.bvals) != len(other.bvals):
            return f"it has {len(other.bvals)} volumes and not {len(self.bvals)}"
        gap = np.abs(self.bvals - other.bvals)
        wrong = gap > np.maximum(B_ABSOLUTE, B_RELATIVE * self.bvals)
        wrong |= (self.bvals == 0) != (other.bvals == 0)
        if wrong.any():
            v = int(np.flatnonzero(wrong)[0])
            return f"its volume {v} has b = {other.bvals[v]:g} and not {self.bvals[v]:g} s/mm²"
        dwis = self.bvals > 0
        if dwis.any():
            turn, angle = _turned(self.bvecs[dwis], other.bvecs[dwis])
            if turn > TURN or angle.max() > DIRECTION:
                v = int(np.flatnonzero(dwis)[angle.argmax()])
                return f"its directions are others (volume {v} by {angle.max():.0f}°)"
        if (np.abs(other.voxel / self.voxel - 1) > VOXEL).any():
            sizes = (" × ".join(f"{edge:.3g}" for edge in p.voxel) for p in (other, self))
            return "its voxels are {} and not {} mm".format(*sizes)
        return None


def _turned(a: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    """The rotation from ``b`` to ``a`` that fits best, in degrees, and what angles are left."""
    turn = Rotation.identity()
    for _ in range(ROUNDS):
        signs = np.sign((turn.apply(b) * a).sum(1))
        with warnings.catch_warnings():  # one direction, or all in a plane, leave a turn open
            warnings.simplefilter("ignore", UserWarning)
            turn, _ = Rotation.align_vectors(a * np.where(signs == 0, 1, signs)[:, None], b)
    cosine = np.abs((turn.apply(b) * a).sum(1)).clip(max=1)
    return float(np.degrees(turn.magnitude())), np.degrees(np.arccos(cosine))
