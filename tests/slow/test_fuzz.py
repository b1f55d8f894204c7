"""Damaged headers and tables: each ends in a result that can be read again, or in one sentence."""

import shutil
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dwiser.errors import DwiserError, DwiserWarning
from dwiser.io import load
from dwiser.run import Request, denoise_file

IN_PROCESS, BY_COMMAND = 5000, 50
SET = {"out.nii.gz", "out.json", "out.bval", "out.bvec"}

pytestmark = pytest.mark.slow


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def one_sentence(text: str) -> bool:
    return bool(text) and "\n" not in text and text.endswith((".", "?")) and len(text) < 600


def outcome(folder: Path, dwi: Path) -> str:
    """Denoise by identity; "done", or "refused". Anything else is a failure."""
    before = names(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)
        try:
            denoise_file(Request(dwi, folder / "out.nii.gz", method="identity", threads=1))
        except DwiserError as error:
            sentence = str(error)
        else:
            sentence = None
            was, now = load(dwi), load(folder / "out.nii.gz")
    if sentence is not None:
        assert one_sentence(sentence), sentence
        assert names(folder) == before
        return "refused"
    assert names(folder) == before | SET
    same = (now.data == was.data) | ((was.data < 0) & (now.data == 0))
    assert same.all()
    np.testing.assert_array_equal(now.affine, was.affine)
    np.testing.assert_array_equal(now.gradients.bvals, was.gradients.bvals)
    return "done"


@pytest.mark.parametrize("part", range(10))
def test_in_process(part: int, damage: Callable) -> None:
    ends: Counter[str] = Counter()
    for case in range(part * IN_PROCESS // 10, (part + 1) * IN_PROCESS // 10):
        harmed = damage(case)
        dwi = harmed.scan()
        told = harmed.harm(dwi)
        try:
            ends[outcome(harmed.folder, dwi)] += 1
        except BaseException as error:
            error.add_note(f"case {case}: {told}")
            raise
        shutil.rmtree(harmed.folder)
    assert min(ends["done"], ends["refused"]) > IN_PROCESS // 100  # the damage is neither's alone


def test_through_the_command(damage: Callable) -> None:
    for case in range(IN_PROCESS, IN_PROCESS + BY_COMMAND):
        harmed = damage(case)
        dwi = harmed.scan()
        told, before = harmed.harm(dwi), names(harmed.folder)
        words = ("denoise", dwi.name, "out.nii.gz", "--method", "identity", "--threads", "1", "-q")
        done = subprocess.run(
            [sys.executable, "-m", "dwiser", *words],
            cwd=harmed.folder, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        lines = [line for line in done.stderr.splitlines() if "warning:" not in line]
        assert done.returncode in (0, 2), f"case {case}: {told}: {done.stderr}"
        if done.returncode == 0:
            assert names(harmed.folder) == before | SET, told
            assert not lines, told
        else:
            assert names(harmed.folder) == before, told
            assert len(lines) == 1, told
            assert lines[0].startswith("dwiser: "), told
