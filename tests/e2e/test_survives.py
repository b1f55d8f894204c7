"""A full disk, a read-only folder, memory that runs out: one sentence, nothing half-written."""

import errno
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dwiser.errors import Code
from tests.refusals import command_refused

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
HOW = ("--threads", "1", "--device", "cpu", "-q")
SMOKE = ("--method", "noise2noise", "--preset", "smoke", "--set", "iterations=3")


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize("old", [False, True])
def test_a_full_disk_keeps_the_old_output_and_says_what_to_do(files: Path, old: bool) -> None:
    """Files may grow to 64 KiB only: the system's own error, in the middle of the image."""
    if old:
        for e in ("nii.gz", "json", "bval", "bvec"):
            (files / f"out.{e}").write_text(f"old {e}")
    before = contents(files)
    words = ["denoise", "dwi.nii.gz", "out.nii.gz", "--method", "identity", "--force", *HOW]
    done = subprocess.run(
        [sys.executable, "-m", "dwiser", *words], cwd=files, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "out.nii.gz: it could not be written" in done.stderr
    assert "make room or choose another folder; nothing was left behind" in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(files) == before


def test_a_read_only_folder_is_refused_before_the_work(files: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    before = contents(files)
    words = ["denoise", str(files / "dwi.nii.gz"), str(files / "out.nii.gz"), *HOW]
    sentence = command_refused(capsys, Code.OUTPUT_FOLDER, *words)
    assert "its folder may not be written: choose another" in sentence
    assert contents(files) == before


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "lower batch"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "lower batch"),
        (MemoryError(), "memory ran out"),
    ],
    ids=["GPU", "torch", "numpy"],
)
def test_memory_that_runs_out_is_told(files, monkeypatch, capsys, error, says) -> None:
    def step(*_: object, **more: object) -> float:
        raise error

    monkeypatch.setattr("dwiser.learn.step.loss_of", step)
    before = contents(files)
    words = ["denoise", str(files / "dwi.nii.gz"), str(files / "out.nii.gz"), *SMOKE, *HOW]
    sentence = command_refused(capsys, Code.MEMORY_RAN_OUT, *words, exit_code=1)
    assert says in sentence
    assert sentence.endswith("Nothing was written.")
    assert contents(files) == before


def test_memory_that_is_asked_for_is_honoured_before_the_work(files: Path, capsys) -> None:
    before = contents(files)
    words = ["denoise", str(files / "dwi.nii.gz"), str(files / "out.nii.gz"), *HOW]
    sentence = command_refused(capsys, Code.MEMORY_LIMIT, *words, "--memory", "100M")
    assert "splitq would hold about 0.4 GiB" in sentence
    assert "raise it" in sentence
    sentence = command_refused(capsys, Code.ARGUMENT_VALUE, *words, "--memory", "plenty")
    assert "8G or 500M" in sentence
    assert contents(files) == before


def test_a_full_folder_for_temporary_files_is_told(files: Path, monkeypatch, capsys) -> None:
    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dwiser.methods.splitq.method.allocate_like", full)
    before = contents(files)
    words = ["denoise", str(files / "dwi.nii.gz"), str(files / "out.nii.gz"), *HOW]
    sentence = command_refused(capsys, Code.DISK_SCRATCH, *words, exit_code=1)
    assert "name another folder by TMPDIR" in sentence
    assert contents(files) == before
