"""A program that a signal ends: named, with another method in place of the bare signal."""

import pytest

from dwiser.errors import Code, DwiserError
from dwiser.methods.base import WITHOUT_DIRECTIONS
from dwiser.methods.peers.programs import run_program
from dwiser.methods.registry import build


@pytest.mark.parametrize(
    "script",
    ["kill -SEGV $$", "echo '[SYSTEM FATAL CODE: SIGSEGV (11)] Invalid memory access' >&2; exit 1"],
)
def test_it_is_named_and_another_method_too(script) -> None:
    with pytest.raises(DwiserError, match=r"sh was ended by a signal \(SIGSEGV\).*mppca") as caught:
        run_program(["/bin/sh", "-c", script])
    assert caught.value.code == Code.PROGRAM_FAILED


def test_other_failures_keep_their_last_words() -> None:
    with pytest.raises(DwiserError, match="sh failed: no such thing"):
        run_program(["/bin/sh", "-c", "echo no such thing >&2; exit 3"])


def test_the_methods_that_are_named_for_scans_without_directions_take_them() -> None:
    assert not any(build(name).capabilities.uses_directions for name in WITHOUT_DIRECTIONS)
    assert build("nlsam").capabilities.uses_directions
    assert build("difusion", settings={"pairing": "angular"}).capabilities.uses_directions
