"""For the documentation site: dwiser's docstrings as the parser of numpy docstrings expects them.

A parameter here stands as ``name : (X, Y, Z), what it is``: shape, unit and meaning are one
sentence that may go on, indented, and the type is in the signature. Two short ones may share a
line. The parser would take the first line for a type and only the rest for the description.
mkdocs.yml names this extension.
"""

import re
from typing import Any

from griffe import Extension, Object

SECTION = re.compile(r"(?ms)^(?:Parameters|Attributes)\n-{3,}\n.*?(?=^\w[\w ]*\n-{3,}$|\Z)")
NAMES = r"\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}[A-Za-z_]\w*)*"
ENTRY = re.compile(rf"^({NAMES}) : (.+)$", re.MULTILINE)
NEXT = re.compile(rf"(?<=[.;]) ({NAMES}) : ")  # the second on a line


def with_descriptions(docstring: str) -> str:
    """The docstring, each parameter's first line under its name and not beside it."""
    return SECTION.sub(lambda section: _split(section[0]), docstring)


def _split(section: str) -> str:
    return ENTRY.sub(r"\1\n    \2", NEXT.sub(r"\n\1 : ", section))


class Descriptions(Extension):
    """Rewrites the docstring of everything that is loaded."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = with_descriptions(obj.docstring.value)
