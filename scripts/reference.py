"""Write docs/reference/cli.md, methods.md, difusion-presets.md and errors.md from the code.

``python -m scripts.reference [--check]``: ``--check`` writes nothing and ends with 1 if a page is
stale. Nothing on the pages is typed by hand.
"""

import re
import sys
from inspect import cleandoc
from typing import Any

from dwiser.cli import build_app
from dwiser.errors import Code
from dwiser.methods.options import describe
from dwiser.methods.registry import DEFAULT_METHOD, METHODS, Entry
from scripts.pages import DOCS, table_lines, write_or_check

PAGES = DOCS / "reference"
MADE = "<!-- made by scripts/reference.py: do not edit -->\n"
UNDERLINED = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)  # a section of a docstring


def cli_page() -> str:
    """Every command with its arguments and options, as ``--help`` shows them."""
    text = build_app().generate_docs(max_heading_level=3)
    head, rest = text.split("\n", 1)
    about = (
        "Exit codes: 0 done; 1 it ran, but something in it failed; 2 bad input or usage, reported "
        "in one sentence, with nothing written; 130 interrupted. `--debug` shows the traceback "
        "and the [error's code](errors.md)."
    )
    return f"{MADE}{head}\n\n{about}\n{rest.rstrip()}\n"


def methods_page() -> str:
    """Every method: what it is, its citation, what it needs, its docstring and its fields."""
    lines = [
        f"{MADE}# Methods",
        "",
        f"`dwiser denoise --method NAME`; without it, `{DEFAULT_METHOD}`. A field is set by "
        "`--set field=value`; `none` where a field may be empty. A preset's value stands with "
        "where it comes from. [Which one?](../how-to/choose.md)",
        "",
    ]
    for name, entry in METHODS.items():
        lines += _method(name, entry)
    return "\n".join(lines).rstrip() + "\n"


def _method(name: str, entry: Entry) -> list[str]:
    cls = entry.load()
    about = UNDERLINED.sub(r"**\1**\n", cleandoc(cls.__doc__ or ""))
    presets = cls().capabilities.presets
    rows = describe(cls, presets)
    fields = [line for row in rows for line in _field(row)] or ["None."]
    return [
        f"## {name}", "", f"{entry.line}.", "",
        f"- source: {entry.citation}", f"- needs: {entry.needs}",
        f"- presets: {', '.join(f'`{p}`' for p in presets)}", "",
        about, "", "**Fields**", "", *fields, "",
    ]  # fmt: skip


def _field(row: dict[str, Any]) -> list[str]:
    lines = [f"- `{row['field']}` = `{_shown(row['default'])}`: {row['help']}"]
    for preset, value in row["presets"].items():
        lines.append(f"    - {preset}: `{_shown(value)}` ({row['sources'][preset]})")
    return lines


def _shown(value: Any) -> str:
    plain = {None: "none", True: "true", False: "false"}
    return plain[value] if value is None or isinstance(value, bool) else str(value)


SIDE_BY_SIDE = "paper", "released", "laptop"


def presets_page() -> str:
    """Di-Fusion's presets beside each other, each value with its source."""
    entry = METHODS["difusion"]
    cls = entry.load()
    rows = describe(cls, cls().capabilities.presets)
    cells = [
        [f"`{row['field']}`", *(_of_preset(row, preset) for preset in SIDE_BY_SIDE)]
        for row in rows if row["presets"]
    ]  # fmt: skip
    lines = [
        f"{MADE}# Di-Fusion's presets, line by line",
        "",
        f"{entry.citation}.",
        "",
        "- `paper`: the publication's numbers, read as it says them. Where it says nothing, ours.",
        "- `released`: what the authors' program does, as reported; the poster's results come from "
        "it. None of its code is here.",
        "- `laptop`: two cores and minutes; the default on every device.",
        "",
        "What is not copied of the released program, and why, stands in "
        "[Di-Fusion as implemented here](../explanation/difusion.md#what-released-does-not-copy). "
        "What each field means: [Methods](methods.md#difusion).",
        "",
        *table_lines(["field", *(f"`{p}`" for p in SIDE_BY_SIDE)], cells),
    ]
    return "\n".join(lines) + "\n"


def _of_preset(row: dict[str, Any], preset: str) -> str:
    if preset not in row["presets"]:
        return f"`{_shown(row['default'])}` (the field's default)"
    return f"`{_shown(row['presets'][preset])}` ({row['sources'][preset]})".replace("|", "\\|")


def errors_page() -> str:
    """Every code of an error: what it means and what to do."""
    rows = [f"| `{c}` | {what}. | {_capital(todo)}. |" for c, what, todo in map(_parts, Code)]
    return f"""{MADE}# Errors

An error is one sentence for people: which file or option, what is wrong with it, what to do. Its
code is for programs: the sentence may be reworded, the code is kept.

- Python: `except dwiser.DwiserError as error`, then `error.code == "grid.shape"` (or
  `Code.GRID_SHAPE` of `dwiser.errors`). `InputError` is the kind that the caller can correct.
- Command line: `--debug` prints the code above the sentence. The exit code tells input (2) from
  what failed while it ran (1).

| code | what is wrong | what to do |
|---|---|---|
{chr(10).join(rows)}
"""


def _parts(code: Code) -> tuple[Code, str, str]:
    what, todo = code.sentence.split(": ")
    return code, what, todo


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


BUILT = {
    "cli.md": cli_page, "methods.md": methods_page, "difusion-presets.md": presets_page,
    "errors.md": errors_page,
}  # fmt: skip


def main() -> int:
    return write_or_check(__doc__, {PAGES / name: build for name, build in BUILT.items()})


if __name__ == "__main__":
    sys.exit(main())
