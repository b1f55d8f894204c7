"""The tables on splitq's and Di-Fusion's pages are those of the recorded results."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "measured.py"


@pytest.fixture(scope="module")
def script():
    spec = spec_from_file_location("measured", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_recorded_results_say(script) -> None:
    for page in script.PAGES:
        text = page.read_text()
        assert "<!-- measured:" in text
        assert script.filled(text) == text, "run python scripts/measured.py"


def test_every_named_table_can_be_made(script) -> None:
    named = {m[2] for page in script.PAGES for m in script.BLOCK.finditer(page.read_text())}
    assert named <= set(script.FILLED)


def test_what_was_not_measured_is_said_to_be_so(script, tmp_path) -> None:
    page = "a\n<!-- measured: coverage -->\nold\n<!-- end -->\nb\n"
    assert script.filled(page, tmp_path) == (
        "a\n<!-- measured: coverage -->\n*Not measured yet.*\n<!-- end -->\nb\n"
    )
