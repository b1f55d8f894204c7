"""Every command and snippet of the tutorial, and the README's Python, run in an empty folder."""

import re
import shlex
from pathlib import Path
from shutil import copyfile

import nibabel as nib
import pytest

from dwiser.cli import main
from dwiser.io.sample import sample_paths

HOME = Path(__file__).parents[2]
PAGE = HOME / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MADE = (
    *("dwi.nii.gz", "denoised.nii.gz", "denoised.json", "denoised.bval", "sigma.nii.gz"),
    *("residual.nii.gz", "mask.nii.gz", "look.png", "verdict.json", "again.nii.gz"),
    *("results/comparison.tsv", "results/comparison.json", "results/montage.png"),
)

pytestmark = pytest.mark.slow


def blocks(page: Path = PAGE) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text())


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


def test_the_readmes_python_runs(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample = sample_paths()
    nib.save(nib.load(sample.dwi).slicer[22:46, 20:44, 6:14], "dwi.nii.gz")
    for path in (sample.bval, sample.bvec):
        copyfile(path, path.name)
    names: dict[str, object] = {}
    readme = HOME / "README.md"
    snippets = [text for kind, text in blocks(readme) if kind == "python"]
    for text in snippets:
        exec(compile(text, str(readme), "exec"), names)
    assert len(snippets) == 2
    assert (tmp_path / "out.nii.gz").exists()
    assert (tmp_path / "out.html").exists()
