"""MRtrix's own programs read what is written here, and write what is read here, in every layout."""

import shutil
import subprocess
import sys
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import dwiser
from dwiser.cli import main
from dwiser.io import read_on_grid, save_volume
from dwiser.io.scanner_axes import in_scanner_axes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("mrconvert") is None, reason="MRtrix3 is not on this machine"),
]

WIDE = [f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (16, 32, 64)]
WIDE += ["Float32", "Float64"]
TYPES = ("Int8", "UInt8", *(f"{kind}{end}" for kind in WIDE for end in ("LE", "BE")))
OBLIQUE = np.array([[0.96, -0.2, 0.17], [0.2, 0.98, 0.03], [-0.17, 0.01, 0.98]])
SHEARED = OBLIQUE @ np.array([[1, 0.08, 0], [0, 1, 0.05], [0, 0, 1]])
ORIENTATIONS = [
    (axes, signs) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


def mrtrix(*words: object) -> None:
    subprocess.run([*map(str, words), "-quiet", "-force"], check=True, capture_output=True)


def affine_of(axes: tuple[int, ...], signs: tuple[int, ...], frame: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = (frame[:, axes] * signs) * (2.0, 1.7, 2.5)
    affine[:3, 3] = (-30.25, 12.5, 7.75)
    return affine


def table(volumes: int = 8) -> tuple[np.ndarray, np.ndarray]:
    vectors = np.random.default_rng(3).normal(size=(volumes, 3))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    vectors[0] = 0
    return np.array([0.0, *[1000.0] * 4, *[2000.0] * (volumes - 5)]), vectors


def nifti_twin(folder: Path, affine: np.ndarray, most: int = 900) -> Path:
    """A series of 5 × 4 × 3 voxels with its table."""
    data = np.random.default_rng(1).integers(0, most, (5, 4, 3, 8)).astype(np.float32)
    nib.save(nib.Nifti1Image(data, affine), folder / "twin.nii")
    bvals, bvecs = table()
    np.savetxt(folder / "twin.bval", bvals[None])
    np.savetxt(folder / "twin.bvec", bvecs.T, fmt="%.17g")
    return folder / "twin.nii"


def assert_same(one: dwiser.Scan, other: dwiser.Scan) -> None:
    np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_allclose(one.affine, other.affine, atol=3e-5)
    np.testing.assert_allclose(one.gradients.bvals, other.gradients.bvals, rtol=1e-8)
    np.testing.assert_allclose(one.gradients.bvecs, other.gradients.bvecs, atol=2e-6)


def assert_same_in_world(path: Path, scan: dwiser.Scan) -> dwiser.Scan:
    """Each voxel where it was, and the directions the same in scanner axes; the image as read."""
    read = dwiser.load(path)
    on_grid = read_on_grid(path, scan, "series", series=True)
    np.testing.assert_array_equal(on_grid, scan.data)
    directions = (in_scanner_axes(s.gradients.bvecs, s.affine) for s in (read, scan))
    np.testing.assert_allclose(*directions, atol=2e-6)
    return read


@pytest.mark.parametrize("frame", [OBLIQUE, SHEARED], ids=["oblique", "sheared"])
def test_every_orientation_there_and_back(tmp_path: Path, frame: np.ndarray) -> None:
    """Ours → mrconvert → NIfTI, and NIfTI → mrconvert with other strides → ours."""
    strides = ["1,2,3,4", "-1,-2,3,4", "3,-1,2,4", "-2,3,-1,4", "2,3,4,1", "4,-3,2,1", "1,2,4,3"]
    for number, (axes, signs) in enumerate(ORIENTATIONS):
        path = nifti_twin(tmp_path, affine_of(axes, signs, frame))
        scan = dwiser.load(path)
        save_volume(scan.data, tmp_path / "ours.mif", like=scan)
        assert_same(dwiser.load(tmp_path / "ours.mif"), scan)
        back = tmp_path / "back.nii"
        fsl = tmp_path / "back.bvec", tmp_path / "back.bval"
        mrtrix("mrconvert", tmp_path / "ours.mif", back, "-export_grad_fsl", *fsl)
        assert_same(dwiser.load(back), scan)
        stride = strides[number % len(strides)]
        grad = tmp_path / "twin.bvec", tmp_path / "twin.bval"
        theirs = tmp_path / "theirs.mif"
        mrtrix("mrconvert", path, theirs, "-fslgrad", *grad, "-strides", stride)
        read = assert_same_in_world(theirs, scan)
        mrtrix("mrconvert", theirs, back, "-export_grad_fsl", *fsl)
        assert_same(read, dwiser.load(back))  # the twin in NIfTI has the same axes
        save_volume(read.data, tmp_path / "again.mif", like=read)
        assert layout(tmp_path / "again.mif") == layout(theirs)
        assert_same(dwiser.load(tmp_path / "again.mif"), read)


def layout(path: Path) -> list[str]:
    head = path.read_bytes().partition(b"\nEND")[0].decode().splitlines()
    return [line for line in head if line.startswith(("layout", "dim", "dw_scheme"))]


@pytest.mark.parametrize("name", [*TYPES, "Bit", "CFloat32LE", "CFloat64BE"])
def test_every_datatype_is_read(tmp_path: Path, name: str) -> None:
    affine = affine_of((0, 1, 2), (-1, 1, 1), OBLIQUE)
    path = nifti_twin(tmp_path, affine, most=2 if name == "Bit" else 100)
    small = tmp_path / "small.mif"
    grad = tmp_path / "twin.bvec", tmp_path / "twin.bval"
    strides = ("-strides", "3,-1,2,4")
    mrtrix("mrconvert", path, small, "-datatype", name, "-fslgrad", *grad, *strides)
    mrtrix("mrconvert", small, tmp_path / "s.nii", "-datatype", "float32", *strides)
    assert f"datatype: {name}".lower() in small.read_bytes()[:400].decode("latin-1").lower()
    expected = nib.load(tmp_path / "s.nii").get_fdata()
    scan = dwiser.load(small)
    np.testing.assert_array_equal(scan.data, expected)
    assert (scan.phase is not None) == name.startswith("C")


def test_a_header_with_its_data_file_goes_there_and_back(tmp_path: Path) -> None:
    path = nifti_twin(tmp_path, affine_of((0, 1, 2), (-1, 1, 1), OBLIQUE))
    grad = tmp_path / "twin.bvec", tmp_path / "twin.bval"
    mrtrix("mrconvert", path, tmp_path / "theirs.mih", "-fslgrad", *grad)
    scan = dwiser.load(tmp_path / "theirs.mih")
    assert_same(scan, dwiser.load(path))
    save_volume(scan.data, tmp_path / "ours.mih", like=scan)
    mrtrix("mrconvert", tmp_path / "ours.mih", tmp_path / "back.mif")
    assert_same(dwiser.load(tmp_path / "back.mif"), scan)


def test_scaling_is_applied(tmp_path: Path) -> None:
    path = nifti_twin(tmp_path, affine_of((2, 0, 1), (1, -1, 1), OBLIQUE))
    grad = tmp_path / "twin.bvec", tmp_path / "twin.bval"
    words = ("-datatype", "int16", "-scaling", "5,0.5", "-fslgrad", *grad)
    mrtrix("mrconvert", path, tmp_path / "scaled.mif", *words)
    assert b"scaling: 5,0.5" in (tmp_path / "scaled.mif").read_bytes()
    mrtrix("mrconvert", tmp_path / "scaled.mif", tmp_path / "s.nii", "-datatype", "float32")
    scan = dwiser.load(tmp_path / "scaled.mif")
    np.testing.assert_allclose(scan.data, nib.load(tmp_path / "s.nii").get_fdata(), rtol=1e-6)


@pytest.mark.parametrize("orientation", [0, 5, 22, 41])
def test_tensors_are_those_of_the_nifti_twin(tmp_path: Path, orientation: int) -> None:
    axes, signs = ORIENTATIONS[orientation]
    made = dwiser.simulate((10, 9, 6), shells=[(1000, 12)], n_b0=2, seed=2)
    affine = affine_of(axes, signs, SHEARED)
    scan = dwiser.Scan(made.scan.data, affine, made.scan.gradients)
    dwiser.save(_denoised(scan), tmp_path / "nifti.nii.gz", scan)
    dwiser.save(_denoised(scan), tmp_path / "mif.mif", scan)
    fsl = "-fslgrad", tmp_path / "nifti.bvec", tmp_path / "nifti.bval"
    mrtrix("dwi2tensor", tmp_path / "nifti.nii.gz", tmp_path / "a.nii", *fsl)
    mrtrix("dwi2tensor", tmp_path / "mif.mif", tmp_path / "b.nii")
    one, other = (nib.load(tmp_path / n).get_fdata() for n in ("a.nii", "b.nii"))
    inside = made.mask & np.isfinite(one).all(axis=-1)
    assert np.abs(one[inside]).max() > 1e-4
    np.testing.assert_allclose(other[inside], one[inside], atol=1e-5 * np.abs(one[inside]).max())


def _denoised(scan: dwiser.Scan) -> object:
    return dwiser.denoise(scan, "identity", verdict=False)


def test_a_pipe_of_mrtrix_goes_in_and_out(tmp_path: Path, monkeypatch) -> None:
    """The files that it names are gone at its end."""
    scan = dwiser.load(nifti_twin(tmp_path, affine_of((0, 1, 2), (-1, 1, 1), OBLIQUE)))
    folder = tmp_path / "temporary"
    folder.mkdir()
    command = f"{sys.executable} -m dwiser denoise - - --method gaussian --threads 1"
    line = (
        "mrconvert twin.nii - -fslgrad twin.bvec twin.bval -quiet | "
        f"{command} | mrconvert - out.nii.gz -export_grad_fsl out.bvec out.bval -quiet"
    )
    monkeypatch.setenv("MRTRIX_TMPFILE_DIR", str(folder))
    subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=tmp_path, check=True)
    assert dwiser.load(tmp_path / "out.nii.gz").shape == scan.shape
    assert not list(folder.iterdir())


def test_echoes_of_mrcat_are_read_and_written(tmp_path: Path) -> None:
    """`mrcat -axis 4` puts the echoes before the volumes in the file, and keeps one table."""
    first = nifti_twin(tmp_path, affine_of((0, 1, 2), (-1, 1, 1), OBLIQUE))
    image = nib.load(first)
    data = image.get_fdata(dtype=np.float32)
    nib.save(nib.Nifti1Image(data[::-1] * np.float32(0.5), image.affine), tmp_path / "later.nii")
    table_files = ("-fslgrad", tmp_path / "twin.bvec", tmp_path / "twin.bval")
    for name in ("twin", "later"):
        mrtrix("mrconvert", tmp_path / f"{name}.nii", tmp_path / f"{name}.mif", *table_files)
    both, out = tmp_path / "both.mif", tmp_path / "out.mif"
    mrtrix("mrcat", "-axis", 4, tmp_path / "twin.mif", tmp_path / "later.mif", both)
    scan = dwiser.load(both)
    assert scan.axes == (8, 2)
    assert scan.gradients.echoes.tolist() == [1] * 8 + [2] * 8
    save_volume(scan.data * 2, out, like=scan)
    for echo, one in enumerate(("twin", "later")):
        mrtrix("mrconvert", out, "-coord", 4, echo, "-axes", "0,1,2,3", tmp_path / "part.mif")
        expected = dwiser.load(tmp_path / f"{one}.mif")
        part = read_on_grid(tmp_path / "part.mif", expected, "echo", series=True)
        np.testing.assert_array_equal(part, 2 * expected.data)
    schemes = [
        subprocess.run(["mrinfo", file, "-property", "dw_scheme"], check=True, capture_output=True)
        for file in (both, out)
    ]
    assert schemes[0].stdout == schemes[1].stdout


def test_a_noise_map_goes_where_mrtransform_takes_it(tmp_path: Path) -> None:
    """σ on another, turned grid: the same voxels and the same values as MRtrix's linear ones."""
    sigma = np.random.default_rng(5).uniform(5, 9, (12, 11, 9)).astype(np.float32)
    affine = affine_of((0, 1, 2), (-1, 1, 1), OBLIQUE)
    nib.save(nib.Nifti1Image(sigma, affine), tmp_path / "sigma.nii")
    grid = np.diag([1.8, 1.9, 1.7, 1.0])
    grid[:3, 3] = affine[:3, 3] - (18, 2, 3)
    nib.save(nib.Nifti1Image(np.zeros((15, 13, 11), np.float32), grid), tmp_path / "like.nii")
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = OBLIQUE, (1.5, -2, 0.7)
    np.savetxt(tmp_path / "move.txt", move)
    sigma_file, like, text = (str(tmp_path / n) for n in ("sigma.nii", "like.nii", "move.txt"))
    words = (sigma_file, str(tmp_path / "ours.nii"), "--like", like, "--transform", text, "-q")
    assert main(["noise-map", *words]) == 0
    mrtrix(
        "mrtransform", sigma_file, "-linear", text, "-template", like, "-interp", "linear",
        "-oversample", 1, tmp_path / "theirs.mif",
    )  # fmt: skip
    like_scan = scan_like(tmp_path)
    ours, theirs = (
        read_on_grid(tmp_path / name, like_scan, "σ map") for name in ("ours.nii", "theirs.mif")
    )
    assert (ours > 0).mean() > 0.3
    np.testing.assert_array_equal(ours > 0, theirs > 0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def scan_like(folder: Path) -> dwiser.Scan:
    """A scan on the grid of ``like.nii``, to read maps by."""
    image = nib.load(folder / "like.nii")
    data = np.ones((*image.shape, 2), np.float32)
    gradients = dwiser.Gradients(np.array([0.0, 1000]), np.array([[0.0, 0, 0], [0, 0, 1]]))
    return dwiser.Scan(data, image.affine, gradients)
