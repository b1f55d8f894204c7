"""The reference pages say what the code says."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from dwiser.cli import COMMANDS
from dwiser.methods.registry import METHODS

HOME = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    spec = spec_from_file_location("reference", HOME / "scripts" / "reference.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cli.md", "methods.md", "errors.md"])
def test_the_page_is_what_the_code_says(script, name) -> None:
    assert (script.PAGES / name).read_text() == script.BUILT[name](), (
        "run python scripts/reference.py"
    )


def test_every_command_and_method_is_there(script) -> None:
    commands, methods = script.cli_page(), script.methods_page()
    for command in COMMANDS:
        assert f"dwiser {command}" in commands
    assert "--save-residual" in commands
    for method, entry in METHODS.items():
        assert f"## {method}\n" in methods
        assert entry.citation in methods
    learned_on = METHODS["splitq"].load()().learned_on
    assert f"- `learned_on` = `{learned_on}`: voxels that the weights are learned on" in methods
    assert "(ours, from tuning phantoms" in methods
