"""Simulated scans whose truth is known."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.errors import InputError
from dwiser.scan import Gradients, Scan
from dwiser.simulation.acquire import NoiseModel, acquire
from dwiser.simulation.contrast import compartments
from dwiser.simulation.geometry import Anatomy, make_anatomy
from dwiser.simulation.lesions import changes, include, labels, place_lesions, tissues_with
from dwiser.simulation.noise import Sampling, sigma_map
from dwiser.simulation.scheme import Shells, scheme
from dwiser.simulation.signal import synthesise
from dwiser.simulation.tensor import tensor_metrics
from dwiser.simulation.texture import Texture, textured

WHITE = 0.5  # voxels with more white matter than this make the SNR's mean
SNR_DEFINITION = (
    "mean true b0 signal in voxels of more than half white matter over the mean sigma in the "
    "mask; sigma is the sd of one channel's real part"
)
NO_WEIGHTING = Gradients(np.zeros(1), np.zeros((1, 3)))


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated scan and everything that is true about it.

    Parameters
    ----------
    scan : the noisy series; its mask and σ are None, as a scanner's are.
    truth : (X, Y, Z, V) float32, the series without noise, in the same units.
    mask : (X, Y, Z) the object.
    tissues : name to (X, Y, Z) volume fraction ("wm", "gm", "csf", "lesion" if any).
    fa, md, v1 : the truth's tensor metrics (md in mm²/s, v1 (X, Y, Z, 3)), DIPY's WLS fit of
        the noiseless b0s and volumes of b ≤ 1500 s/mm².
    sigma : (X, Y, Z) sd of the noise in one channel's real part.
    shares : (X, Y, Z, F) shares of the fibre populations in the white matter, largest first.
    axes : (X, Y, Z, F, 3) their unit axes; zeros where there is none.
    lesions : (X, Y, Z) label of each lesion, 0 elsewhere; ``record["lesions"]`` tells them.
    record : plain values: every setting, and what was found.
    """

    scan: Scan
    truth: Float[np.ndarray, "x y z v"]
    mask: Bool[np.ndarray, "x y z"]
    tissues: dict[str, Float[np.ndarray, "x y z"]]
    fa: Float[np.ndarray, "x y z"]
    md: Float[np.ndarray, "x y z"]
    v1: Float[np.ndarray, "x y z 3"]
    sigma: Float[np.ndarray, "x y z"]
    shares: Float[np.ndarray, "x y z f"]
    axes: Float[np.ndarray, "x y z f 3"]
    lesions: Int[np.ndarray, "x y z"]
    record: dict[str, Any] = field(default_factory=dict)


def phantom(
    shape: tuple[int, int, int] = (65, 78, 66),
    *,
    voxel: float | int = 2.5,
    shells: Shells = ((1000.0, 64),),
    n_b0: int = 6,
    b0_place: str = "spread",
    snr: float | int = 20.0,
    noise: str = "rician",
    coils: int = 1,
    sigma_map: str = "uniform",
    partial_fourier: float | int = 1.0,
    zero_fill: float | int = 1.0,
    lesions: bool = False,
    texture: float | int = 0.0,
    texture_correlation: float | int = 1.0,
    seed: int = 0,
) -> Simulation:
    """A head made by code alone, scanned with noise of known σ.

    The head fills the field of view whatever ``voxel`` (mm) is. The b-vectors are along the
    voxel axes, and the affine's determinant is negative, so that no reader needs to flip them.
    ``texture`` and ``texture_correlation`` (FWHM, voxels) are those of `Texture`; without it
    tissues vary smoothly, over several voxels.

    Raises
    ------
    InputError
        For settings that cannot be simulated.
    """
    model = NoiseModel(noise, snr, coils, sigma_map, Sampling(partial_fourier, zero_fill))
    if not voxel > 0:
        raise InputError(f"The voxel size must be positive, not {voxel:g} mm.")
    rough = Texture(texture, texture_correlation)
    gradients = scheme(shells, n_b0=n_b0, b0_place=b0_place, seed=seed)
    anatomy = textured(make_anatomy((shape[0], shape[1], shape[2]), seed), rough, seed)
    affine = np.diag([-voxel, voxel, voxel, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    settings = {
        "geometry": "phantom",
        "voxel_mm": voxel,
        "shells": [[float(b), int(n)] for b, n in shells],
        "n_b0": n_b0,
        "b0_place": b0_place,
        "texture": rough.record(),
    }
    water = compartments(anatomy, seed, rough)
    return simulate(
        anatomy,
        lambda table: synthesise(water, table),
        gradients,
        affine,
        model,
        lesions=lesions,
        seed=seed,
        settings=settings,
    )


def simulate(
    anatomy: Anatomy,
    signal: Callable[[Gradients], Float[np.ndarray, "n v"]],
    gradients: Gradients,
    affine: Float[np.ndarray, "4 4"],
    model: NoiseModel,
    *,
    lesions: bool,
    seed: int,
    settings: dict[str, Any],
    header: Any = None,
) -> Simulation:
    """A noisy scan of an anatomy whose mask's voxels show ``signal`` on any scheme.

    Raises
    ------
    InputError
        For an anatomy without white matter, in which no SNR can be set.
    """
    mask = anatomy.mask
    white = anatomy.tissues["wm"] > WHITE
    if not white.any():
        raise InputError("The object holds no white matter, so no SNR can be set: enlarge it.")
    found = place_lesions(anatomy, gradients, seed) if lesions else []
    truth = np.zeros((*mask.shape, len(gradients)), np.float32)
    healthy, labelled = signal(gradients), labels(found, mask)
    truth[mask] = include(healthy, found, gradients, mask)
    changed = changes(healthy, truth[mask], found, labelled[mask]) if found else []
    fa, md, v1, fitted = tensor_metrics(truth, gradients, mask, signal)
    b0 = float(signal(NO_WEIGHTING)[white[mask], 0].mean(dtype=float))
    level = 0.0 if model.kind == "none" else b0 / model.snr
    sigma = sigma_map(model.sigma_map, level, mask, seed)
    noisy, clipped = acquire(truth, sigma, model, seed)
    record = {
        **settings,
        "shape": list(truth.shape),
        "seed": seed,
        "noise": asdict(model),
        "snr_definition": SNR_DEFINITION,
        "mean_b0_white_matter": b0,
        "mean_sigma": level,
        "clipped_below_zero": clipped,
        "tensor": fitted,
        "lesions": [
            asdict(lesion) | {"change": change}
            for lesion, change in zip(found, changed, strict=True)
        ],
    }
    return Simulation(
        scan=Scan(noisy, affine, gradients, header=header),
        truth=truth,
        mask=mask,
        tissues=tissues_with(anatomy, found),
        fa=fa,
        md=md,
        v1=v1,
        sigma=sigma,
        shares=anatomy.shares,
        axes=anatomy.axes,
        lesions=labelled,
        record=record,
    )
