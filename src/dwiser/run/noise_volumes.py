"""``--noise-volumes``: volumes of the series by number, or an image of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from dwiser.errors import Code, InputError
from dwiser.io import about, read_on_grid
from dwiser.io.names import IMAGE_ENDINGS
from dwiser.prepare.noise_volumes import noise_only
from dwiser.prepare.volume_roles import numbers
from dwiser.scan import Scan


def with_noise_volumes(scan: Scan, option: str) -> tuple[Scan, dict[str, Any]]:
    """Noise volumes by number, or σ and channels from an image of them."""
    path = noise_image(option)
    if path is None:
        return replace(scan, noise_volumes=noise_numbers(option)), {}
    volumes = read_on_grid(path, scan, "noise image", series=None)
    volumes = volumes.reshape(*scan.shape[:3], -1)
    with about(path):
        noise = noise_only(volumes, tuple(range(volumes.shape[3])))
    record = {"NoiseImage": str(path), "NoiseVolumesLeftOut": list(noise.outliers)}
    return replace(scan, sigma=noise.sigma, coils=noise.coils, noise_volumes=()), record


def noise_image(option: str | None) -> Path | None:
    """The image that ``--noise-volumes`` names; None where it names numbers, or nothing."""
    return Path(option) if option is not None and option.lower().endswith(IMAGE_ENDINGS) else None


def noise_numbers(option: str) -> tuple[int, ...]:
    """The volumes that ``--noise-volumes`` names: "70-72", "5,7" or "none".

    Raises
    ------
    InputError
        For anything else.
    """
    try:
        return () if option == "none" else numbers(option)
    except ValueError as error:
        raise InputError(
            f"--noise-volumes {option}: give volumes as 70-72 or 5,7 (counted from 0), none, or an "
            "image of them.",
            code=Code.ARGUMENT_VALUE,
        ) from error
