"""What came of one scan."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["done", "kept", "failed", "held", "lost", "left"]


@dataclass(frozen=True)
class Outcome:
    """What came of one scan.

    ``status``: done; kept, it was up to date; failed, for ``reason``; held, another process is
    at work on it; lost, the scheduler went away; left, it was never begun. ``seconds`` is the
    whole time, ``denoising`` what the method took of it.
    """

    name: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    denoising: float = 0.0
    worker: str = ""
