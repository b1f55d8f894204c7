"""The page of a whole study is run, in its order, in an empty folder, with the real tools."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

HOME = Path(__file__).parents[2]
PAGE = HOME / "docs" / "how-to" / "study.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOOLS = ("dcm2niix", "mrdegibbs", "dwi2response", "dwi2fod")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
if find_spec("pydicom") is None:
    MISSING.append("pydicom")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not on this machine: {', '.join(MISSING)}"),
]


def run_page(folder: Path) -> dict[str, str]:
    """Every command and snippet of the page; what each command printed."""
    (folder / "dwiser").symlink_to(HOME)
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": beside, "MPLBACKEND": "Agg"}
    names: dict[str, object] = {}
    printed = {}
    for kind, text in BLOCK.findall(PAGE.read_text()):
        assert kind in ("console", "python", "text")
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), names)
            continue
        for line in text.splitlines() if kind == "console" else ():
            prompt, program, *words = shlex.split(line)
            assert prompt == "$"
            command = [sys.executable, "-m", "dwiser"] if program == "dwiser" else [program]
            ran = subprocess.run(
                [*command, *words], cwd=folder, env=environment, capture_output=True, text=True
            )
            assert ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"
            printed[line] = ran.stdout
    return printed


def test_the_study_runs_and_ends_nearer_to_the_truth(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(tmp_path)
    table = [np.loadtxt(tmp_path / f"{place}/dwi.bvec", ndmin=2) for place in ("scan", "nifti")]
    np.testing.assert_allclose(*table, atol=1e-4)  # through DICOM and back
    assert json.loads((tmp_path / "verdict.json").read_text())["verdict"]["level"] == "PASS"
    inside = nib.load(tmp_path / "brain.nii.gz").get_fdata() > 0
    truth, raw, denoised = (
        nib.load(tmp_path / f"{name}.nii.gz").get_fdata()[inside]
        for name in ("scan/fa", "raw_fa", "fa")
    )
    assert np.abs(denoised - truth).mean() < 0.7 * np.abs(raw - truth).mean()
    for picture in ("fa.png", "fod.png"):
        assert (tmp_path / picture).stat().st_size > 10_000
