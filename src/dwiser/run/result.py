"""What a run returns: what the method returned, what ran, what it cost, what the residual shows."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dwiser.evaluation.verdict import Verdict
from dwiser.methods.base import Denoised


@dataclass(frozen=True)
class RunCost:
    """Wall time in seconds, peak resident memory in MiB, and of it what no file backs."""

    seconds: float
    peak_mib: float
    peak_anonymous_mib: float | None = None


@dataclass(frozen=True)
class RunSummary:
    """A finished run without its images, for a screen, a table, a cohort.

    Parameters
    ----------
    method, preset, seed : what ran.
    cost : its time and memory.
    sigma_median : of the σ map over the mask, in the data's units; None without one.
    verdict : what the residual shows; None where there is none, for the reason ``no_verdict``.
    record : the sidecar's values.
    """

    method: str
    preset: str
    seed: int
    cost: RunCost
    sigma_median: float | None
    verdict: Verdict | None
    no_verdict: str
    record: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Result(Denoised):
    """A denoised scan with what ran, its cost and, once its residual was tested, the verdict.

    The fields are those of `Denoised` and of `RunSummary`; ``parameters`` are the method's
    fields by name.

    Examples
    --------
    >>> import dwiser
    >>> made = dwiser.simulate((16, 16, 8), shells=[(1000, 12)], n_b0=2)
    >>> result = dwiser.denoise(made.scan, "subspace", seed=3)
    >>> result.method, result.seed, result.coils is None
    ('subspace', 3, True)
    """

    method: str = ""
    preset: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    cost: RunCost = RunCost(0.0, 0.0)
    verdict: Verdict | None = None
    no_verdict: str = "the residual was not tested"

    @property
    def sigma_median(self) -> float | None:
        """Of the σ map over the mask, in the data's units."""
        if self.sigma is None or self.mask is None:
            return None
        return float(np.median(self.sigma[self.mask]))

    @property
    def summary(self) -> RunSummary:
        """The same without the images."""
        return RunSummary(
            self.method, self.preset, self.seed, self.cost, self.sigma_median, self.verdict,
            self.no_verdict, self.record,
        )  # fmt: skip
