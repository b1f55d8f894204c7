"""An image that should lie on a scan's grid is read, or refused with its name."""

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

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


TURNS = [
    list(zip(order, signs, strict=True))
    for order, signs in zip(
        [*permutations(range(3)), (0, 1, 2), (2, 0, 1)], product((1, -1), repeat=3), strict=True
    )
]


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("oblique", [False, True])
def test_an_image_with_its_axes_in_another_order_is_turned(turn, oblique, tmp_path) -> None:
    rng = np.random.default_rng(2)
    data = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    affine = np.diag([2.0, 2.1, 3, 1])
    if oblique:
        affine[:3, :3] = (
            Rotation.from_euler("xyz", [20, -15, 10], degrees=True).as_matrix() @ (affine[:3, :3])
        )
    affine[:3, 3] = -4, 7, 11
    table = Gradients(np.array([0.0, 1000.0]), np.eye(3)[:2])
    scan = Scan(np.abs(data), affine, table)
    image = nib.Nifti1Image(data, affine).as_reoriented(np.array(turn))
    nib.save(image, tmp_path / "turned.nii.gz")
    found = read_on_grid(tmp_path / "turned.nii.gz", scan, "series", series=True)
    np.testing.assert_array_equal(found, data)
    assert found.flags.f_contiguous


@pytest.mark.parametrize("off", [0.0, 1e-4, 0.09])
def test_an_affine_may_be_rounded(off, scan, tmp_path) -> None:
    affine = scan.affine.copy()
    affine[0, 3] += off  # of voxels of 2 mm
    nib.save(nib.Nifti1Image(np.ones((3, 4, 5), np.float32), affine), tmp_path / "a.nii.gz")
    assert read_on_grid(tmp_path / "a.nii.gz", scan, "map").shape == (3, 4, 5)


@pytest.mark.parametrize(("code", "reads"), [(1, True), (0, False)])
def test_either_transform_of_the_header_may_be_the_grid(code, reads, scan, tmp_path) -> None:
    header, qform = nib.Nifti1Header(), scan.affine.copy()
    qform[2, 3] += 9
    header.set_qform(qform, code)
    header.set_sform(scan.affine, 1)
    scan = Scan(scan.data, scan.affine, scan.gradients, header)
    nib.save(nib.Nifti1Image(np.ones((3, 4, 5), np.float32), qform), tmp_path / "a.nii.gz")
    if reads:
        assert read_on_grid(tmp_path / "a.nii.gz", scan, "map").shape == (3, 4, 5)
    else:
        with refused(Code.GRID_AFFINE, "a.nii.gz: ", "4.5 voxels off"):
            read_on_grid(tmp_path / "a.nii.gz", scan, "map")


@pytest.mark.parametrize(
    ("shape", "shift", "series", "code", "said", "remedy"),
    [
        ((3, 4, 6), 0.0, False, Code.GRID_SHAPE, "(3, 4, 6)", "give one on the scan's grid"),
        (
            (3, 4, 5),
            0.5,
            False,
            Code.GRID_AFFINE,
            "is up to 0.25 voxels off",
            "give one on the scan's",
        ),
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
