"""Teem's tensor fit, the reference for NRRD's gradients: it reads what is written here."""

import shutil
import subprocess
from pathlib import Path

import nrrd
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import dwiser
from dwiser.io import save_volume
from dwiser.io.gradient_table import ReadGradients
from dwiser.io.scanner_axes import in_image_axes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("teem-tend") is None, reason="Teem is not on this machine"),
]

TENSOR = np.array([[1.5, 0.3, 0.1], [0.3, 0.5, -0.2], [0.1, -0.2, 0.9]])  # 10⁻³ mm²/s, RAS
TO_LPS = np.diag([-1.0, -1.0, 1.0])
AFFINE = np.array([[-2.0, 0.1, 0.2, 30], [0.15, 1.9, -0.3, -20], [0.05, 0.25, 2.5, -10], [0] * 4])
AFFINE[3, 3] = 1


def scan() -> tuple[dwiser.Scan, np.ndarray]:
    """One tensor everywhere, two shells and a b0; the directions in scanner axes beside it."""
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    vectors[0] = 0
    bvals = np.array([0.0, *[1000.0] * 10, *[2000.0] * 9])
    decay = np.einsum("vi,ij,vj->v", vectors, TENSOR * 1e-3, vectors)
    data = np.ones((4, 3, 5, 1), np.float32) * (800 * np.exp(-bvals * decay)).astype(np.float32)
    bvecs = in_image_axes(vectors, AFFINE)
    table = ReadGradients(bvals, bvecs, raw_bvals=bvals, raw_bvecs=bvecs)
    return dwiser.Scan(data, AFFINE, table), vectors


def fitted(path: Path) -> np.ndarray:
    """Teem's tensor, in the file's measurement frame."""
    out = path.with_name("tensor.nrrd")
    words = ["teem-tend", "estim", "-i", path, "-B", "kvp", "-knownB0", "false", "-o", out]
    subprocess.run(list(map(str, words)), check=True, capture_output=True)
    numbers = nrrd.read(str(out))[0][1:, 2, 1, 2] * 1e3
    tensor = np.zeros((3, 3))
    tensor[np.triu_indices(3)] = numbers
    return tensor + np.triu(tensor, 1).T


@pytest.mark.parametrize("name", ["o.nrrd", "o.nhdr"])
def test_teem_fits_the_tensor_from_our_file(tmp_path: Path, name: str) -> None:
    series, _ = scan()
    save_volume(series.data, tmp_path / name, like=series)
    tensor = TO_LPS @ fitted(tmp_path / name) @ TO_LPS
    np.testing.assert_allclose(tensor, TENSOR, atol=1e-5)


@pytest.mark.parametrize("length", [1.0, 1.7])
def test_frame_and_lengths_mean_the_same_to_both(tmp_path: Path, length: float) -> None:
    """Volumes fastest, gradients in a turned frame, and longer than 1."""
    series, vectors = scan()
    frame = Rotation.from_euler("zyx", [20, 30, -40], degrees=True).as_matrix()
    lengths = length * np.sqrt(series.gradients.bvals / 2000)[:, None]
    rows = vectors @ TO_LPS @ frame * lengths
    space = TO_LPS @ AFFINE[:3]
    shown = [f"({','.join(map(repr, map(float, v)))})" for v in (*space.T, *frame.T)]
    lines = [
        "NRRD0005", "type: float", "dimension: 4", "space: left-posterior-superior",
        "sizes: 20 4 3 5", f"space directions: none {' '.join(shown[:3])}",
        "kinds: list space space space", "endian: little", "encoding: raw",
        f"space origin: {shown[3]}", f"measurement frame: {' '.join(shown[4:])}",
        "modality:=DWMRI", "DWMRI_b-value:=2000",
        *(f"DWMRI_gradient_{v:04d}:={' '.join(map(str, row))}" for v, row in enumerate(rows)),
    ]  # fmt: skip
    voxels = np.moveaxis(series.data, 3, 0).astype("<f4").tobytes("F")
    path = tmp_path / "theirs.nrrd"
    path.write_bytes(("\n".join(lines) + "\n\n").encode() + voxels)
    turn = TO_LPS @ frame
    np.testing.assert_allclose(turn @ fitted(path) @ turn.T, TENSOR, atol=1e-5)
    read = dwiser.load(path)
    np.testing.assert_array_equal(read.data, series.data)
    np.testing.assert_allclose(read.gradients.bvals, series.gradients.bvals, atol=1e-9)
    np.testing.assert_allclose(read.gradients.bvecs, series.gradients.bvecs, atol=1e-12)
