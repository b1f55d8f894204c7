"""What the parser refuses, in one sentence: what is wrong with the words, and what to do."""

import typing
from collections.abc import Collection
from difflib import get_close_matches

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

KINDS = {int: "a whole number", float: "a number", bool: "true or false"}


def usage_sentence(error: CycloptsError, commands: Collection[str]) -> str:
    """The sentence for words that are no command of dwiser.

    Parameters
    ----------
    error : the parser's.
    commands : the names of all.

    Returns
    -------
    str
        One line, in the parser's own words where they say what to do.
    """
    command = " ".join(error.command_chain or ())
    see = f"see `dwiser {command} --help`" if command else "see `dwiser --help`"
    parsers = " ".join(str(error).split())
    match error:
        case UnknownCommandError(unused_tokens=[word, *_]):
            near = get_close_matches(word, commands, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(commands)}."
            return f"Unknown command '{word}': {hint}"
        case UnknownOptionError() if not parsers.endswith("?"):
            return f"Unknown option {error.token.keyword or error.token.value}: {see}."
        case UnusedCliTokensError(unused_tokens=[word, *_]):
            return (
                f"'{word}' is more than {command} takes: leave it out, put a name with blanks in "
                f"quotes, or {see}."
            )
        case RepeatArgumentError():
            return f"{error.token.keyword} is given twice: give it once."
        case MissingArgumentError():
            return _missing(error, command, see)
        case CoercionError(token=token) if token is not None and error.argument is not None:
            allowed = _allowed(error.target_type)
            if allowed:
                name = token.keyword or error.argument.name
                return f"{name} takes {allowed}, not '{token.value}': correct it."
    return parsers if parsers.endswith("?") else f"{parsers.removesuffix('.')}: {see}."


def _missing(error: MissingArgumentError, command: str, see: str) -> str:
    """An argument that a command needs, or the value of an option that was given without one."""
    argument, keyword = error.argument, getattr(error, "keyword", None)  # cyclopts 4.0 has none
    assert argument is not None
    if not argument.required or keyword is not None or argument.tokens:
        return f"{keyword or argument.name} has no value: give one after it, or {see}."
    about = (argument.parameter.help or "").partition(";")[0].removesuffix(".")
    if about[1:2].islower() or about[1:2] == " ":  # no abbreviation
        about = about[:1].lower() + about[1:]
    return f"{command} needs {argument.name} ({about}): give it, or {see}."


def _allowed(kind: object) -> str:
    """What an argument of this type takes; nothing where there are no words for it."""
    if typing.get_origin(kind) is typing.Literal:
        *others, last = map(str, typing.get_args(kind))
        return f"{', '.join(others)} or {last}" if others else last
    return KINDS.get(kind, "") if isinstance(kind, type) else ""
