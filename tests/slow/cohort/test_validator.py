"""What ``dwiser bids`` writes passes the BIDS validator, and what is no dataset is refused."""

import json
import subprocess
from pathlib import Path

import pytest

from dwiser.cli import main
from dwiser.cohort.validate import PROGRAM, check_dataset, program
from dwiser.errors import Code
from tests.refusals import refused

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(program() is None, reason=f"{PROGRAM} is not installed"),
]


def errors(root: Path) -> list[str]:
    command = [str(program()), str(root), "--format", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    issues = json.loads(ran.stdout)["issues"]["issues"]
    return [f"{i['code']} {i.get('location')}" for i in issues if i["severity"] == "error"]


def test_the_output_passes_with_the_bidsignore_that_is_shipped(bids, tmp_path: Path) -> None:
    root, out = bids(tmp_path, "sub-01/ses-a run-1", "sub-01/ses-a run-2", "sub-02/ses-a"), tmp_path
    quick = ("--method", "gaussian", "--save-residual", "--report", "-q", "--threads", "1")
    assert main(["bids", str(root), str(out / "out"), "participant", *quick]) == 0
    assert len(list((out / "out").glob("sub-*/figures/*.html"))) == 3
    assert errors(out / "out") == []
    ignored = (out / "out/.bidsignore").read_text()
    (out / "out/.bidsignore").unlink()
    assert errors(out / "out") != []  # so that the file is known to be needed
    assert "*_dwimap.nii.gz" in ignored


def test_the_dataset_under_raw_names_passes(bids, tmp_path: Path) -> None:
    root, out = bids(tmp_path, "sub-01/ses-a", "sub-02/ses-a"), tmp_path / "out"
    quick = ("--method", "gaussian", "-q", "--threads", "1")
    command = ["bids", str(root), str(out), "participant", *quick]
    assert main([*command, "--as-raw", str(tmp_path / "view")]) == 0
    assert errors(tmp_path / "view") == []


def test_a_dataset_with_errors_is_refused_with_the_first_of_them(bids, tmp_path: Path) -> None:
    root = bids(tmp_path, "sub-01")
    assert check_dataset(root) is None
    (root / "sub-01/dwi/sub-01_dwi.bvec").unlink()
    with refused(Code.BIDS_INVALID, root, "DWI_MISSING_BVEC", "--skip-bids-validation"):
        check_dataset(root)
    (root / "dataset_description.json").unlink()
    with refused(Code.FILE_MISSING, "dataset_description.json: there is no such file", "check"):
        check_dataset(root)
