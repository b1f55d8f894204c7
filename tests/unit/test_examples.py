"""The examples in the docstrings of what is exported run, and give what they show."""

import doctest
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

EXPORTING = ("dwiser", "dwiser.io", "dwiser.simulation")
HOMES = sorted(
    {
        getattr(package, name).__module__
        for package in map(import_module, EXPORTING)
        for name in package.__all__
    }
)


def examples(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(module) if test.examples]


@pytest.mark.parametrize("name", HOMES)
def test_examples_give_what_they_show(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner()
    for test in examples(sys.modules[name]):
        said: list[str] = []
        failed = runner.run(test, out=said.append).failed
        assert failed == 0, "".join(said)


@pytest.mark.parametrize("package", EXPORTING)
def test_every_exported_function_and_class_has_an_example(package: str) -> None:
    exported = import_module(package)
    without = [
        name
        for name in exported.__all__
        if not any(
            test.name.endswith(f".{name}")
            for test in examples(sys.modules[getattr(exported, name).__module__])
        )
    ]
    assert without == []
