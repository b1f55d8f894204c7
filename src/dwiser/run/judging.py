"""Was anything but noise removed? Measured once, for the sidecar, the report and a cohort."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

from threadpoolctl import threadpool_limits

from dwiser.errors import DwiserWarning
from dwiser.evaluation.inputs import EvaluationInputs
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.residual import Residual
from dwiser.evaluation.residual_findings import residual_findings, residual_of
from dwiser.evaluation.verdict import Verdict, judge
from dwiser.machine import GIB, give_memory_back
from dwiser.memmap import FLOAT32, is_mapped
from dwiser.methods.base import Denoised
from dwiser.prepare.shells import shell_name, shells
from dwiser.reports.material import Judged
from dwiser.run.memory_needed import BASE
from dwiser.run.result import Result
from dwiser.run.volumes import judged_part
from dwiser.scan import Gradients, Scan

HELD = 3  # arrays of the mask's voxels in all volumes, at most at once: the residual, what tests it


@dataclass(frozen=True, eq=False)
class Judgement:
    """The residual and its tests' results; both None where there are none, ``why`` says why."""

    residual: Residual | None = None
    judged: Judged | None = None
    why: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """The verdict, where there is one."""
        return None if self.judged is None else self.judged.verdict

    def residual_over_sigma(self, gradients: Gradients) -> list[dict[str, float]]:
        """The sidecar's field: the residual's sd in σ by shell; empty where nothing was tested."""
        if self.judged is None:
            return []
        moments = self.judged.findings.raw_moments
        return [
            {"bval": round(shell.bval, 1), "sd": moments[shell_name(shell, gradients)].sd}
            for shell in shells(gradients)
        ]

    @property
    def record(self) -> dict[str, Any]:
        """The sidecar's ``Verdict``."""
        if self.judged is None:
            return {"Level": None, "Reasons": [], "Notes": [f"There is no verdict: {self.why}."]}
        verdict = self.judged.verdict
        return {
            "Level": verdict.level,
            "Reasons": [
                {"Code": reason.code, "Level": reason.level, "Words": reason.words}
                for reason in verdict.reasons
            ],
            "Notes": list(verdict.notes),
        }


def with_verdict(result: Result, tests: Judgement) -> Result:
    """The result with the verdict that its tests come to, in its record too."""
    result = replace(result, verdict=tests.verdict, no_verdict=tests.why)
    result.record["Verdict"] = tests.record
    return result


def judgement(
    scan: Scan, result: Denoised, *, seed: int = 0, room: int | None = None, threads: int = 1
) -> Judgement:
    """Test the residual in the mask; a denoising is never lost by it.

    ``room`` is how many bytes the process may hold; if that is too little, nothing is measured.
    ``threads`` share the tests.
    Any other failure here is a warning, since the result itself is complete.
    """
    try:
        return _judgement(scan, result, seed, room, threads)
    except CannotMeasure as why:
        return Judgement(why=str(why))
    except Exception as error:
        failure = f"the residual's tests broke ({type(error).__name__}: {error})"
        warnings.warn(
            f"There is no verdict, {failure}; the result is whole: report this.",
            DwiserWarning,
            stacklevel=2,
        )
        return Judgement(why=failure)


def _judgement(
    scan: Scan, result: Denoised, seed: int, room: int | None, threads: int
) -> Judgement:
    if result.sigma is None or result.mask is None:
        raise CannotMeasure("the method gave no σ map")
    mask, sigma = result.mask, result.sigma
    scan, result = judged_part(scan, result)
    held = HELD * FLOAT32.itemsize * int(mask.sum()) * scan.shape[3]
    held += sum(a.nbytes for a in (scan.data, result.data) if not is_mapped(a))
    if room is not None and BASE + held > room:
        raise CannotMeasure(
            f"its tests would hold about {(BASE + held) / GIB:.1f} GiB, {room / GIB:.1f} may be"
        )
    inputs = EvaluationInputs(
        result.data, scan, mask, sigma, seed=seed,
        coils=result.coils or None,  # measured by the method: not to be measured again
        noise_correlation=result.noise_correlation, threads=threads,
    )  # fmt: skip
    with threadpool_limits(1, "blas"):  # many small products: more threads only wait for each other
        residual = residual_of(inputs)
        give_memory_back()
        findings = residual_findings(inputs, residual)
    return Judgement(residual, Judged(findings, judge(findings)))
