"""The picture of one denoising: noisy, denoised, residual, colour FA where there is one."""

from contextlib import suppress
from pathlib import Path

from dwiser.evaluation.records import CannotMeasure
from dwiser.methods.base import Denoised
from dwiser.reports.figures import in_montage, middle_dwi, montage, save_montage
from dwiser.reports.tensor import colour_fa
from dwiser.scan import Scan


def draw_denoising(scan: Scan, result: Denoised, path: Path, title: str) -> None:
    """Write the montage of ``result`` beside its ``scan``; it needs a mask and a σ map."""
    assert result.mask is not None
    assert result.sigma is not None
    shown = in_montage(result.mask, scan.affine)
    before = after = None
    with suppress(CannotMeasure):
        before, after = (colour_fa(d, scan.gradients, shown) for d in (scan.data, result.data))
    figure = montage(
        scan, result.data,
        mask=result.mask, sigma=result.sigma, fa_raw=before, fa_denoised=after,
        volume=middle_dwi(scan.gradients), title=title,
    )  # fmt: skip
    save_montage(path, figure)
