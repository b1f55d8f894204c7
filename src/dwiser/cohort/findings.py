"""What a cohort's tables and pages need beside the record, while both series are in memory."""

from pathlib import Path
from typing import Any

from dwiser.methods.base import Denoised
from dwiser.prepare.snr import snr_by_shell
from dwiser.reports.denoising_montage import draw_denoising
from dwiser.scan import Scan


def scan_fields(scan: Scan, result: Denoised) -> dict[str, Any]:
    """The sidecar's fields ``Shape`` and ``SNR``, of the raw scan by shell."""
    fields: dict[str, Any] = {"Shape": scan.shape, "SNR": []}
    if result.mask is None or result.sigma is None:
        return fields
    by_shell = snr_by_shell(scan, result.mask, result.sigma)
    return fields | {"SNR": [{"bval": round(s.bval, 1), "snr": snr} for s, snr in by_shell]}


def draw_figure(scan: Scan, result: Denoised, path: Path, title: str) -> None:
    """Noisy, denoised, residual and both colour FAs; an empty file where there is no mask."""
    if result.mask is None or result.sigma is None:
        path.touch()
        return
    draw_denoising(scan, result, path, title)
