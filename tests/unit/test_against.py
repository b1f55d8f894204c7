"""The benchmark against another build: its parts, on programs that copy files."""

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmarks import against
from benchmarks.against import Build, Input, compare, needs, python_of, tree_of

SHAPE = (4, 5, 3, 6)
COPY = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"


@pytest.fixture
def scan(tmp_path: Path) -> Input:
    truth = np.full(SHAPE, 100, np.float32)
    noise = np.where(np.arange(SHAPE[3]) % 2, 4, -4).astype(np.float32)
    mask = np.ones(SHAPE[:3], np.uint8)
    mask[0] = 0
    files = {
        "dwi": truth + noise,
        "better": truth + noise / 4,
        "truth": truth,
        "mask": mask,
        "sigma": np.full(SHAPE[:3], 2, np.float32),
    }
    for name, data in files.items():
        nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / f"{name}.nii.gz")
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("dwi", "mask", "truth", "sigma")}
    return Input("copied", **paths)


def copying(name: str, source: Path) -> Build:
    words = [sys.executable, "-S", "-E", "-c", COPY, str(source)]
    return Build(name, lambda out: [*words, str(out)], {"version": "1"})


def test_builds_are_compared_by_what_they_take_and_how_wrong_they_are(
    scan: Input, tmp_path: Path
) -> None:
    builds = [
        copying("this", tmp_path / "better.nii.gz"),
        copying("old", scan.dwi),
        copying("dwidenoise", scan.dwi),
    ]
    figures = compare(scan, builds, repeats=2)
    this, old = figures["builds"]["this"], figures["builds"]["old"]
    assert (this["rms_error_sigma"], old["rms_error_sigma"]) == (0.5, 2.0)
    assert this["mean_error_sigma"] == 0
    assert old["largest_difference_sigma"] == old["rms_difference_sigma"] == 1.5
    assert "largest_difference_sigma" not in figures["builds"]["dwidenoise"]
    assert len(old["runs"]["wall_s"]) == 2
    assert this["wall_s"] > 0
    assert figures["ratios"]["old"]["wall_s"] == pytest.approx(
        this["wall_s"] / old["wall_s"], abs=1e-3
    )


def test_a_build_that_fails_ends_the_benchmark_with_its_words(scan: Input) -> None:
    words = [sys.executable, "-S", "-E", "-c", "raise SystemExit('no such method')"]
    with pytest.raises(SystemExit, match="old ended with 1: no such method"):
        compare(scan, [Build("old", lambda out: words, {})], repeats=1)


def test_a_commit_runs_on_these_packages_where_it_declares_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    (repository / "src").mkdir(parents=True)
    project = Path(against.ROOT / "pyproject.toml").read_text()
    (repository / "pyproject.toml").write_text(project)
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(against, "ROOT", repository)
    tree = tree_of("HEAD", tmp_path / "builds" / "tree")
    assert needs(tree) == needs(repository)
    assert python_of(tree, venv=False) == (sys.executable, {"PYTHONPATH": str(tree / "src")})
    assert not (tmp_path / "builds" / "tree.tar").exists()
    (repository / "pyproject.toml").write_text(project.replace('"numpy>=2.0"', '"numpy>=9"'))
    assert tree_of("HEAD", tree) == tree
    assert needs(tree) != needs(repository)
