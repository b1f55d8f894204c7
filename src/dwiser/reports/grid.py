"""The part of a scan that a page shows: upright, cut to the mask, perhaps every nth slice."""

from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from dwiser.reports import views
from dwiser.reports.views import PLANES, View


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """A box of an image whose axes run right, anterior, superior.

    ``step`` is the number of slices from one that is shown to the next, along superior.
    """

    affine: Float[np.ndarray, "4 4"]
    shape: tuple[int, int, int]
    frame: Int[np.ndarray, "3 2"]
    step: int = 1

    @classmethod
    def of(cls, mask: Bool[np.ndarray, "x y z"], affine: Float[np.ndarray, "4 4"]) -> "VoxelGrid":
        """The mask's box with a little air."""
        x, y, z = mask.shape
        return cls(affine, (x, y, z), views.frame(views.to_ras(mask, affine)))

    def thinned(self, step: int) -> "VoxelGrid":
        return replace(self, step=step)

    def cut(self, volume: Shaped[np.ndarray, "x y z *c"]) -> Shaped[np.ndarray, "r a s *c"]:
        """A volume as it is stored, turned and cut."""
        return self._boxed(views.to_ras(volume, self.affine))

    def colours(self, colours: Float[np.ndarray, "x y z 3"]) -> Float[np.ndarray, "r a s 3"]:
        """``cut`` for colours that stand for axes."""
        return self._boxed(views.ras_colours(colours, self.affine))

    def _boxed(self, turned: np.ndarray) -> np.ndarray:
        r, a, s = (slice(int(low), int(high) + 1) for low, high in self.frame)
        return turned[r, a, s][:, :, :: self.step]

    @property
    def size(self) -> Float[np.ndarray, "3"]:
        """Voxel edges in mm, as shown."""
        return views.ras_voxel_size(self.affine) * (1, 1, self.step)

    @property
    def world(self) -> Float[np.ndarray, "4 4"]:
        """From a voxel of the box to world coordinates in mm."""
        turn = nib.orientations.inv_ornt_aff(nib.io_orientation(self.affine), self.shape)
        box = np.diag([1.0, 1.0, self.step, 1.0])
        box[:3, 3] = self.frame[:, 0]
        return self.affine @ turn @ box

    def slices(self) -> dict[str, dict[str, object]]:
        """For each plane: the stored axis' letter and each shown slice's index along it."""
        told: dict[str, dict[str, object]] = {}
        for plane, axis in PLANES.items():
            low, high = (int(v) for v in self.frame[axis])
            step = self.step if plane == "axial" else 1
            at = [
                views.stored_slice(View(plane, i), self.shape, self.affine)
                for i in range(low, high + 1, step)
            ]
            told[plane] = {"axis": "ijk"[at[0][0]], "stored": [index for _, index in at]}
        return told
