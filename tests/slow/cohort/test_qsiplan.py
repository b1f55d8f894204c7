"""QSIPrep's planner (``pip install qsiplan``, 0.5.0) on what ``dwiser bids`` writes."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import pytest

from dwiser.cli import main

PROGRAM = os.environ.get("QSIPLAN", "qsiplan")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="qsiplan is not installed"),
]
EPI = {"TotalReadoutTime": 0.05, "PhaseEncodingDirection": "j-"}


@pytest.fixture
def study(bids, tmp_path: Path) -> Path:
    """A subject with a field map that is intended for its series."""
    root = bids(tmp_path, "sub-01")
    series = root / "sub-01/dwi/sub-01_dwi.nii.gz"
    (root / "sub-01/dwi/sub-01_dwi.json").write_text(json.dumps(EPI))
    name = root / "sub-01/fmap/sub-01_dir-PA_epi"
    name.parent.mkdir()
    nib.save(nib.load(series).slicer[..., :1], f"{name}.nii.gz")
    fields = EPI | {"PhaseEncodingDirection": "j", "IntendedFor": ["dwi/sub-01_dwi.nii.gz"]}
    Path(f"{name}.json").write_text(json.dumps(fields))
    words = ["bids", str(root), str(tmp_path / "out"), "participant", "--save-residual"]
    quick = ["--method", "gaussian", "--threads", "1", "--skip-bids-validation", "-q"]
    assert main([*words, *quick, "--as-raw", str(tmp_path / "view")]) == 0
    return tmp_path


def plan(folder: Path) -> str:
    return subprocess.run([PROGRAM, folder], capture_output=True, text=True, check=True).stdout


def test_the_dataset_under_raw_names_has_its_field_map(study: Path) -> None:
    text = plan(study / "view")
    assert "- sub-01_dwi.nii.gz [shelled: b=1000]" in text
    assert "corrected by: auto+fmap+sub-01_dir-PA_epi [intendedfor]" in text
    assert text.count("\nOutput ") == text.count('\nOutput "sub-01"')


def test_the_derivative_itself_would_not_do(study: Path) -> None:
    text = plan(study / "out")
    assert "desc-residual_dwi.nii.gz" in text
    assert "corrected by: nothing" in text
