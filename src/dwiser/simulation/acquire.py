"""From the truth to a noisy scan: one noise model for a whole series."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from dwiser.errors import Code, InputError, unknown
from dwiser.simulation import noise as law
from dwiser.simulation.kspace import add_kspace, coil_sensitivities

NOISES = ("gaussian", "rician", "nc-chi", "kspace", "none")


@dataclass(frozen=True)
class NoiseModel:
    """The noise of a simulated scan.

    Parameters
    ----------
    kind : "gaussian", "rician", "nc-chi" (``coils`` channels), "kspace" (the poster's: coil
        images with smooth sensitivities, noise in their k-space) or "none".
    snr : mean true b0 signal in white matter over the mean σ in the mask (σ of one channel).
    coils : receive channels of "nc-chi" and "kspace".
    sigma_map : "uniform" or "gfactor", largest in the middle.
    sampling : partial Fourier and zero-filling; they filter the noise only, the truth stays
        the full-resolution image, and σ is the sd after them.

    Raises
    ------
    InputError
        For an unknown kind or map and values out of range.

    Examples
    --------
    >>> from dwiser.simulation import NoiseModel
    >>> NoiseModel("nc-chi", snr=25, coils=4).sigma_map
    'uniform'
    """

    kind: str = "rician"
    snr: float | int = 20.0
    coils: int = 1
    sigma_map: str = "uniform"
    sampling: law.Sampling = law.FULL

    def __post_init__(self) -> None:
        if self.kind not in NOISES:
            raise unknown("noise model", self.kind, NOISES, code=Code.ARGUMENT_VALUE)
        if self.sigma_map not in law.SIGMA_MAPS:
            raise unknown("σ map", self.sigma_map, law.SIGMA_MAPS, code=Code.ARGUMENT_VALUE)
        if not self.snr > 0 or not np.isfinite(self.snr):
            raise InputError(
                f"The SNR must be a positive number, not {self.snr:g}.", code=Code.ARGUMENT_VALUE
            )
        if self.coils < 1:
            raise InputError(
                f"The number of coils must be at least 1, not {self.coils}.",
                code=Code.ARGUMENT_VALUE,
            )
        if self.coils > 1 and self.kind in ("gaussian", "rician"):
            raise InputError(
                f"{self.kind} noise is that of one coil: use nc-chi for {self.coils} coils.",
                code=Code.ARGUMENT_CONFLICT,
            )


def acquire(
    truth: Float[np.ndarray, "x y z v"],
    sigma: Float[np.ndarray, "x y z"],
    model: NoiseModel,
    seed: int,
) -> tuple[Float[np.ndarray, "x y z v"], int]:
    """Add noise to the truth.

    Parameters
    ----------
    truth : (X, Y, Z, V) the series without noise; not modified.
    sigma : (X, Y, Z) sd of one channel's noise, in the units of ``truth``.
    model : which noise.
    seed : of the noise.

    Returns
    -------
    noisy : (X, Y, Z, V) the noisy series; values below 0 are set to 0, since a scan holds a
        magnitude. Only Gaussian noise has any, where the signal is at the noise level.
    clipped : how many voxels were set to 0.
    """
    if model.kind == "none":
        return truth.copy(), 0
    noisy = law.add_to_series(
        truth, sigma, _adder(model, truth.shape[:3], seed), seed=seed, sampling=model.sampling
    )
    below = noisy < 0
    noisy[below] = 0
    return noisy, int(below.sum())


def acquire_volumes(
    truth: Iterable[Float[np.ndarray, "x y z"]],
    sigma: Float[np.ndarray, "x y z"],
    model: NoiseModel,
    seed: int,
) -> Iterator[tuple[Float[np.ndarray, "x y z"], int]]:
    """Add noise to the truth, volume by volume.

    Parameters
    ----------
    truth : (X, Y, Z) volumes without noise, from the series' first; not modified.
    sigma, model, seed : as in ``acquire``, which gives the same voxels.

    Yields
    ------
    noisy : (X, Y, Z) the noisy volume.
    clipped : how many of its voxels were set to 0.
    """
    if model.kind == "none":
        yield from ((volume, 0) for volume in truth)
        return
    add = _adder(model, sigma.shape, seed)
    for v, volume in enumerate(truth):
        noisy = law.add_to_volume(volume, v, sigma, add, seed=seed, sampling=model.sampling)
        below = noisy < 0
        noisy[below] = 0
        yield noisy, int(below.sum())


def _adder(model: NoiseModel, shape: tuple[int, ...], seed: int) -> law.Adder:
    if model.kind == "gaussian":
        return law.add_gaussian
    if model.kind == "kspace":
        return partial(add_kspace, sensitivities=coil_sensitivities(shape, model.coils, seed))
    return partial(law.add_nc_chi, coils=model.coils)
