"""What a cohort's tables and pages need beside the record, while both series are in memory."""

from pathlib import Path
from typing import Any

import numpy as np

from dwiser.evaluation.groups import in_mask
from dwiser.methods.base import Denoised
from dwiser.prepare.shells import shells
from dwiser.reports.denoising_montage import draw_denoising
from dwiser.scan import Scan


def scan_fields(scan: Scan, result: Denoised) -> dict[str, Any]:
    """The sidecar's fields ``Shape`` and ``SNR``, of the raw scan by shell."""
    fields: dict[str, Any] = {"Shape": scan.shape, "SNR": []}
    if result.mask is None or result.sigma is None or not (result.sigma[result.mask] > 0).any():
        return fields
    return fields | {"SNR": _snr(scan, result)}


def _snr(scan: Scan, result: Denoised) -> list[dict[str, float]]:
    """By shell the median over the mask of (mean signal)/σ, as ``dwiser info`` has it."""
    assert result.mask is not None
    assert result.sigma is not None
    inside = result.mask & (result.sigma > 0)
    sigma = result.sigma[inside]
    return [
        {
            "bval": round(shell.bval, 1),
            "snr": float(np.median(in_mask(scan.data, inside, shell.volumes).mean(1) / sigma)),
        }
        for shell in shells(scan.gradients)
    ]


def draw_figure(scan: Scan, result: Denoised, path: Path, title: str) -> None:
    """Noisy, denoised, residual and both colour FAs; an empty file where there is no mask."""
    if result.mask is None or result.sigma is None:
        path.touch()
        return
    draw_denoising(scan, result, path, title)
