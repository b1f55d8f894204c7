"""Claims of the poster, each with a verdict that a rule reads off the numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from scripts.pages import table_lines

Verdict = Literal[
    "confirmed", "partly", "not confirmed", "cannot be judged at this budget", "cannot be judged"
]
FULL_PRESETS = "paper", "released"  # the publication's network and rate
LEARNED = "Di-Fusion", "DDM2", "Nr2N", "Noise2Noise", "DIP"  # what a small run has a small one of
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


def is_small(size: Mapping[str, Any]) -> bool:
    """Whether a record's learned methods had less than the publication's network and training."""
    return size["preset"] not in FULL_PRESETS or size["iterations"] is not None


def row_name(method: str, size: Mapping[str, Any]) -> str:
    """What ran: a poster's name stands alone only for its own network and budget."""
    return f"small {method}" if is_small(size) and method.startswith(LEARNED) else method


@dataclass(frozen=True)
class AgainstNoisy:
    """What a network comes to, in a single pass or as its walks end, and the noisy scan.

    Parameters
    ----------
    what : of the network, such as "its single pass".
    measure : in words, such as "NRMSE".
    own, noisy : the two values; None where not recorded.
    more_is_better : as of R² and PSNR.
    """

    what: str
    measure: str
    own: float | None
    noisy: float | None
    more_is_better: bool = False

    @property
    def beats_noisy(self) -> bool:
        if self.own is None or self.noisy is None:
            return False
        return self.own > self.noisy if self.more_is_better else self.own < self.noisy


def at_budget(claim: Claim, size: Mapping[str, Any], alone: AgainstNoisy) -> Claim:
    """The claim; without a verdict where a small network is still worse than the noisy scan.

    Whichever way the numbers point: a network that has not learned the images neither confirms nor
    refutes what iterating it, or what its result, is said to be good for.
    """
    if not is_small(size) or alone.beats_noisy or claim.verdict == "cannot be judged":
        return claim
    if alone.own is None or alone.noisy is None:
        why = "No single pass was recorded."
    else:
        why = (
            f"At this budget {alone.what} is worse than the noisy scan ({alone.measure} "
            f"{alone.own:.4g} against {alone.noisy:.4g})."
        )
    return replace(claim, verdict="cannot be judged at this budget", ours=f"{claim.ours} {why}")


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
