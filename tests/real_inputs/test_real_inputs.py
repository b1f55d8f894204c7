"""Each situation of the table ends as its user expects; those of values: `test_values`."""

import re
from pathlib import Path

import pytest

from scripts import real_inputs
from tests.real_inputs.rows import OTHERS, situations
from tests.real_inputs.situation import Situation, run

SOURCE = re.compile(r"[\w.-]+/[\w.-]+ #\d+")


@pytest.mark.parametrize("situation", situations(OTHERS), ids=lambda situation: situation.name)
def test_it_ends_as_a_user_expects(
    situation: Situation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    situation.check(run(situation, tmp_path, capsys))


def test_every_row_has_its_own_name_and_words() -> None:
    rows = situations()
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert all(SOURCE.fullmatch(source) for source in row.reported), row.name
        for words in (row.happens, row.expected, row.before):
            assert words.endswith((".", "?")), row.name
            assert "|" not in words, row.name


def test_the_page_is_what_the_rows_say() -> None:
    assert real_inputs.PAGE.read_text() == real_inputs.page(), "run python -m scripts.real_inputs"
