"""A small series on disk that a human can check."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest


@dataclass(frozen=True)
class Small:
    """Voxel i of volume v holds 1000 v + i + 1; volumes 0 and 5 are b0s."""

    folder: Path
    shape: tuple[int, ...] = (5, 4, 3, 8)

    @property
    def data(self) -> np.ndarray:
        voxels = 1 + np.arange(np.prod(self.shape[:3])).reshape(self.shape[:3])
        return (voxels[..., None] + 1000.0 * np.arange(self.shape[3])).astype(np.float32)

    @property
    def affine(self) -> np.ndarray:
        return np.array([[-2.0, 0, 0, 90], [0, 2.0, 0, -126], [0, 0, 2.5, -72], [0, 0, 0, 1]])

    @property
    def bvals(self) -> np.ndarray:
        return np.array([0.0, 1000, 1000, 1000, 1000, 0, 1000, 1000])

    @property
    def bvecs(self) -> np.ndarray:
        """A spiral over the sphere."""
        turn, height = np.arange(8) * 2.4, np.linspace(-0.9, 0.9, 8)
        radius = np.sqrt(1 - height**2)
        return np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1)

    def path(self, name: str) -> Path:
        return self.folder / name

    def image(
        self,
        name: str,
        data: np.ndarray,
        *,
        affine: Any = None,
        header: Any = None,
        kind: Any = None,
    ) -> Path:
        """Write any image."""
        kind = kind or nib.Nifti1Image
        affine = self.affine if affine is None and header is None else affine
        kind(data, affine, header).to_filename(self.path(name))
        return self.path(name)

    def series(self, name: str = "dwi.nii.gz", data: np.ndarray | None = None, **how: Any) -> Path:
        """Write a series with its gradient table beside it."""
        path = self.image(name, self.data if data is None else data, **how)
        base = name.removesuffix(".gz").removesuffix(".nii")
        np.savetxt(self.path(f"{base}.bval"), self.bvals[None], fmt="%g")
        np.savetxt(self.path(f"{base}.bvec"), self.bvecs.T, fmt="%.17g")
        return path


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small(tmp_path)
