"""A phantom refitted from a real scan: a model with crossing fibres in each voxel."""

from dataclasses import dataclass, replace

import numpy as np
import scipy
from jaxtyping import Bool, Float
from scipy.ndimage import binary_fill_holes

from dwiser import lazy
from dwiser.errors import Code, InputError
from dwiser.scan import Gradients, Scan
from dwiser.simulation.acquire import NoiseModel
from dwiser.simulation.contrast import GREY, PARALLEL, WATER
from dwiser.simulation.geometry import HeadAnatomy
from dwiser.simulation.noise import Sampling
from dwiser.simulation.scheme import Shells, scheme
from dwiser.simulation.series import EVERY, Voxels
from dwiser.simulation.signal import Compartment, ball, decay, synthesise
from dwiser.simulation.simulator import Simulation, Simulator, simulator
from dwiser.simulation.texture import Texture, mixed, turned
from dwiser.watch import Progress, Watch, silent

dipy_data = lazy.module("dipy.data")
skimage_filters = lazy.module("skimage.filters")

AXES = "repulsion200"  # DIPY's sphere: 100 axes, 12° or so apart
ACROSS = 0.27e-3  # mm²/s: λ⊥ of a fibre, as the phantom's sticks and zeppelins have together
PENALTY = 0.025  # on the fibres' sum, times the root of the volumes: a noisy phantom's least error
MOST_STEPS = 10_000  # of one voxel's solver, which takes tens
REPORT_EVERY = 1000  # voxels
HALF = np.array([1e-6, 1e-3, 1.0])  # one of each two antipodal axes has a positive part along it
FIBRES = 3  # populations reported as the truth's axes
PEAK_DEGREES = 25.0  # weight within this angle of a peak belongs to it


@dataclass(frozen=True, eq=False)
class Refit:
    """Weights on a dictionary of fibres along many axes, a grey and a free ball.

    Parameters
    ----------
    mask : (X, Y, Z) the voxels fitted, n of them.
    axes : (A, 3) the dictionary's fibre axes.
    weights : (n, A + 2) b0 signal of each fibre, of the grey ball and of free water, never
        negative, in the scan's units.
    misfit : root mean square of the model's residual, over the root mean square signal.
    faster : (n,) factor of the diffusivities of fibres and grey; None where there is no texture.
    turns : (n, 3) rotation vector (radians) of the voxel's fibres; None without texture.
    """

    mask: Bool[np.ndarray, "x y z"]
    axes: Float[np.ndarray, "a 3"]
    weights: Float[np.ndarray, "n k"]
    misfit: float
    faster: Float[np.ndarray, "n"] | None = None
    turns: Float[np.ndarray, "n 3"] | None = None

    def signal(self, gradients: Gradients, voxels: Voxels = EVERY) -> Float[np.ndarray, "m v"]:
        """The noiseless signal of some of the mask's voxels on any scheme.

        Parameters
        ----------
        gradients : the table of V volumes.
        voxels : which of the n.

        Returns
        -------
        (m, V) float32, in the scan's units
        """
        weights = self.weights[voxels]
        if self.faster is None or self.turns is None:
            return (weights @ dictionary(gradients, self.axes).T).astype(np.float32)
        faster, turns = self.faster[voxels], self.turns[voxels]
        signal = synthesise(
            [
                ball(weights[:, -2], np.minimum(WATER, GREY * faster)),
                ball(weights[:, -1], np.full(len(weights), WATER)),
            ],
            gradients,
        )
        for k, axis in enumerate(self.axes):
            rows = np.flatnonzero(weights[:, k])
            fibre_axes = turned(np.tile(axis, (len(rows), 1)), turns[rows])
            speed = faster[rows]
            fibre = Compartment(weights[rows, k], PARALLEL * speed, ACROSS * speed, fibre_axes)
            signal[rows] += synthesise([fibre], gradients)
        return signal


def roughened(fitted: Refit, texture: Texture, seed: int) -> Refit:
    """The refit with texture: weights varied from voxel to voxel, fibres turned.

    A voxel's b0 signal, the sum of its weights, does not change.

    Parameters
    ----------
    fitted : the refit.
    texture : how much to vary.
    seed : of the variation.

    Returns
    -------
    Refit
    """
    if texture.strength == 0:
        return fitted
    mask, shape = fitted.mask, fitted.mask.shape
    factors = [texture.factor(shape, "atom", seed, k)[mask] for k in range(fitted.weights.shape[1])]
    return replace(
        fitted,
        weights=mixed(fitted.weights, np.stack(factors, axis=-1)),
        faster=np.minimum(WATER / PARALLEL, texture.diffusivity(shape, "parallel", seed)[mask]),
        turns=texture.turns(shape, seed)[mask],
    )


