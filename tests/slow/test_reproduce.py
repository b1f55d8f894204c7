"""Every script of reproduce/ runs at its smoke setting, and its record tells and draws."""

import json
from pathlib import Path

import pytest

from reproduce.page import NAMES, page
from reproduce.protocol import Experiment, Run


def experiment(name: str) -> Experiment:
    from importlib import import_module

    return import_module(f"reproduce.{name}").EXPERIMENT


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_script_runs_and_its_record_tells(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DWISER_DATA", raising=False)
    found = experiment(name)
    path = found.run("smoke", Run(found.settings["smoke"], say=lambda _: None), tmp_path)
    record = json.loads(path.read_text())
    told = found.tell(record)
    assert told.lines
    assert record["seconds"] > 0
    assert (tmp_path / f"{name}.png").exists() == (found.draw is not None)
    assert f"`python -m reproduce.{name} smoke`" in page(tmp_path)
