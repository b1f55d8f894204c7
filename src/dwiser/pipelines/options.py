"""The options of ``dwiser denoise`` for one series, as plain values: what the engines are given."""

from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from dwiser.cli import build_app

Kind = Literal["input", "output", "flag", "text", "integer", "number", "texts"]
KINDS: dict[Any, Kind] = {bool: "flag", str: "text", int: "integer", float: "number"}
OF_SEVERAL_SERIES = "--outdir", "--together"
WRITTEN = "--save-", "--report"  # the beginnings of options that name a file to write
NAMES = {"--set": "settings"}  # of options whose own word is a method of many classes
TABLES = ".bval", ".bvec", ".json"  # beside the denoised image, under its name


@dataclass(frozen=True)
class Option:
    """One option: ``name`` in Python, ``flag`` on the command line, ``choices`` if there are few.

    ``kind`` is "input" or "output" for files, "texts" where it may come several times.
    """

    name: str
    flag: str
    kind: Kind
    help: str
    default: Any = None
    choices: tuple[str, ...] = ()


def denoise_options() -> tuple[Option, ...]:
    """All options of ``dwiser denoise``, but for those of several series, in its order.

    Examples
    --------
    >>> next(option for option in denoise_options() if option.name == "seed").flag
    '--seed'
    """
    arguments = build_app()["denoise"].assemble_argument_collection()
    return tuple(
        _option(argument)
        for argument in arguments
        if argument.names[0].startswith("--") and argument.names[0] not in OF_SEVERAL_SERIES
    )


def _option(argument: Any) -> Option:
    flag = next(name for name in argument.names if name.startswith("--"))
    hint = _without_none(argument.hint)
    choices = tuple(get_args(hint)) if get_origin(hint) is Literal else ()
    return Option(
        name=NAMES.get(flag, flag.removeprefix("--").replace("-", "_")),
        flag=flag,
        kind=_kind(flag, hint, choices),
        help=argument.parameter.help,
        default=argument.field_info.default,
        choices=choices,
    )


def _kind(flag: str, hint: Any, choices: tuple[str, ...]) -> Kind:
    if hint is Path:
        return "output" if flag.startswith(WRITTEN) else "input"
    if get_origin(hint) is list:
        return "texts"
    return "text" if choices else KINDS[hint]


def _without_none(hint: Any) -> Any:
    if isinstance(hint, UnionType):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    return hint
