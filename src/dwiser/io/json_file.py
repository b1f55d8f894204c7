"""JSON objects in files: the one reader of sidecars and descriptions, whoever wrote them."""

import json
from pathlib import Path
from typing import Any

from dwiser.errors import Code, InputError
from dwiser.io.about import FilePath, about, check_contents

SHOWN = 24  # characters that an error quotes
NO_TEXT = "It is no text: remove it, or write a JSON object in UTF-8"
TOO_DEEP = "Its lists and objects are nested too deeply: correct or remove it"
DEEPEST = 100  # levels of lists and objects
KINDS = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}


def read_object(path: FilePath) -> dict[str, Any]:
    """The JSON object in a file.

    UTF-8 is what JSON is in; UTF-16 and UTF-32, and a byte order mark, are known with certainty
    and read too. NaN and Infinity, which JSON lacks and many programs write, become floats. Of a
    name that comes twice the last value counts, as for every reader.

    Parameters
    ----------
    path : a text file.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        For a file that cannot be read or holds no JSON object, in one sentence that names it and,
        where it is one, the line.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dwiser.io import read_object
    >>> _ = Path("dwi.json").write_text('{"EchoTime": 0.09,}')
    >>> read_object("dwi.json")
    Traceback (most recent call last):
    dwiser.errors.InputError: dwi.json: line 1 has a comma with nothing after it: remove the comma.
    """
    with about(path):
        check_contents(path)
        return _object(_text(Path(path).read_bytes()))


def _text(content: bytes) -> str:
    encoding = json.detect_encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if not encoding.startswith("utf-8") or b"\0" in content:
            raise _fault(NO_TEXT) from error
        line = content.count(b"\n", 0, error.start) + 1
        raise _fault(
            f"Line {line} is not UTF-8 (byte 0x{content[error.start]:02X}; is it Latin-1 or "
            "Windows-1252?): save the file as UTF-8"
        ) from error
    if not encoding.startswith("utf-8") and not text.lstrip().startswith(("{", "[")):
        raise _fault(NO_TEXT)  # other bytes may be UTF-16 by chance
    return text


def _object(text: str) -> dict[str, Any]:
    if not text.strip():
        raise _fault("It is empty: remove it, or write a JSON object")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise _fault(_syntax(text, error)) from error
    except ValueError as error:
        raise _fault("It has a number with thousands of digits: correct or remove it") from error
    except RecursionError as error:
        raise _fault(TOO_DEEP) from error
    if not isinstance(value, dict):
        kind = KINDS.get(type(value), "null")
        raise _fault(f"It holds {kind} and no JSON object in braces: correct or remove it")
    if _is_deeper(value, DEEPEST):  # it could be read, but not be written again
        raise _fault(TOO_DEEP)
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    inside = [value]
    for _ in range(levels):
        nested = [item for item in inside if isinstance(item, dict | list)]
        inside = [x for item in nested for x in (item.values() if isinstance(item, dict) else item)]
    return any(isinstance(item, dict | list) for item in inside)


def _syntax(text: str, error: json.JSONDecodeError) -> str:
    """What is wrong with the JSON where its reader stopped, and what to do."""
    before, after = text[: error.pos].rstrip(), text[error.pos :].lstrip()
    if after.startswith(",") and after[1:].lstrip().startswith(("}", "]")):
        before, after = text[: len(text) - len(after) + 1], after[1:].lstrip()
    if before.endswith(",") and after.startswith(("}", "]")):  # the reader stops at it or behind
        line = before.count("\n") + 1
        return f"Line {line} has a comma with nothing after it: remove the comma"
    if not after or error.msg.startswith("Unterminated string"):
        return "It ends in the middle: copy it again, or write its end"
    if error.msg.startswith("Invalid control character"):
        return f"Line {error.lineno} has a line break or a tab inside a text: remove it"
    line = text.count("\n", 0, len(text) - len(after)) + 1
    return f"Line {line} is no JSON at {after.splitlines()[0][:SHOWN]!r}: correct it"


def _fault(sentence: str) -> InputError:
    return InputError(f"{sentence}.", code=Code.SIDECAR_FORMAT)
