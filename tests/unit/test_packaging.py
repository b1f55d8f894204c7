"""The recipes of packages say what pyproject.toml says."""

import re
import tomllib
from pathlib import Path

import yaml

import dwiser

HOME = Path(__file__).parents[2]
PROJECT = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
IN_CONDA = {"isal": "python-isal", "matplotlib": "matplotlib-base", "torch": "pytorch"}


def requirements(lines: list[str]) -> dict[str, str]:
    """Name to range, under conda's names; an extra is a package of its own there."""
    ranges = {}
    for line in lines:
        name, extra, limits = re.fullmatch(r"([\w-]+)(?:\[(\w+)\])?(.*)", line).groups()
        names = ["dask-core", extra] if extra else [IN_CONDA.get(name, name)]
        ranges |= dict.fromkeys(names, limits)
    return ranges


def test_the_conda_recipe_asks_for_what_the_package_does() -> None:
    recipe = yaml.safe_load((HOME / "packaging" / "conda" / "recipe.yaml").read_text())
    assert recipe["context"]["version"] == dwiser.__version__
    needed = dict(line.split(" ", 1) for line in recipe["requirements"]["run"])
    assert needed.pop("python") == PROJECT["requires-python"]
    assert needed == requirements(PROJECT["dependencies"])
    extra = dict(line.split(" ", 1) for line in recipe["requirements"]["run_constraints"])
    assert extra == requirements(PROJECT["optional-dependencies"]["learn"])


def test_the_plain_package_brings_no_torch_and_the_tests_do() -> None:
    assert not any(line.startswith("torch") for line in PROJECT["dependencies"])
    assert "dwiser[learn]" in PROJECT["optional-dependencies"]["test"]
