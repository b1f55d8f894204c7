"""The benchmarks are a package whose every module can be imported from the repository's folder."""

from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
SHARED = {"record", "slabs", "confirmation"}  # what the others are made of


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_module_of_the_package_that_runs_by_name(name: str) -> None:
    module = import_module(f"benchmarks.{name}")
    assert name in SHARED or callable(module.main)
