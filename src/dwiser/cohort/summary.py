"""The result of a cohort: one row for each scan, outliers first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from dwiser.cohort import ledger
from dwiser.cohort.job import Job
from dwiser.cohort.outcome import Outcome
from dwiser.cohort.run_record import read_run_record
from dwiser.io.tsv import NOT_AVAILABLE, tsv_text

OUTLIER = 3.5  # robust z-scores (Iglewicz & Hoaglin 1993)
MAD_TO_SD = 0.6745
ENOUGH = 8  # fewer scans than this have no outliers
NOT_DONE = ("failed", "not begun", "skipped")
COLUMNS = (
    "participant_id", "session_id", "scan", "status", "verdict", "sigma", "snr_b0", "seconds",
    "memory_mib", "stands_apart", "reason", "report",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One scan; unknown numbers are None. ``score`` is its largest robust z."""

    job: Job
    status: str
    reason: str = ""
    verdict: str | None = None
    sigma: float | None = None
    snr: float | None = None
    seconds: float | None = None
    memory: float | None = None
    pace: float | None = None
    apart: tuple[str, ...] = ()
    score: float = 0.0

    @property
    def rank(self) -> int:
        """0 for what failed, 1 for what stands apart or is judged FAIL, 2 for WARN, else 3.

        4 for what is skipped.
        """
        if self.status == "skipped":
            return 4
        if self.status != "done":
            return 0
        if self.apart or self.verdict == "FAIL":
            return 1
        return 2 if self.verdict == "WARN" else 3

    @property
    def link(self) -> str:
        """From the output folder: the scan's report, else its place on the subject's page."""
        if self.status != "done":
            return ""
        report = self.job.report
        if report.exists():
            return report.relative_to(self.job.out).as_posix()
        return f"{self.job.page.name}#{self.job.name}"

    def cells(self) -> dict[str, Any]:
        """By column, None where a value is unknown."""
        session = self.job.scan.session
        values = (
            f"sub-{self.job.scan.subject}",
            None if session is None else f"ses-{session}",
            self.job.name, self.status, self.verdict, self.sigma, self.snr, self.seconds,
            self.memory, ", ".join(self.apart) or None, self.reason or None,
            self.link or None,
        )  # fmt: skip
        return dict(zip(COLUMNS, values, strict=True))


def rows(jobs: Sequence[Job], outcomes: Mapping[str, Outcome]) -> list[Row]:
    """Every scan of the plan, and other scans that are done in its folder.

    From the sidecars and, where a scan failed, from this run's outcome.
    """
    planned = {job.name for job in jobs}
    homes = jobs[0].out.glob("sub-*") if jobs else ()
    others = [job for home in homes for job in ledger.denoised_jobs(home, jobs[0])]
    all_jobs = [*jobs, *(job for job in others if job.name not in planned)]
    return sorted(
        _with_outliers([_row(job, outcomes.get(job.name)) for job in all_jobs]),
        key=lambda row: (row.rank, -row.score, row.job.name),
    )


def _row(job: Job, outcome: Outcome | None) -> Row:
    record = read_run_record(job.sidecar) if job.image.exists() else None
    if outcome is not None and outcome.status in NOT_DONE:
        return Row(job, outcome.status, outcome.reason)
    if record is None:
        return Row(job, "not begun")
    pace = record.seconds / record.voxels if record.seconds and record.voxels else None
    return Row(
        job, "done", "; ".join(record.reasons), record.verdict, record.sigma, record.snr_b0,
        record.seconds, record.peak_mib, pace,
    )  # fmt: skip


def _with_outliers(scans: list[Row]) -> list[Row]:
    """The same rows, each with the values in which it is an outlier."""
    apart: dict[str, list[tuple[str, float]]] = {row.job.name: [] for row in scans}
    for field, words in (("sigma", "sigma"), ("snr", "SNR"), ("pace", "time")):
        known = [row for row in scans if getattr(row, field) is not None]
        values = [getattr(row, field) for row in known]
        for row, z in zip(known, robust_z(values), strict=True):
            if abs(z) > OUTLIER:
                apart[row.job.name].append((f"{words} {'high' if z > 0 else 'low'}", abs(z)))
    return [
        replace(
            row,
            apart=tuple(words for words, _ in apart[row.job.name]),
            score=max((z for _, z in apart[row.job.name]), default=0.0),
        )
        for row in scans
    ]


def robust_z(values: Sequence[float]) -> list[float]:
    """0.6745 (x − median)/MAD; zeros for fewer than eight values, or where most are the same."""
    if len(values) < ENOUGH:
        return [0.0] * len(values)
    middle = median(values)
    spread = median(abs(value - middle) for value in values)
    if spread == 0:
        return [0.0] * len(values)
    return [MAD_TO_SD * (value - middle) / spread for value in values]


def tsv(scans: Sequence[Row]) -> str:
    """One line for each scan under ``COLUMNS``; "n/a" as BIDS wants it."""
    return tsv_text(COLUMNS, ([_cell(v) for v in row.cells().values()] for row in scans))


def _cell(value: Any) -> str:
    if value is None:
        return NOT_AVAILABLE
    return f"{value:.5g}" if isinstance(value, float) else " ".join(str(value).split())
