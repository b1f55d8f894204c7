"""Claims of the poster, each with a verdict that a rule reads off the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from scripts.pages import table_lines

Verdict = Literal["confirmed", "partly", "not confirmed", "cannot be judged"]
AGREES = 0.8  # rank correlation of two orders of seven: one in fifty by chance


@dataclass(frozen=True)
class Claim:
    """What the poster says, what we find, and the verdict."""

    poster: str
    verdict: Verdict
    ours: str


@dataclass(frozen=True)
class Told:
    """What a record says: the claims it bears on, and its section of the page in Markdown."""

    claims: list[Claim] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def judged(right: int, of: int) -> Verdict:
    """All right: confirmed; some: partly; none: not confirmed; nothing to judge: so."""
    if of == 0:
        return "cannot be judged"
    return "confirmed" if right == of else "partly" if right else "not confirmed"


def verdict(holds: bool | None) -> Verdict:
    return "cannot be judged" if holds is None else "confirmed" if holds else "not confirmed"


def qualified(holds: bool, beats_noisy: bool) -> Verdict:
    """An advantage of what is worse than the noisy scan is confirmed in part only."""
    return "not confirmed" if not holds else "confirmed" if beats_noisy else "partly"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean ± sd over repeats (the sample's); a single value stands alone."""
    mean = f"{np.mean(values):.{digits}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else mean


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, with an empty line after it."""
    return [*table_lines(heads, rows), ""]


def listed(names: Sequence[str]) -> str:
    """Names as words: "a, b and c"; "none" for none."""
    quoted = list(names)
    if not quoted:
        return "none"
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