def dictionary(gradients: Gradients, axes: Float[np.ndarray, "a 3"]) -> Float[np.ndarray, "v k"]:
    """The unit signals of the dictionary: a fibre along each axis, grey matter, free water.

    Parameters
    ----------
    gradients : the table of V volumes.
    axes : (A, 3) unit axes of the fibres.

    Returns
    -------
    (V, A + 2) signals, 1 at b = 0
    """
    one, n = np.ones(len(axes)), len(axes)
    fibres = decay(Compartment(one, PARALLEL * one, ACROSS * one, axes), gradients)
    balls = decay(ball(np.ones(2), np.array([GREY, WATER])), gradients)
    return np.concatenate([fibres, balls]).T.reshape(len(gradients), n + 2)


def refit(scan: Scan, watch: Watch = silent) -> Refit:
    """Fit the dictionary to every voxel of the scan's mask.

    Non-negative least squares (Lawson & Hanson 1974, SciPy), with the fibres' summed weight
    slightly penalised, so that isotropic signal goes to the balls.

    Parameters
    ----------
    scan : a real scan; without a mask, Otsu's on the mean DWI is used.
    watch : gets the progress.

    Returns
    -------
    Refit

    Raises
    ------
    InputError
        For a scan without a b0.
    """
    if not scan.gradients.is_b0.any():
        raise InputError(
            "The scan has no b0, so no model can be refitted to it: give one.",
            code=Code.GRADIENTS_NO_B0,
        )
    mask = _object_mask(scan) if scan.mask is None else scan.mask
    axes = dipy_data.get_sphere(name=AXES).vertices
    axes = axes[(axes @ HALF) > 0]
    atoms = dictionary(scan.gradients, axes)
    penalty = PENALTY * np.sqrt(len(atoms)) * (np.arange(atoms.shape[1]) < len(axes))
    design = np.vstack([atoms, penalty])
    rows = np.pad(scan.data[mask].astype(float), ((0, 0), (0, 1)))
    weights = np.zeros((len(rows), atoms.shape[1]), np.float32)
    for i, row in enumerate(rows):
        weights[i] = scipy.optimize.nnls(design, row, maxiter=MOST_STEPS)[0]
        if i % REPORT_EVERY == 0:
            watch(Progress("refitting", i, len(rows)))
    watch(Progress("refitting", len(rows), len(rows)))
    residual = rows[:, :-1] - weights @ atoms.T
    return Refit(mask, axes, weights, float(np.linalg.norm(residual) / np.linalg.norm(rows)))


def _object_mask(scan: Scan) -> Bool[np.ndarray, "x y z"]:
    """Otsu's mask of the mean DWI, where tissue stands out most evenly, with its holes filled."""
    shown = ~scan.gradients.is_b0 if not scan.gradients.is_b0.all() else scan.gradients.is_b0
    mean = scan.data[..., shown].mean(axis=3)
    inside = mean > skimage_filters.threshold_otsu(mean.ravel())
    for z in range(inside.shape[2]):
        inside[..., z] = binary_fill_holes(inside[..., z])
    return inside


def anatomy_of(fitted: Refit) -> HeadAnatomy:
    """The refit as an anatomy: signal fractions as tissues, the strongest axes as truth.

    Parameters
    ----------
    fitted : the refit.

    Returns
    -------
    HeadAnatomy
    """
    mask, total = fitted.mask, fitted.weights.sum(axis=1)
    safe = np.where(total > 0, total, 1)
    parts = {
        "wm": fitted.weights[:, :-2].sum(axis=1),
        "gm": fitted.weights[:, -2],
        "csf": fitted.weights[:, -1] + (total <= 0),
    }
    tissues = {}
    for name, part in parts.items():
        tissues[name] = np.zeros(mask.shape, np.float32)
        tissues[name][mask] = part / safe
    shares, axes = _peaks(fitted)
    on_grid = np.zeros((*mask.shape, FIBRES), np.float32)
    on_grid[mask] = shares
    axes_on_grid = np.zeros((*mask.shape, FIBRES, 3), np.float32)
    axes_on_grid[mask] = axes
    return HeadAnatomy(mask, mask.astype(np.float32), tissues, on_grid, axes_on_grid)


