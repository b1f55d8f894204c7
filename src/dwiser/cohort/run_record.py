"""What an earlier run wrote of a scan: the one reader of a denoised series' sidecar.

Anyone may have edited the file, or another version written it: a field of another kind than
expected reads as one that is not there.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dwiser.errors import InputError
from dwiser.io.json_file import read_object
from dwiser.io.provenance import generators

INPUTS = "InputFiles"  # the sidecar's entry on its input files


@dataclass(frozen=True)
class RunRecord:
    """The sidecar's fields that decide, plan or summarise; None or empty where it lacks them.

    Parameters
    ----------
    decides : what the result depends on, by the sidecar's names, with ``Version`` among them.
    inputs : by kind of input its size, time and SHA-256.
    shape : (X, Y, Z, V) of the series. seconds, peak_mib : what the denoising took.
    sigma, snr_b0 : median σ in the mask, in the data's units, and the SNR of the first shell.
    verdict, reasons : PASS, WARN or FAIL, and why, in words.
    fields : the whole sidecar, to be shown.
    """

    method: str | None
    decides: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    shape: tuple[int, ...] | None
    seconds: float | None
    peak_mib: float | None
    sigma: float | None
    snr_b0: float | None
    verdict: str | None
    reasons: tuple[str, ...]
    fields: dict[str, Any]

    @property
    def voxels(self) -> int | None:
        """Of all volumes."""
        if self.shape is None or len(self.shape) != 4:
            return None
        x, y, z, v = self.shape
        return x * y * z * v


def read_run_record(sidecar: Path) -> RunRecord | None:
    """Read the sidecar of a denoised series; None where it is missing or no JSON object."""
    try:
        fields = read_object(sidecar)
    except InputError:
        return None
    verdict = _dict(fields.get("Verdict"))
    first_shell = _dict(next(iter(_list(fields.get("SNR"))), None))
    steps = generators(fields)
    shape = _list(fields.get("Shape"))
    method = fields.get("Method")
    return RunRecord(
        method if isinstance(method, str) else None,
        fields | {"Version": steps[-1].get("Version") if steps else None},
        {kind: _dict(entry) for kind, entry in _dict(fields.get(INPUTS)).items()},
        tuple(shape) if shape and all(isinstance(n, int) for n in shape) else None,
        _number(fields.get("WallTimeSeconds")),
        _number(fields.get("PeakMemoryMiB")),
        _number(fields.get("SigmaMedian")),
        _number(first_shell.get("snr")),
        str(verdict["Level"]) if verdict.get("Level") else None,
        tuple(str(_dict(r).get("Words", "")) for r in _list(verdict.get("Reasons"))),
        fields,
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
