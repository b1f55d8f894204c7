"""The real command line on a real crop."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import nibabel as nib
import pytest

from dwiser.cli import main
from dwiser.io import save_volume, write_bvals, write_bvecs
from dwiser.scan import Scan

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def dwiser() -> Run:
    """Runs ``dwiser`` with words; returns what it printed and its exit code.

    In this process, where the libraries are imported already and shapes are checked.
    """

    def run(*words: object, cwd: Path = Path()) -> subprocess.CompletedProcess[str]:
        command, out, err = [*map(str, words)], StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err), chdir(cwd):
            code = main(command)
        return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def program() -> Run:
    """The same in a process of its own, as a shell starts it."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dwiser", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

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
