"""What every script that writes a page does: write it anew, or ``--check`` that it is true."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path


def write_or_check(about: str, pages: Mapping[Path, Callable[[], str]]) -> int:
    """Write each page's text; with ``--check`` write nothing, and return 1 if one is stale."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if stale")
    asked = parser.parse_args()
    stale = False
    for path, made in pages.items():
        text = made()
        stale |= not path.exists() or path.read_text() != text
        if not asked.check:
            path.write_text(text)
            print(path)
    return int(asked.check and stale)
