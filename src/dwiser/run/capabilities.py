"""Further inputs besides the scan (a σ map, a phase), and whether a method can use them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from dwiser.errors import Code, DwiserError, DwiserWarning, InputError
from dwiser.io import about, read_on_grid
from dwiser.methods.base import Denoiser, IterativeDenoiser, code_of, shortage_of
from dwiser.methods.identity import Identity
from dwiser.methods.registry import METHODS
from dwiser.prepare.phase import as_radians
from dwiser.prepare.user_sigma import fill_holes
from dwiser.run.noise_volumes import with_noise_volumes
from dwiser.scan import Scan
from dwiser.torch_package import INSTALL

USUAL = 98  # percentile of the voxels' brightest values: what is usual in a scan
HOT, HOTTEST = 100.0, 1e4  # over that: 30 such voxels cost splitq half, and all, of its gain
ADVISED = 2  # methods that a refusal names
BRIGHTEST = 1e15  # of values whose squares, summed over a brain, float32 holds


def with_maps(
    scan: Scan,
    *,
    noise_map: Path | None = None,
    phase: Path | None = None,
    noise_volumes: str | None = None,
) -> tuple[Scan, dict[str, Any]]:
    """The scan with σ map, phase and noise volumes as given, and their entries of the record.

    ``noise_volumes`` : of the scan, as "70-72" or "none"; or the path of an image of them.

    Raises
    ------
    InputError
        For a map that cannot be used, and a phase beside an image that is complex.
    """
    record: dict[str, Any] = {}
    if noise_volumes is not None:
        scan, record = with_noise_volumes(scan, noise_volumes)
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
            turned, unit = as_radians(values, scan.mask)
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


def check_hot_voxels(scan: Scan) -> None:
    """Warn of voxels that outshine all others; refuse them where they outweigh the scan's noise.

    Only those in the scan's own mask count, if it has one.

    Raises
    ------
    InputError
        For voxels 10 000 times as bright as 98 % of the others: no estimate of σ stands that.
    """
    peak = np.zeros_like(scan.data[..., 0], np.float32)
    for v in range(scan.shape[3]):
        np.maximum(peak, scan.data[..., v], out=peak)
    inside = peak[peak > 0 if scan.mask is None else scan.mask & (peak > 0)]
    usual = float(np.percentile(inside, USUAL)) if inside.size else 0.0
    hot = int((inside > HOT * usual).sum())
    if not hot:
        return
    sentence = (
        f"{hot} voxel{'s' * (hot > 1)} reach{'es' * (hot == 1)} {inside.max():.3g} where "
        f"{USUAL} % of the others stay below {usual:.3g}"
    )
    remedy = "leave them out by a --mask, or set them to 0."
    if inside.max() > HOTTEST * usual:
        raise InputError(f"{sentence}: {remedy}", code=Code.IMAGE_VALUES)
    warnings.warn(
        f"{sentence}, and spoil what is learned from all: {remedy}", DwiserWarning, stacklevel=3
    )


def check_volumes(scan: Scan, method: Denoiser) -> None:
    """Refuse a scan with too few volumes for the method, and name methods that take it."""
    words = shortage_of(scan, method.capabilities)
    if words is not None:
        raise InputError(
            f"{method.name} {words}: {_which_takes(scan)}.",
            code=code_of(scan, method.capabilities),
        )


def methods_that_take(scan: Scan) -> list[str]:
    """The methods on this machine that take a scan of such volumes, those without training first.

    ``identity``, which denoises nothing, is not among them.
    """
    quick: list[str] = []
    trained: list[str] = []
    for name, entry in METHODS.items():
        if name == Identity.name or not entry.available:
            continue
        method = entry.load()()
        if shortage_of(scan, method.capabilities) is None:
            (trained if isinstance(method, IterativeDenoiser) else quick).append(name)
    return quick + trained


def _which_takes(scan: Scan) -> str:
    names = methods_that_take(scan)[:ADVISED]
    return f"take --method {' or '.join(names)}" if names else "no method takes such a scan"


@contextmanager
def in_range(scan: Scan) -> Iterator[None]:
    """Refuse hot voxels; explain errors of values whose squares float32 cannot hold."""
    check_hot_voxels(scan)
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
    """The method set to map its error's sd too; one that cannot is refused.

    Raises
    ------
    InputError
        For a method that gives no uncertainty.
    """
    if not method.capabilities.gives_uncertainty:
        raise InputError(
            f"{method.name} gives no uncertainty: leave out --save-uncertainty, or take "
            f"{_able('gives_uncertainty')}.",
            code=Code.METHOD_UNCERTAINTY,
        )
    return replace(method, uncertainty=True)


def with_rank(method: Denoiser) -> Denoiser:
    """The method set to map the degrees of freedom that it keeps; one that cannot is refused.

    Raises
    ------
    InputError
        For a method that tells no rank.
    """
    if not method.capabilities.gives_rank:
        raise InputError(
            f"{method.name} tells no rank: leave out --save-rank, or take {_able('gives_rank')}.",
            code=Code.METHOD_RANK,
        )
    return replace(method, rank_map=True)


def with_real_part(method: Denoiser) -> Denoiser:
    """The method set to return real part and phase; one that takes no phase is refused."""
    check_phase(method)
    return replace(method, real_part=True)


def noise_model(scan: Scan) -> str:
    """In words, where σ comes from and what law the noise has."""
    law = "Rician or nc-chi magnitude" if scan.phase is None else "Gaussian, real part"
    if scan.coils is not None:
        return f"{law}; sd and channels ({scan.coils:g}) from volumes of noise alone"
    if scan.sigma is not None:
        return f"{law}; sd from the map that was given"
    corrected = ", Koay-corrected" if scan.phase is None else ""
    return f"{law}; sd from Marchenko-Pastur on 5x5x5 patches{corrected}"


def able(ability: str) -> list[str]:
    """The methods whose capability of that name is set, with their default settings.

    Networks are among them where PyTorch is installed.
    """
    return [
        name
        for name, entry in METHODS.items()
        if entry.loadable and asdict(entry.load()().capabilities)[ability]
    ]


def with_reusable_weights() -> str:
    """The methods that have them, for a sentence; without PyTorch, what brings them."""
    return ", ".join(able("reusable_weights")) or f"a network, which {INSTALL} brings"


def _able(ability: str) -> str:
    """For the sentence that refuses a method that cannot: those that can."""
    names = able(ability)
    return "--method " + " or ".join(names) if names else "none: no method of this version does"
