"""A synthetic head, scanned: a scan whose truth is known."""

from functools import partial

import numpy as np

from dwiser.errors import Code, InputError
from dwiser.scan import Gradients
from dwiser.simulation.acquire import NoiseModel
from dwiser.simulation.contrast import compartments
from dwiser.simulation.geometry import head_anatomy
from dwiser.simulation.noise import Sampling
from dwiser.simulation.scheme import Shells, scheme
from dwiser.simulation.series import Voxels
from dwiser.simulation.signal import Compartment, synthesise
from dwiser.simulation.simulator import Simulation, Simulator, simulator
from dwiser.simulation.texture import Texture, textured


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
    phase: bool = False,
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
    phase : whether the scan has a phase too, as `dwiser.simulation.phase` makes it.
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
    return phantom_simulator(
        shape,
        model,
        Texture(texture, texture_correlation),
        voxel=voxel,
        shells=shells,
        n_b0=n_b0,
        b0_place=b0_place,
        lesions=lesions,
        phase=phase,
        seed=seed,
    ).run()


def phantom_simulator(
    shape: tuple[int, int, int],
    model: NoiseModel,
    texture: Texture,
    *,
    voxel: float | int,
    shells: Shells,
    n_b0: int,
    b0_place: str = "spread",
    lesions: bool,
    phase: bool = False,
    seed: int,
) -> Simulator:
    """A synthetic head to scan, whose series need not fit into memory.

    Parameters
    ----------
    shape, voxel, shells, n_b0, b0_place, lesions, phase, seed : as in `phantom`.
    model : the noise.
    texture : the variation from voxel to voxel.

    Returns
    -------
    Simulator

    Raises
    ------
    InputError
        For settings that cannot be simulated.
    """
    if not voxel > 0:
        raise InputError(
            f"The voxel size must be positive, not {voxel:g} mm.", code=Code.ARGUMENT_VALUE
        )
    gradients = scheme(shells, n_b0=n_b0, b0_place=b0_place, seed=seed)
    anatomy = textured(head_anatomy((shape[0], shape[1], shape[2]), seed), texture, seed)
    affine = np.diag([-voxel, voxel, voxel, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    settings = {
        "geometry": "phantom",
        "voxel_mm": voxel,
        "shells": [[float(b), int(n)] for b, n in shells],
        "n_b0": n_b0,
        "b0_place": b0_place,
        "texture": texture.record(),
    }
    return simulator(
        anatomy,
        partial(_signal, compartments(anatomy, seed, texture)),
        gradients,
        affine,
        model,
        lesions=lesions,
        phase=phase,
        seed=seed,
        settings=settings,
    )


def _signal(water: list[Compartment], gradients: Gradients, voxels: Voxels) -> np.ndarray:
    return synthesise([part.of(voxels) for part in water], gradients)