def _peaks(fitted: Refit) -> tuple[np.ndarray, np.ndarray]:
    """The heaviest axis and what lies near it, again and again: (n, 3) shares, (n, 3, 3) axes."""
    remaining = fitted.weights[:, :-2].copy()
    near = np.abs(fitted.axes @ fitted.axes.T) > np.cos(np.radians(PEAK_DEGREES))
    shares = np.zeros((len(remaining), FIBRES), np.float32)
    axes = np.zeros((len(remaining), FIBRES, 3), np.float32)
    for k in range(FIBRES):
        best = (remaining @ near).argmax(axis=1)
        taken = remaining * near[best]
        shares[:, k] = taken.sum(axis=1)
        signs = np.sign(fitted.axes[best] @ fitted.axes.T)
        middle = (taken * signs) @ fitted.axes
        length = np.linalg.norm(middle, axis=1, keepdims=True)
        axes[:, k] = middle / np.where(length > 0, length, 1)
        remaining -= taken
    if fitted.turns is not None:
        axes = turned(axes, np.broadcast_to(fitted.turns[:, None], axes.shape))
    total = shares.sum(axis=1, keepdims=True)
    return shares / np.where(total > 0, total, 1), axes


def phantom_from(
    scan: Scan,
    *,
    shells: Shells | None = None,
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
    watch: Watch = silent,
) -> Simulation:
    """A real scan's own anatomy as a phantom: refitted, synthesised again, with new noise.

    The noise in the scan becomes texture of the truth as far as a sum of non-negative kernels
    can follow it.

    Parameters
    ----------
    scan : the real scan.
    shells : (b in s/mm², directions) of each shell; None for the scan's own
        scheme (``n_b0`` and ``b0_place`` are then not used).
    n_b0 : number of b0s.
    b0_place : "spread", "first" or "last".
    snr : mean true b0 in white matter over the mean σ in the mask.
    noise : "gaussian", "rician", "nc-chi", "kspace" or "none".
    coils : receive channels of "nc-chi" and "kspace".
    sigma_map : "uniform" or "gfactor".
    partial_fourier, zero_fill : as in `Sampling`; they correlate the noise between voxels.
    lesions : whether to add small lesions.
    texture, texture_correlation : strength, and FWHM in voxels, of the variation from voxel to
        voxel, as in `Texture`; it is added to the refit.
    phase : whether the scan has a phase too, as `dwiser.simulation.phase` makes it.
    seed : of everything random.
    watch : gets the progress of the refit.

    Returns
    -------
    Simulation
        The noisy scan and its truth.

    Raises
    ------
    InputError
        For a scan without a b0, and for settings that cannot be simulated.

    Examples
    --------
    >>> from dwiser.simulation import phantom, phantom_from
    >>> scan = phantom((10, 12, 8), shells=((1000.0, 6),), n_b0=1).scan  # or dwiser.load(...)
    >>> phantom_from(scan, shells=((2000.0, 8),), n_b0=1).truth.shape
    (10, 12, 8, 9)
    """
    model = NoiseModel(noise, snr, coils, sigma_map, Sampling(partial_fourier, zero_fill))
    return refit_simulator(
        scan,
        model,
        Texture(texture, texture_correlation),
        shells=shells,
        n_b0=n_b0,
        b0_place=b0_place,
        lesions=lesions,
        phase=phase,
        seed=seed,
        watch=watch,
    ).run()


def refit_simulator(
    scan: Scan,
    model: NoiseModel,
    texture: Texture,
    *,
    shells: Shells | None,
    n_b0: int,
    b0_place: str = "spread",
    lesions: bool,
    phase: bool = False,
    seed: int,
    watch: Watch = silent,
) -> Simulator:
    """A real scan refitted and ready to scan again; its series need not fit into memory.

    Parameters
    ----------
    scan, shells, n_b0, b0_place, lesions, phase, seed, watch : as in `phantom_from`.
    model : the noise.
    texture : the variation from voxel to voxel that is added.

    Returns
    -------
    Simulator

    Raises
    ------
    InputError
        For a scan without a b0, and for settings that cannot be simulated.
    """
    gradients = scan.gradients
    if shells is not None:
        gradients = scheme(shells, n_b0=n_b0, b0_place=b0_place, seed=seed)
    fitted = roughened(refit(scan, watch), texture, seed)
    settings = {
        "geometry": "refit",
        "model": f"{len(fitted.axes)} fibre axes (1.7e-3, {ACROSS:g} mm2/s), grey and free balls",
        "relative_misfit": fitted.misfit,
        "shells": None if shells is None else [[float(b), int(n)] for b, n in shells],
        "n_b0": int(gradients.is_b0.sum()),
        "b0_place": None if shells is None else b0_place,
        "texture": texture.record(),
    }
    return simulator(
        anatomy_of(fitted),
        fitted.signal,
        gradients,
        scan.affine,
        model,
        lesions=lesions,
        phase=phase,
        seed=seed,
        settings=settings,
        header=scan.header,
    )
