"""Progress on stderr: a longer step is named once, a short one not at all."""

import gc
from time import sleep

import pytest

from dwiser.cli import progress as shown
from dwiser.cli.starting import starting
from dwiser.watch import Progress, step


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "SHORT", 0.1)


def test_a_log_names_what_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    with shown.progress() as watch:
        with step(watch, "quick"):
            pass
        with step(watch, "slow"):
            sleep(0.4)
        watch(Progress("learning", 1, 2))
        watch(Progress("learning", 2, 2))
    assert capsys.readouterr().err == "slow …\nlearning: 1/2\nlearning: 2/2\n"


def test_a_refusal_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), shown.progress() as watch, step(watch, "reading"):
        raise ValueError("no")
    sleep(0.3)
    assert capsys.readouterr().err == ""


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with shown.progress(quiet=True) as watch, step(watch, "slow"):
        sleep(0.2)
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar_for_a_step_that_lasted() -> None:
    with shown._bars() as bars:
        watch = shown._Bars(bars)
        with step(watch, "quick"):
            pass
        with step(watch, "slow"):
            sleep(0.2)
        watch(Progress("learning", 1, 2))
        with pytest.raises(ValueError, match="no"), step(watch, "writing"):
            raise ValueError("no")
        watch.close()
        assert [task.description for task in bars.tasks] == ["slow", "learning"]


def test_no_garbage_is_looked_for_while_a_command_starts_whatever_comes_of_it() -> None:
    reports: list[Progress] = []
    with starting(reports.append):
        assert not gc.isenabled()
    assert gc.isenabled()
    assert [(p.task, p.done) for p in reports] == [("starting", 0), ("starting", 1)]
    with pytest.raises(ValueError, match="a setting"), starting(reports.append):
        raise ValueError("a setting")
    assert gc.isenabled()
