"""Simulated scans whose truth is known."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.errors import Code, InputError
from dwiser.scan import Gradients, Scan
from dwiser.simulation.acquire import NoiseModel, acquire
from dwiser.simulation.contrast import compartments
from dwiser.simulation.geometry import HeadAnatomy, head_anatomy
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
    lesions : (X, Y, Z) label of each lesion, 0 elsewhere; ``record["lesions"]`` describes them.
    record : plain values: every setting, and what was measured on the truth.

    Examples
    --------
    >>> from dwiser.simulation import phantom
    >>> simulation = phantom((16, 18, 12), shells=((1000.0, 6),), n_b0=1)
    >>> simulation.truth.shape == simulation.scan.shape
    True
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
    """A synthetic head, scanned with noise of known σ.

    The b-vectors are along the voxel axes, and the affine's determinant is negative, so that no
    reader needs to flip them.

    Parameters
    ----------
    shape : (X, Y, Z) voxels; the head fills the field of view whatever ``voxel`` is.
    voxel : edge of a voxel in mm.
    shells : (b in s/mm², directions) of each shell.
    n_b0 : number of b0s.
    b0_place : "spread", "first" or "last".
    snr : mean true b0 in white matter over the mean σ in the mask.
    noise : "gaussian", "rician", "nc-chi", "kspace" or "none".
    coils : receive channels of "nc-chi" and "kspace".
    sigma_map : "uniform" or "gfactor".
    partial_fourier, zero_fill : as in `Sampling`; they correlate the noise between voxels.
    lesions : whether to add small lesions.
    texture, texture_correlation : strength, and FWHM in voxels, of the variation from voxel to
        voxel, as in `Texture`; without it tissues vary smoothly, over several voxels.
    seed : of everything random.

    Returns
    -------
    Simulation
        The noisy scan and its truth.

    Raises
    ------
    InputError
        For settings that cannot be simulated.

    Examples
    --------
    >>> from dwiser.simulation import phantom
    >>> simulation = phantom((16, 18, 12), shells=((1000.0, 6),), n_b0=1, snr=20)
    >>> simulation.scan.shape
    (16, 18, 12, 7)
    """
    model = NoiseModel(noise, snr, coils, sigma_map, Sampling(partial_fourier, zero_fill))
    if not voxel > 0:
        raise InputError(
            f"The voxel size must be positive, not {voxel:g} mm.", code=Code.ARGUMENT_VALUE
        )
    tissue_texture = Texture(texture, texture_correlation)
    gradients = scheme(shells, n_b0=n_b0, b0_place=b0_place, seed=seed)
    anatomy = textured(head_anatomy((shape[0], shape[1], shape[2]), seed), tissue_texture, seed)
    affine = np.diag([-voxel, voxel, voxel, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    settings = {
        "geometry": "phantom",
        "voxel_mm": voxel,
        "shells": [[float(b), int(n)] for b, n in shells],
        "n_b0": n_b0,
        "b0_place": b0_place,
        "texture": tissue_texture.record(),
    }
    water = compartments(anatomy, seed, tissue_texture)
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
    anatomy: HeadAnatomy,
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
    """A noisy scan of an anatomy.

    Parameters
    ----------
    anatomy : the object, its tissues and fibres.
    signal : gives the noiseless (n, V) signal of the mask's voxels for any gradient table.
    gradients : the table to scan with.
    affine : (4, 4) voxel to world in mm.
    model : the noise.
    lesions : whether to add lesions.
    seed : of lesions and noise.
    settings : written to the record.
    header : the NIfTI header of a refitted scan, or None.

    Returns
    -------
    Simulation
        The noisy scan and its truth.

    Raises
    ------
    InputError
        For an anatomy without white matter, for which no SNR can be set.
    """
    mask = anatomy.mask
    white = anatomy.tissues["wm"] > WHITE
    if not white.any():
        raise InputError(
            "The object holds no white matter, so no SNR can be set: enlarge it.",
            code=Code.SCAN_TOO_SMALL,
        )
    placed_lesions = place_lesions(anatomy, gradients, seed) if lesions else []
    truth = np.zeros((*mask.shape, len(gradients)), np.float32)
    healthy, labelled = signal(gradients), labels(placed_lesions, mask)
    truth[mask] = include(healthy, placed_lesions, gradients, mask)
    changed = (
        changes(healthy, truth[mask], placed_lesions, labelled[mask]) if placed_lesions else []
    )
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
            for lesion, change in zip(placed_lesions, changed, strict=True)
        ],
    }
    return Simulation(
        scan=Scan(noisy, affine, gradients, header=header),
        truth=truth,
        mask=mask,
        tissues=tissues_with(anatomy, placed_lesions),
        fa=fa,
        md=md,
        v1=v1,
        sigma=sigma,
        shares=anatomy.shares,
        axes=anatomy.axes,
        lesions=labelled,
        record=record,
    )
