"""A series written volume by volume is the file of the whole series."""

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.io import save_volume
from dwiser.io.gz import unzipped
from dwiser.io.volume_stream import VolumeStream, save_stream
from dwiser.scan import Gradients, Scan

SHAPE = (4, 5, 3, 6)


@pytest.fixture(params=["little", "big", "extension", "nifti2", "none"])
def scan(request: pytest.FixtureRequest) -> Scan:
    data = np.random.default_rng(0).uniform(1, 9, SHAPE).astype(np.float32)
    header = nib.Nifti2Header() if request.param == "nifti2" else nib.Nifti1Header()
    if request.param == "big":
        header = nib.Nifti1Header(endianness=">")
    if request.param == "extension":
        header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"of the scanner"))
    if request.param == "none":
        header = None
    bvals = np.full(SHAPE[3], 1000.0)
    affine = np.diag([-2.0, 2, 2.5, 1])
    return Scan(data, affine, Gradients(bvals, np.eye(3)[np.arange(6) % 3]), header=header)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_file_is_that_of_the_whole_series(tmp_path: Path, scan: Scan, order: str) -> None:
    def volumes() -> Iterator[np.ndarray]:
        return (np.asarray(scan.data[..., v], order=order) for v in range(SHAPE[3]))

    for name in ("whole.nii", "whole.nii.gz"):
        save_volume(scan.data, tmp_path / name, like=scan)
    for name in ("stream.nii", "stream.nii.gz"):
        save_stream(VolumeStream(SHAPE, volumes), tmp_path / name, like=scan)
    content = (tmp_path / "whole.nii").read_bytes()
    assert (tmp_path / "stream.nii").read_bytes() == content
    with unzipped(tmp_path / "stream.nii.gz") as file:
        assert file.read() == content
