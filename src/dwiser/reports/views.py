"""Upright pictures of a volume: which slices to show, and how they are turned."""

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # the RAS axis each plane is normal to
ENDS = (("L", "R"), ("P", "A"), ("I", "S"))  # low and high end of each RAS axis
AIR = 4  # voxels around the mask, to show the background
THIN = 0.5  # a slab thinner than half its size shows two slices along it, none across its edge


@dataclass(frozen=True)
class View:
    """One slice to show: ``index`` along the RAS axis that ``plane`` is normal to."""

    plane: str
    index: int

    @property
    def axis(self) -> int:
        return PLANES[self.plane]

    @property
    def across(self) -> int:
        """The RAS axis that runs to the right of the picture."""
        return 1 if self.axis == 0 else 0

    @property
    def upward(self) -> int:
        """The RAS axis that runs up the picture."""
        return 1 if self.axis == 2 else 2


def to_ras(
    volume: Shaped[np.ndarray, "x y z *c"], affine: Float[np.ndarray, "4 4"]
) -> Shaped[np.ndarray, "r a s *c"]:
    """``volume`` with its axes permuted and flipped to run right, anterior, superior.

    Nothing is interpolated: for an oblique scan the axes are the nearest ones.
    """
    return nib.orientations.apply_orientation(volume, nib.io_orientation(affine))


def ras_colours(
    colours: Float[np.ndarray, "x y z 3"], affine: Float[np.ndarray, "4 4"]
) -> Float[np.ndarray, "r a s 3"]:
    """``to_ras`` for colours that stand for axes: red L-R, green A-P, blue I-S."""
    turned = np.empty_like(colours)
    turned[..., _ras_axes(affine)] = colours
    return to_ras(turned, affine)


def ras_voxel_size(affine: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "3"]:
    """Voxel edges in mm along right, anterior, superior."""
    size = np.empty(3)
    size[_ras_axes(affine)] = np.linalg.norm(affine[:3, :3], axis=0)
    return size


def stored_slice(
    view: View, shape: tuple[int, int, int], affine: Float[np.ndarray, "4 4"]
) -> tuple[int, int]:
    """Where ``view`` lies in the image as stored, of ``shape``: (voxel axis, index)."""
    orientation = nib.io_orientation(affine)
    axis = int(np.flatnonzero(orientation[:, 0] == view.axis)[0])
    flipped = orientation[axis, 1] < 0
    return axis, shape[axis] - 1 - view.index if flipped else view.index


def section(volume: Shaped[np.ndarray, "r a s *c"], view: View) -> Shaped[np.ndarray, "h w *c"]:
    """The picture of one slice of an RAS volume, top row first.

    Axial: anterior up; coronal and sagittal: superior up. The subject's left is on the left
    (neurological), and a sagittal slice looks to the right.
    """
    plane = volume[(slice(None),) * view.axis + (view.index,)]
    return np.swapaxes(plane, 0, 1)[::-1]


def choose_views(
    mask: Bool[np.ndarray, "r a s"], size: Float[np.ndarray, "3"]
) -> tuple[View, View, View]:
    """Three slices through the middle of an RAS mask with voxels of ``size`` mm.

    Axial, coronal, sagittal; for a thin slab two slices of the plane that it was acquired in and
    one across: of an axial slab a coronal one, of a sagittal slab too, of a coronal slab an axial.
    """
    inside = np.nonzero(mask)
    extent = np.array([np.ptp(c) + 1 for c in inside]) * size
    thin = _thin_axis(extent)
    if thin is not None:
        low, high = np.quantile(inside[thin], (1 / 3, 2 / 3), method="nearest")
        plane, across = list(PLANES)[thin], "axial" if thin == PLANES["coronal"] else "coronal"
        return (
            View(plane, int(low)),
            View(plane, int(high)),
            View(across, _middle(inside[PLANES[across]])),
        )
    sagittal, coronal, axial = (View(plane, _middle(inside[a])) for plane, a in PLANES.items())
    return axial, coronal, sagittal


def _thin_axis(extent: Float[np.ndarray, "3"]) -> int | None:
    """The RAS axis along which an object of ``extent`` mm is a thin slab.

    A sagittal or coronal slab is thinner than half of either other edge: a spine or a limb, narrow
    along two axes, is none. An axial one is less than half as high as it is long.
    """
    least, between = np.argsort(extent)[:2]
    if extent[least] < THIN * extent[between]:
        return int(least)
    axial = PLANES["axial"]
    return axial if extent[axial] < THIN * extent.max() else None


def frame(mask: Bool[np.ndarray, "r a s"]) -> Int[np.ndarray, "3 2"]:
    """First and last voxel to show along each RAS axis: the mask's box and a little air."""
    inside = np.argwhere(mask)
    low, high = inside.min(axis=0) - AIR, inside.max(axis=0) + AIR
    return np.stack([low.clip(min=0), np.minimum(high, np.array(mask.shape) - 1)], axis=1)


def _middle(coordinates: np.ndarray) -> int:
    return int(np.quantile(coordinates, 0.5, method="nearest"))


def _ras_axes(affine: np.ndarray) -> np.ndarray:
    return nib.io_orientation(affine)[:, 0].astype(int)
