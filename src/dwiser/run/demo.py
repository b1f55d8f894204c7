"""The packaged real scan, denoised and drawn: ``dwiser demo``."""

from pathlib import Path

from matplotlib.figure import Figure

from dwiser.defaults import DEFAULT_METHOD
from dwiser.errors import Code, InputError
from dwiser.io import load
from dwiser.io.sample import sample_paths
from dwiser.methods.base import Denoised
from dwiser.methods.registry import build
from dwiser.reports.denoising_montage import draw_denoising
from dwiser.reports.figures import middle_dwi, save_montage
from dwiser.reports.side_by_side import side_by_side
from dwiser.run.denoising import denoise_file
from dwiser.run.request import Request
from dwiser.scan import Scan
from dwiser.watch import Watch, silent

METHODS = (DEFAULT_METHOD, "difusion")  # ours first, and the one that the package makes real


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

    What was there from an earlier demo is replaced. ``settings`` are Di-Fusion's.
    """
    build("difusion", preset, settings)  # a wrong field is refused before the first method runs
    sample = sample_paths()
    scan = load(sample.dwi, sample.bval, sample.bvec)
    written: list[Path] = []
    results: dict[str, Denoised] = {}
    for method in METHODS:
        place = folder / method
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{place}: cannot be made a folder: give another name.", code=Code.OUTPUT_FOLDER
            ) from error
        out = place / "denoised.nii.gz"
        maps = [place / f"{name}.nii.gz" for name in ("sigma", "residual", "mask")]
        request = Request(
            sample.dwi, out, sample.bval, sample.bvec,
            method=method, preset=preset, settings=settings if method == "difusion" else {},
            save_noise=maps[0], save_residual=maps[1], save_mask=maps[2],
            device=device, threads=threads, seed=seed, force=True, report=place / "report.html",
        )  # fmt: skip
        results[method] = denoise_file(request, watch)
        draw_denoising(scan, results[method], place / "montage.png", f"packaged scan, {method}")
        written += [place / "report.html", out, out.with_name("denoised.json"), *maps]
        written.append(place / "montage.png")
    save_montage(folder / "side_by_side.png", compared(scan, results))
    return [*written, folder / "side_by_side.png"]


def compared(scan: Scan, results: dict[str, Denoised]) -> Figure:
    """Each result beside the noisy scan, with what it removed."""
    first = results[METHODS[0]]
    assert first.mask is not None
    assert first.sigma is not None
    return side_by_side(
        scan, {name: result.data for name, result in results.items()},
        mask=first.mask, sigma=first.sigma, volume=middle_dwi(scan.gradients),
    )  # fmt: skip
