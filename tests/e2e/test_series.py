"""``dwiser denoise A B … --outdir DIR``."""

from pathlib import Path
from shutil import copy

import pytest

from dwiser.cli import main


@pytest.fixture
def two(files: Path) -> list[Path]:
    """The crop twice, as A and B."""
    paths = []
    for name in "AB":
        for end in ("nii.gz", "bval", "bvec"):
            copy(files / f"dwi.{end}", files / f"{name}.{end}")
        paths.append(files / f"{name}.nii.gz")
    return paths


def run(*words: object) -> int:
    return main(["denoise", *map(str, words), "--method", "identity", "--threads", "1"])


def test_each_has_its_result_and_the_decision_is_told(two, files, capsys) -> None:
    out = files / "out"
    assert run(*two, "--outdir", out, "--save-mask", "mask.nii.gz") == 0
    printed = capsys.readouterr()
    assert "together: same grid, brightness, place and noise" in printed.err
    assert [line.split(":")[0] for line in printed.out.splitlines()] == [
        str(out / "A.nii.gz"), str(out / "B.nii.gz")
    ]  # fmt: skip
    ends = ("nii.gz", "json", "bval", "bvec")
    expected = {f"{name}.{end}" for name in "AB" for end in ends}
    assert {path.name for path in out.iterdir()} == expected | {"A_mask.nii.gz", "B_mask.nii.gz"}
    assert run(*two, "--outdir", out) == 2
    assert "--force" in capsys.readouterr().err
    assert run(*two, "--outdir", out, "--apart", "--force", "-q") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("A.nii.gz",), "Give a series and the name of the result, not 1 names"),
        (("A.nii.gz", "B.nii.gz", "out.nii.gz"), "several series need --outdir"),
        (("A.nii.gz", "out.nii.gz", "--together"), "give --outdir too"),
        (("--outdir", "out"), "no series to denoise"),
        (("A.nii.gz", "A.nii.gz", "--outdir", "out"), "would have the name of"),
        (("A.nii.gz", "B.nii.gz", "--outdir", "no/out"), "cannot be made a folder"),
    ],
)
def test_what_is_refused_makes_no_folder(two, files, monkeypatch, capsys, words, says) -> None:
    monkeypatch.chdir(files)
    assert run(*words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning:" not in line]
    assert len(lines) == 1
    assert says in lines[0]
    assert not (files / "out").exists()
