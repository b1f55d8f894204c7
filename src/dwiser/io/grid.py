"""Whether two images have the same voxels: affines compared, flipped and permuted axes turned."""

from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform
from nibabel.spatialimages import HeaderDataError

GRID_TOLERANCE = 0.05  # of a voxel's shortest edge; programs round affines, differently


@dataclass(frozen=True, eq=False)
class Turn:
    """How an image's axes are brought to another's, and how far it is off then.

    Parameters
    ----------
    orientation : (3, 2), nibabel's: for each axis its new place and direction.
    off : greatest distance between two voxels that should be the same, in voxels.
    """

    orientation: np.ndarray
    off: float

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of an image once its first three axes are turned."""
        turned = list(shape)
        for axis, place in enumerate(self.orientation[:, 0]):
            turned[int(place)] = shape[axis]
        return tuple(turned)

    def applied(self, voxels: Shaped[np.ndarray, "x y z *v"]) -> Shaped[np.ndarray, "a b c *v"]:
        """The voxels with their first three axes turned; as they are where nothing is to turn."""
        if (self.orientation == _AS_IT_IS).all():
            return voxels
        return np.asfortranarray(apply_orientation(voxels, self.orientation))


@dataclass(frozen=True, eq=False)
class Grid:
    """Where a scan's voxels are.

    Parameters
    ----------
    affines : (4, 4) each, the one that counts first. A header may hold another in its qform, and
        there are programs that keep only that one.
    shape : (X, Y, Z).
    """

    affines: tuple[Float[np.ndarray, "4 4"], ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, affine: Float[np.ndarray, "4 4"], shape: tuple[int, ...], header: Any) -> "Grid":
        """From an image's affine and its NIfTI header, or None."""
        qform = None if header is None else qform_of(header)
        return cls((affine,) if qform is None else (affine, qform), tuple(shape))

    def turn(self, affine: Float[np.ndarray, "4 4"], shape: tuple[int, ...]) -> Turn:
        """What brings an image of this affine and shape onto the grid.

        Parameters
        ----------
        affine : the image's.
        shape : (X, Y, Z), the image's.

        Returns
        -------
        Turn
            That of the affine of the scan that is nearest; ``off`` is infinite for other shapes.
        """
        return min((self._turn(own, affine, shape) for own in self.affines), key=lambda t: t.off)

    def _turn(self, own: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]) -> Turn:
        turn = Turn(_AS_IT_IS, self._off(own, affine) if shape == self.shape else np.inf)
        axes = io_orientation(affine), io_orientation(own)
        if turn.off <= GRID_TOLERANCE or np.isnan(axes).any():
            return turn
        orientation = ornt_transform(*axes)
        turned = Turn(orientation, np.inf)
        if turned.shape(shape) == self.shape:
            off = self._off(own, affine @ inv_ornt_aff(orientation, shape))
            turned = Turn(orientation, off)
        return turned if turned.off <= GRID_TOLERANCE else turn

    def _off(self, own: np.ndarray, affine: np.ndarray) -> float:
        """Between the corners of the two fields of view, over the shortest edge of a voxel."""
        corners = np.array([(*c, 1) for c in product(*((0, n - 1) for n in self.shape))])
        apart = np.linalg.norm((corners @ (affine - own).T)[:, :3], axis=1).max()
        edge = np.linalg.norm(own[:3, :3], axis=0).min()
        return float(apart / edge) if edge > 0 else np.inf


def qform_of(header: Any) -> Float[np.ndarray, "4 4"] | None:
    """A NIfTI header's qform; None if it has none, or one that is no rotation."""
    if header["qform_code"] <= 0:
        return None
    with suppress(HeaderDataError, ValueError):
        qform = header.get_qform()
        return qform if np.isfinite(qform).all() else None
    return None


_AS_IT_IS = np.array([[0, 1], [1, 1], [2, 1]])
