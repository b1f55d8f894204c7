"""Each situation that is of an image's values ends as its user expects."""

from pathlib import Path

import pytest

from tests.real_inputs.rows import OF_VALUES, situations
from tests.real_inputs.situation import Situation, run


@pytest.mark.parametrize("situation", situations(OF_VALUES), ids=lambda situation: situation.name)
def test_it_ends_as_a_user_expects(
    situation: Situation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    situation.check(run(situation, tmp_path, capsys))
