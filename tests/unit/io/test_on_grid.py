"""An image that should lie on a scan's grid is read, or refused with its name."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.io import read_on_grid, save_volume
from dwiser.scan import Gradients, Scan
from tests.refusals import refused


@pytest.fixture
def scan() -> Scan:
    table = Gradients(np.array([0.0, 1000.0]), np.eye(3)[:2])
    return Scan(np.ones((3, 4, 5, 2), np.float32), np.diag([2.0, 2, 2, 1]), table)


def test_a_map_and_a_series_come_back_as_they_were_written(scan: Scan, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for shape, series in (((3, 4, 5), False), ((3, 4, 5, 2), True)):
        data = rng.normal(size=shape).astype(np.float32)
        save_volume(data, tmp_path / "a.nii.gz", scan)
        image = read_on_grid(tmp_path / "a.nii.gz", scan, "map", series=series)
        np.testing.assert_array_equal(image, data)


@pytest.mark.parametrize(
    ("shape", "shift", "series", "code", "said", "remedy"),
    [
        ((3, 4, 6), 0.0, False, Code.GRID_SHAPE, "(3, 4, 6)", "give one on the scan's grid"),
        ((3, 4, 5), 0.5, False, Code.GRID_AFFINE, "is up to 0.5 off", "give one on the scan's"),
        ((3, 4, 5, 3), 0.0, True, Code.GRID_SHAPE, "(3, 4, 5, 3)", "give one on the scan's grid"),
        ((3, 4, 5), 0.0, True, Code.IMAGE_DIMENSIONS, "3 dimensions", "4-D series"),
        ((3, 4, 5, 2), 0.0, False, Code.IMAGE_DIMENSIONS, "4 dimensions", "3-D map"),
    ],
)
def test_another_grid_is_refused_by_name(
    shape, shift, series, code, said, remedy, scan, tmp_path
) -> None:
    affine = scan.affine.copy()
    affine[1, 3] += shift
    nib.save(nib.Nifti1Image(np.ones(shape, np.float32), affine), tmp_path / "odd.nii.gz")
    with refused(code, "odd.nii.gz: ", said, remedy):
        read_on_grid(tmp_path / "odd.nii.gz", scan, "σ map", series=series)
