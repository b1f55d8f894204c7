"""The reference pages say what the code says."""

import pytest

from dwiser.cli import COMMANDS
from dwiser.methods.registry import METHODS
from scripts import reference


@pytest.mark.parametrize("name", ["cli.md", "methods.md", "errors.md"])
def test_the_page_is_what_the_code_says(name) -> None:
    assert (reference.PAGES / name).read_text() == reference.BUILT[name](), (
        "run python -m scripts.reference"
    )


def test_every_command_and_method_is_there() -> None:
    commands, methods = reference.cli_page(), reference.methods_page()
    for command in COMMANDS:
        assert f"dwiser {command}" in commands
    assert "--save-residual" in commands
    for method, entry in METHODS.items():
        assert f"## {method}\n" in methods
        assert entry.citation in methods
    learned_on = METHODS["splitq"].load()().learned_on
    assert f"- `learned_on` = `{learned_on}`: voxels that the weights are learned on" in methods
    assert "(ours, from tuning phantoms" in methods
