"""The real command line, in its own process, on a real crop."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import pytest

from dwiser.io import save_volume, write_bvals, write_bvecs
from dwiser.scan import Scan

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def dwiser() -> Run:
    """Runs ``dwiser`` with words; returns what it printed and its exit code."""

    def run(*words: object, **options) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dwiser", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)

    return run


@pytest.fixture
def files(tmp_path: Path, crop: Scan) -> Path:
    """A folder with the crop: dwi.nii.gz, dwi.bval, dwi.bvec."""
    save_volume(crop.data, tmp_path / "dwi.nii.gz", like=crop)
    write_bvals(crop.gradients, tmp_path / "dwi.bval")
    write_bvecs(crop.gradients, tmp_path / "dwi.bvec")
    return tmp_path


@pytest.fixture
def image(files: Path) -> nib.Nifti1Image:
    return nib.load(files / "dwi.nii.gz")
