"""What a test asks of an error: its code, and a sentence that names the file and the remedy."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dwiser.cli import main
from dwiser.errors import Code, DwiserError, InputError

CODE = "dwiser: error code "


@contextmanager
def refused(
    code: Code, *named: object, error: type[DwiserError] = InputError
) -> Iterator[pytest.ExceptionInfo[DwiserError]]:
    """An error with ``code`` is raised inside: one line that names each of ``named`` in turn."""
    with pytest.raises(error) as caught:
        yield caught
    assert caught.value.code is code, f"{caught.value.code}: {caught.value}"
    assert_says(str(caught.value), *named)
    if error is InputError:
        assert str(caught.value).endswith((".", "?"))  # not so where a program's own words end it


def assert_says(sentence: str, *named: object) -> None:
    """One sentence, with all of ``named`` in it, one after the other."""
    assert "\n" not in sentence
    rest = sentence
    for words in map(str, named):
        assert words in rest, f"{words!r} in {sentence!r}"
        rest = rest.partition(words)[2]


def sentences(printed: str) -> list[str]:
    """The lines but for warnings, and the steps that took over a second until the refusal."""
    lines = printed.splitlines()
    return [line for line in lines if "warning:" not in line and not line.endswith(" …")]


def command_refused(
    capsys: pytest.CaptureFixture[str],
    code: Code | None,
    *words: str,
    exit_code: int = 2,
    silent: bool = True,
) -> str:
    """The one sentence that ``dwiser`` refuses these words with; --debug adds the ``code``.

    ``code`` is None for words that are no command of dwiser: no error of ours is raised for them.
    ``silent`` : nothing at all has been printed to standard output by then.
    """
    capsys.readouterr()
    assert main(list(words)) == exit_code
    captured = capsys.readouterr()
    told = sentences(captured.err)
    assert len(told) == 1, captured.err
    assert told[0].startswith("dwiser: ")
    assert captured.out == "" or not silent
    assert main([*words, "--debug"]) == exit_code
    *before, last = capsys.readouterr().err.splitlines()
    codes = [line.removeprefix(CODE) for line in before if line.startswith(CODE)]
    assert codes == ([] if code is None else [str(code)]), told
    assert last == told[0]
    return told[0]
