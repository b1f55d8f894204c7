"""Every command and snippet of the tutorial runs, in order, in an empty folder."""

import re
import shlex
from pathlib import Path

import pytest

from dwiser.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MADE = (
    *("dwi.nii.gz", "denoised.nii.gz", "denoised.json", "denoised.bval", "sigma.nii.gz"),
    *("residual.nii.gz", "mask.nii.gz", "look.png", "verdict.json", "again.nii.gz"),
    *("results/comparison.tsv", "results/comparison.json", "results/montage.png"),
)

pytestmark = pytest.mark.slow


def blocks() -> list[tuple[str, str]]:
    return BLOCK.findall(PAGE.read_text())


def test_the_tutorial_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names: dict[str, object] = {}
    for kind, text in blocks():
        assert kind in ("console", "python")
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), names)
            continue
        for line in text.splitlines():
            prompt, program, *words = shlex.split(line)
            assert (prompt, program) == ("$", "dwiser")
            assert main(words) == 0, capsys.readouterr().err
    for name in MADE:
        assert (tmp_path / name).exists(), name
    assert "splitq" in capsys.readouterr().out
