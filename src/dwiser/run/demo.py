"""The packaged real scan, denoised and drawn: ``dwiser demo``."""

import warnings
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from dwiser.defaults import DEFAULT_METHOD, DEFAULT_PRESET
from dwiser.errors import DwiserWarning
from dwiser.io import load, write_set
from dwiser.io.outputs import created_folder
from dwiser.io.sample import sample_paths
from dwiser.methods.base import Denoised
from dwiser.methods.registry import build
from dwiser.reports.denoising_montage import draw_denoising
from dwiser.reports.figures import middle_dwi, save_montage
from dwiser.reports.side_by_side import side_by_side
from dwiser.run.denoising import denoise_file
from dwiser.run.request import Request
from dwiser.scan import Scan
from dwiser.torch_package import INSTALL, has_torch
from dwiser.watch import Watch, silent

NETWORK = "difusion"
METHODS = (DEFAULT_METHOD, NETWORK)  # ours first, and the one that the package makes real


def demonstrate(
    folder: Path,
    preset: str,
    settings: dict[str, str],
    *,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    watch: Watch = silent,
) -> list[Path]:
    """Denoise the sample by both methods, a folder each, and draw them side by side.

    What was there from an earlier demo is replaced. ``preset`` and ``settings`` are Di-Fusion's,
    which is left out, with a warning, where PyTorch is not installed and they are the default's.
    """
    methods: tuple[str, ...] = METHODS
    if has_torch() or settings or preset != DEFAULT_PRESET:
        build(NETWORK, preset, settings)  # a wrong field is refused before the first method runs
    else:
        methods = (DEFAULT_METHOD,)
        warnings.warn(
            f"The demo of {NETWORK} is left out, it needs PyTorch: {INSTALL} brings it.",
            DwiserWarning,
            stacklevel=2,
        )
    sample = sample_paths()
    scan = load(sample.dwi, sample.bval, sample.bvec)
    written: list[Path] = []
    results: dict[str, Denoised] = {}
    for method in methods:
        place = folder / method
        out, montage_file = place / "denoised.nii.gz", place / "montage.png"
        maps = [place / f"{name}.nii.gz" for name in ("sigma", "residual", "mask")]
        request = Request(
            sample.dwi, out, sample.bval, sample.bvec,
            method=method, preset=preset, settings=settings if method == NETWORK else {},
            save_noise=maps[0], save_residual=maps[1], save_mask=maps[2],
            device=device, threads=threads, seed=seed, force=True, report=place / "report.html",
        )  # fmt: skip
        with created_folder(place):
            results[method] = denoise_file(request, watch)
            picture = partial(_montage, scan, results[method], f"packaged scan, {method}")
            write_set({montage_file: picture}, force=True)
        written += [place / "report.html", out, out.with_name("denoised.json"), *maps]
        written.append(montage_file)
    pictures = folder / "side_by_side.png"
    write_set({pictures: partial(save_montage, figure=compared(scan, results))}, force=True)
    return [*written, pictures]


def _montage(scan: Scan, result: Denoised, title: str, path: Path) -> None:
    draw_denoising(scan, result, path, title)


def compared(scan: Scan, results: dict[str, Denoised]) -> Figure:
    """Each result beside the noisy scan, with what it removed."""
    first = results[METHODS[0]]
    assert first.mask is not None
    assert first.sigma is not None
    return side_by_side(
        scan, {name: result.data for name, result in results.items()},
        mask=first.mask, sigma=first.sigma, volume=middle_dwi(scan.gradients),
    )  # fmt: skip
