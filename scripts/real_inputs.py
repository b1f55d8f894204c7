"""Write docs/reference/real-inputs.md from the rows of tests/real_inputs.

``python -m scripts.real_inputs [--check]``: ``--check`` writes nothing and ends with 1 if the page
is stale.
"""

import sys

from scripts.pages import DOCS, table_lines, write_or_check
from tests.real_inputs.rows import GROUPS, heading, situations

PAGE = DOCS / "reference" / "real-inputs.md"
MADE = "<!-- made by scripts/real_inputs.py: do not edit -->\n"


def page() -> str:
    """Every situation: what a user has, what dwiser does, what it did before, who reported it."""
    lines = [
        f"{MADE}# What real scans bring",
        "",
        f"{len(situations())} situations that scanners, converters, datasets and people bring, and "
        "what dwiser does. Each is a test: a small simulated series is changed in that way, and "
        "`dwiser` is run on it. The last column names public reports of the kind; most are of "
        "other programs. “Before” is version 0.2.0.",
    ]
    for group in (group for group in GROUPS if group.ROWS):
        rows = (
            [row.happens, row.expected, row.before, ", ".join(row.reported) or None]
            for row in group.ROWS
        )
        heads = ["what comes", "what dwiser does", "before", "reported"]
        lines += ["", f"## {heading(group)}", "", *table_lines(heads, rows)]
    return "\n".join(lines) + "\n"


def main() -> int:
    return write_or_check(__doc__, {PAGE: page})


if __name__ == "__main__":
    sys.exit(main())
