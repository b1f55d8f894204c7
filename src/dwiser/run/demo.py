"""The packaged real scan, denoised and drawn: ``dwiser demo``."""

from pathlib import Path

from dwiser.errors import InputError
from dwiser.io import load
from dwiser.io.sample import sample_paths
from dwiser.methods.base import Denoised
from dwiser.report.figures import middle_dwi, montage, save_montage
from dwiser.report.tensor import colour_fa
from dwiser.run.corridor import Request, denoise_file
from dwiser.scan import Scan
from dwiser.watch import Watch, silent


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
    """Denoise the sample into ``folder``; what was there from an earlier demo is replaced."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder: give another name.") from error
    sample = sample_paths()
    out = folder / "denoised.nii.gz"
    maps = [folder / f"{name}.nii.gz" for name in ("sigma", "residual", "mask")]
    request = Request(
        sample.dwi, out, sample.bval, sample.bvec,
        preset=preset, settings=settings, save_noise=maps[0], save_residual=maps[1],
        save_mask=maps[2], device=device, threads=threads, seed=seed, force=True,
    )  # fmt: skip
    result = denoise_file(request, watch)
    picture = folder / "montage.png"
    draw(load(sample.dwi, sample.bval, sample.bvec), result, picture, "packaged scan")
    return [out, out.with_name("denoised.json"), *maps, picture]


def draw(scan: Scan, result: Denoised, path: Path, title: str) -> None:
    """The montage of one denoising: noisy, denoised, residual, colour FA before and after."""
    assert result.mask is not None
    assert result.sigma is not None
    before, after = (colour_fa(d, scan.gradients, result.mask) for d in (scan.data, result.data))
    figure = montage(
        scan, result.data,
        mask=result.mask, sigma=result.sigma, fa_raw=before, fa_denoised=after,
        volume=middle_dwi(scan.gradients), title=title,
    )  # fmt: skip
    save_montage(path, figure)
