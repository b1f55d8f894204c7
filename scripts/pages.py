"""What all writers of generated pages share: blocks, tables, and write or ``--check``.

A page may be generated whole, or hold blocks between ``<!-- measured: NAME -->`` and
``<!-- end -->``, each filled from a record; the text around them is written by hand.
"""

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

HOME = Path(__file__).parent.parent
DOCS, RESULTS = HOME / "docs", HOME / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- measured: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill_blocks(page: str, block: Callable[[str], str]) -> str:
    """The page with the text of each block anew: ``block`` takes its name."""
    return BLOCK.sub(lambda m: f"{m[1]}{block(m[2])}{m[3]}", page)


def table_lines(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table, line by line; None is shown as a dash."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        lines.append("| " + " | ".join("–" if c is None else str(c) for c in row) + " |")
    return lines


def write_or_check(about: str | None, pages: Mapping[Path, Callable[[], str]]) -> int:
    """Write each page's text; with ``--check`` write nothing, and return 1 if one is stale."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if stale")
    options = parser.parse_args()
    stale = False
    for path, build in pages.items():
        text = build()
        stale |= not path.exists() or path.read_text() != text
        if not options.check:
            path.write_text(text)
            print(path)
    return int(options.check and stale)
