"""Broken off, and gone on with: by an exception in process, by kill −9 in earnest."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.cli import main
from dwiser.errors import Code
from dwiser.learn import stepping
from tests.refusals import command_refused

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
HOW = ("--threads", "1", "--device", "cpu", "-q", "--checkpoint-every", "0")
SMOKE = ("--method", "noise2noise", "--preset", "smoke")
CHECKPOINT = ".out.dwiser-checkpoint.safetensors"


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_after_an_interruption_resume_ends_in_the_same_bits(files, monkeypatch, capsys) -> None:
    dwi, out = str(files / "dwi.nii.gz"), str(files / "out.nii.gz")
    quick = (*SMOKE, "--set", "iterations=8", *HOW)
    assert main(["denoise", dwi, str(files / "whole.nii.gz"), *quick]) == 0
    before = {p.name for p in files.iterdir()}
    step, steps = stepping.gradient, []

    def interrupted(*words) -> object:
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return step(*words)

    monkeypatch.setattr(stepping, "gradient", interrupted)
    assert main(["denoise", dwi, out, *quick]) == 130
    assert "--resume" in capsys.readouterr().err
    assert {p.name for p in files.iterdir()} == before | {CHECKPOINT}

    other = ("denoise", dwi, out, *quick, "--resume", "--seed", "9")
    sentence = command_refused(capsys, Code.CHECKPOINT_OTHER_RUN, *other)
    assert "the seed changed: call as before, or leave out --resume" in sentence
    assert main(["denoise", dwi, out, *quick, "--resume"]) == 0
    assert len(steps) == 5 + 4  # the fifth iteration was done again, the first four were not
    np.testing.assert_array_equal(voxels(files / "out.nii.gz"), voxels(files / "whole.nii.gz"))
    assert not (files / CHECKPOINT).exists()


def test_a_damaged_checkpoint_is_refused(files: Path, capsys) -> None:
    (files / CHECKPOINT).write_bytes(b"x" * 99)
    words = ["denoise", str(files / "dwi.nii.gz"), str(files / "out.nii.gz"), *SMOKE, *HOW]
    assert CHECKPOINT in command_refused(capsys, Code.WEIGHTS_INVALID, *words, "--resume")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["difusion", "ddm2", "splitnet"])
def test_after_kill_9_resume_ends_in_the_same_bits(files: Path, method: str) -> None:
    """Killed three times, each time some way further, by the system and not by ourselves."""
    settings = {"difusion": 60, "ddm2": 60, "splitnet": 60}
    words = [sys.executable, "-m", "dwiser", "denoise", "dwi.nii.gz", "out.nii.gz", *HOW]
    words += ["--method", method, "--preset", "smoke", "--set", f"iterations={settings[method]}"]
    subprocess.run(words, cwd=files, check=True, timeout=600)
    uninterrupted = voxels(files / "out.nii.gz").copy()
    for path in files.glob("out.*"):
        path.unlink()
    checkpoint, more = files / CHECKPOINT, []
    for _ in range(3):
        old = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = subprocess.Popen([*words, *more], cwd=files)
        while process.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > old:
                time.sleep(0.1)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        assert process.wait(timeout=60) == -signal.SIGKILL
        assert not (files / "out.nii.gz").exists()
        more = ["--resume"]
    subprocess.run([*words, "--resume"], cwd=files, check=True, timeout=600)
    np.testing.assert_array_equal(voxels(files / "out.nii.gz"), uninterrupted)
    assert not [p.name for p in files.iterdir() if p.name.startswith(".")]


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(files: Path, monkeypatch) -> None:
    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dwiser.run.checkpoint.write_tensors", full)
    words = ["denoise", str(files / "dwi.nii.gz"), str(files / "out.nii.gz"), *SMOKE, *HOW]
    assert main([*words, "--set", "iterations=3"]) == 0
    assert (files / "out.json").read_text().count("no checkpoint can be written") == 1
