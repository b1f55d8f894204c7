"""The reference pages say what the code says."""

import pytest

from dwiser.cli import COMMANDS
from dwiser.methods.registry import METHODS
from scripts import reference


@pytest.mark.parametrize("name", [*reference.BUILT])
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


def test_the_presets_stand_side_by_side_with_their_sources() -> None:
    lines = reference.presets_page().splitlines()
    (fusion,) = (line.split(" | ") for line in lines if line.startswith("| `fusion` |"))
    assert [cell.split("`")[1] for cell in fusion] == ["fusion", "target", "neighbour", "target"]
    assert "authors' released settings, as reported" in fusion[2]
    fields = {line.split("`")[1] for line in lines if line.startswith("| `")}
    assert {"b0s", "start_fusion", "shared_step", "step_interval", "threshold"} <= fields
