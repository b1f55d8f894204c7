"""Further inputs besides the scan (a σ map, a phase), and whether a method can use them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dwiser.errors import Code, DwiserError, DwiserWarning, InputError
from dwiser.io import about, read_on_grid
from dwiser.methods.base import Denoiser
from dwiser.methods.registry import METHODS
from dwiser.prepare.earlier_steps import earlier_steps
from dwiser.prepare.phase import as_radians
from dwiser.prepare.user_sigma import fill_holes
from dwiser.scan import Scan

BRIGHTEST = 1e15  # of values whose squares, summed over a brain, float32 holds


def with_maps(
    scan: Scan, *, noise_map: Path | None = None, phase: Path | None = None
) -> tuple[Scan, dict[str, Any]]:
    """The scan with the σ map and the phase that were given, and their entries of the record."""
    record: dict[str, Any] = {}
    if noise_map is not None:
        sigma = read_on_grid(noise_map, scan, "σ map")
        with about(noise_map):
            scan = replace(scan, sigma=fill_holes(sigma, scan.data))
        record["NoiseMap"] = str(noise_map)
    if phase is not None:
        if scan.phase is not None:
            raise InputError(
                f"{phase}: the image is complex and has its phase: drop --phase.",
                code=Code.ARGUMENT_CONFLICT,
            )
        values = read_on_grid(phase, scan, "phase", series=True)
        with about(phase):
            turned, unit = as_radians(values)
        scan = replace(scan, phase=turned)
        record |= {"Phase": str(phase), "PhaseUnit": unit}
    return scan, record


def check_phase(method: Denoiser) -> None:
    """Refuse a method that knows magnitudes only."""
    if not method.capabilities.takes_phase:
        raise InputError(
            f"{method.name} cannot use a phase, it works on magnitudes: give the magnitude "
            f"alone, or take {_able('takes_phase')}.",
            code=Code.METHOD_PHASE,
        )


@contextmanager
def in_range(scan: Scan) -> Iterator[None]:
    """Explain errors that come from values whose squares float32 cannot hold."""
    try:
        yield
    except DwiserError:
        raise
    except Exception as error:
        highest = max(float(scan.data[..., v].max()) for v in range(scan.shape[3]))
        if highest < BRIGHTEST:
            raise
        raise InputError(
            f"The scan's values reach {highest:.0e}, and the method needs their squares in single "
            "precision: scale the scan down.",
            code=Code.IMAGE_VALUES,
        ) from error


def check_earlier_steps(scan: Scan) -> None:
    """Warn of a scan that was resampled, zero-filled, denoised or badly stored before."""
    for sentence in earlier_steps(scan):
        warnings.warn(sentence, DwiserWarning, stacklevel=3)


def check_noise_map(method: Denoiser) -> None:
    """Warn of a method that finds its own noise: the map is then for measuring only."""
    if not method.capabilities.takes_noise_map:
        remedy = " (--set sigma=map would use it)" if "sigma" in asdict(method) else ""
        warnings.warn(
            f"{method.name} does not ask for σ: the map that was given measures its residual "
            f"and changes nothing in its result{remedy}.",
            DwiserWarning,
            stacklevel=3,
        )


def with_uncertainty(method: Denoiser) -> Denoiser:
    """The method set to map its error's sd too; one that cannot is refused."""
    if not method.capabilities.gives_uncertainty:
        raise InputError(
            f"{method.name} gives no uncertainty: leave out --save-uncertainty, or take "
            f"{_able('gives_uncertainty')}.",
            code=Code.METHOD_UNCERTAINTY,
        )
    return replace(method, uncertainty=True)


def noise_model(scan: Scan) -> str:
    """In words, where σ comes from and what law the noise has."""
    law = "Rician or nc-chi magnitude" if scan.phase is None else "Gaussian, real part"
    if scan.sigma is not None:
        return f"{law}; sd from the map that was given"
    corrected = ", Koay-corrected" if scan.phase is None else ""
    return f"{law}; sd from Marchenko-Pastur on 5x5x5 patches{corrected}"


def able(ability: str) -> list[str]:
    """The methods whose capability of that name is set, with their default settings."""
    return [name for name, entry in METHODS.items() if asdict(entry.load()().capabilities)[ability]]


def _able(ability: str) -> str:
    """For the sentence that refuses a method that cannot: those that can."""
    names = able(ability)
    return "--method " + " or ".join(names) if names else "none: no method of this version does"
