"""A method's fields as its options: documented, parsed from text, checked by name and value."""

from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from dwiser.errors import Code, InputError, unknown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

M = TypeVar("M", bound="DataclassInstance")


@dataclass(frozen=True)
class Sourced:
    """A preset's value and where it comes from."""

    value: Any
    source: str


Presets = dict[str, dict[str, Sourced]]


def option(
    default: Any, help: str, *, least: int | float | None = None, most: int | float | None = None
) -> Any:
    """A dataclass field that documents itself and knows its bounds."""
    return field(default=default, metadata={"help": help, "least": least, "most": most})


def parse(cls: type, name: str, text: str) -> Any:
    """The value of field ``name`` of method ``cls`` from a command line's text."""
    known = {f.name: f for f in fields(cls)}
    if name not in known:
        raise unknown(f"option of {method_name(cls)}", name, known, code=Code.SETTING_UNKNOWN)
    return _checked(cls, known[name], _convert(cls, name, text))


def _convert(cls: type, name: str, text: str) -> Any:
    hint = get_type_hints(cls)[name]
    kinds = get_args(hint) if get_origin(hint) not in (None, Literal) else (hint,)
    if type(None) in kinds and text.lower() == "none":
        return None
    for kind in kinds:
        if get_origin(kind) is Literal:
            if text in get_args(kind):
                return text
            raise unknown(f"value of {name}", text, get_args(kind), code=Code.SETTING_VALUE)
        if kind is bool and text.lower() in ("true", "false", "yes", "no"):
            return text.lower() in ("true", "yes")
        if kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
        if kind is str:
            return text
    raise InputError(
        f"'{text}' is no value for {name} of {method_name(cls)}: {_wanted(hint)}.",
        code=Code.SETTING_VALUE,
    )


def _wanted(hint: Any) -> str:
    words = {int: "give a whole number", float: "give a number", bool: "give true or false"}
    kinds = get_args(hint) or (hint,)
    words_of_kinds = " or ".join(words[k] for k in kinds if k in words)
    return words_of_kinds + (" or none" if type(None) in kinds else "")


def _checked(cls: type, spec: Field[Any], value: Any) -> Any:
    least, most = spec.metadata.get("least"), spec.metadata.get("most")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if (least is not None and value < least) or not abs(value) < float("inf"):
            raise InputError(
                f"{spec.name} of {method_name(cls)} must be at least {least:g}.",
                code=Code.SETTING_VALUE,
            )
        if most is not None and value > most:
            raise InputError(
                f"{spec.name} of {method_name(cls)} must be at most {most:g}.",
                code=Code.SETTING_VALUE,
            )
    return value


def configured(method: M, settings: dict[str, str]) -> M:
    """A copy of a method with fields set from text."""
    cls = type(method)
    return replace(method, **{k: parse(cls, k, v) for k, v in settings.items()})


def method_name(cls: type) -> str:
    return str(getattr(cls, "name", cls.__name__.lower()))


def describe(cls: type, presets: Presets) -> list[dict[str, Any]]:
    """One row a field: name, default, the presets' values with sources, help."""
    rows = []
    for spec in fields(cls):
        default = None if spec.default is MISSING else spec.default
        by_preset = {p: values[spec.name] for p, values in presets.items() if spec.name in values}
        rows.append(
            {
                "field": spec.name,
                "default": default,
                "presets": {p: s.value for p, s in by_preset.items()},
                "sources": {p: s.source for p, s in by_preset.items()},
                "help": spec.metadata.get("help", ""),
            }
        )
    return rows
