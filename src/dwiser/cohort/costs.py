"""What a scan may take, before it is denoised: from scans that are done, else from a benchmark."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from dwiser.cohort.run_record import RunRecord
from dwiser.run.time_needed import MEASURED, MILLION

# A process that has only loaded dwiser, torch and a scan of 2 million values.
BASE_MIB = 400.0


@dataclass(frozen=True)
class Cost:
    """Seconds of wall time and MiB, each None where it is unknown; ``source`` in words."""

    seconds: float | None
    mib: float | None
    source: str


@dataclass(frozen=True)
class Rate:
    """Cost per million values, beyond ``BASE_MIB``."""

    seconds: float | None
    mib: float | None
    source: str

    def of(self, values: int | None) -> Cost:
        """The cost of a scan of so many values; unknown for one whose header cannot be read."""
        if values is None:
            return Cost(None, None, self.source)
        size = values / MILLION
        seconds = None if self.seconds is None else self.seconds * size
        return Cost(seconds, None if self.mib is None else BASE_MIB + self.mib * size, self.source)


def rate(method: str, records: Iterable[RunRecord]) -> Rate:
    """The rate from sidecars of scans that this method denoised, else from the benchmark."""
    measured = [
        cost for record in records if (cost := _cost_per_million(method, record)) is not None
    ]
    if measured:
        times, mib = zip(*measured, strict=True)
        return Rate(median(times), max(mib), f"from {len(measured)} done here")
    if method in MEASURED:
        return Rate(*MEASURED[method], "from a benchmark, one core")
    return Rate(None, None, "not known before a first scan is done")


def _cost_per_million(method: str, record: RunRecord) -> tuple[float, float] | None:
    if record.method != method or not (record.voxels and record.seconds and record.peak_mib):
        return None
    size = record.voxels / MILLION
    return record.seconds / size, max(0.0, record.peak_mib - BASE_MIB) / size
