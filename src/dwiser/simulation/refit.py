"""A phantom refitted from a real scan: a crossing-capable model a voxel, on any scheme."""

from dataclasses import dataclass, replace

import numpy as np
from dipy.data import get_sphere
from jaxtyping import Bool, Float
from scipy.ndimage import binary_fill_holes
from scipy.optimize import nnls
from skimage.filters import threshold_otsu

from dwiser.errors import InputError
from dwiser.scan import Gradients, Scan
from dwiser.simulation.acquire import NoiseModel
from dwiser.simulation.contrast import GREY, PARALLEL, WATER
from dwiser.simulation.geometry import Anatomy
from dwiser.simulation.noise import Sampling
from dwiser.simulation.phantom import Simulation, simulate
from dwiser.simulation.scheme import Shells, scheme
from dwiser.simulation.signal import Compartment, ball, decay, synthesise
from dwiser.simulation.texture import Texture, mixed, turned
from dwiser.watch import Progress, Watch, silent

AXES = "repulsion200"  # DIPY's sphere: 100 axes, 12° or so apart
ACROSS = 0.27e-3  # mm²/s: λ⊥ of a fibre, as the phantom's sticks and zeppelins have together
PENALTY = 0.025  # on the fibres' sum, times the root of the volumes: a noisy phantom's least error
MOST_STEPS = 10_000  # of one voxel's solver, which takes tens
REPORT_EVERY = 1000  # voxels
HALF = np.array([1e-6, 1e-3, 1.0])  # one of each two antipodal axes has a positive part along it
FIBRES = 3  # populations told as the truth's axes
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
    misfit : root mean square of what the model leaves, over the root mean square signal.
    faster : (n,) factor of the diffusivities of fibres and grey; None where there is no texture.
    turns : (n, 3) rotation vector (radians) of the voxel's fibres; None without texture.
    """

    mask: Bool[np.ndarray, "x y z"]
    axes: Float[np.ndarray, "a 3"]
    weights: Float[np.ndarray, "n k"]
    misfit: float
    faster: Float[np.ndarray, "n"] | None = None
    turns: Float[np.ndarray, "n 3"] | None = None

    def signal(self, gradients: Gradients) -> Float[np.ndarray, "n v"]:
        """The noiseless signal of the mask's voxels on any scheme, float32."""
        if self.faster is None or self.turns is None:
            return (self.weights @ dictionary(gradients, self.axes).T).astype(np.float32)
        signal = synthesise(
            [
                ball(self.weights[:, -2], np.minimum(WATER, GREY * self.faster)),
                ball(self.weights[:, -1], np.full(len(self.weights), WATER)),
            ],
            gradients,
        )
        for k, axis in enumerate(self.axes):
            rows = np.flatnonzero(self.weights[:, k])
            own = turned(np.tile(axis, (len(rows), 1)), self.turns[rows])
            speed = self.faster[rows]
            fibre = Compartment(self.weights[rows, k], PARALLEL * speed, ACROSS * speed, own)
            signal[rows] += synthesise([fibre], gradients)
        return signal


def roughened(fitted: Refit, texture: Texture, seed: int) -> Refit:
    """The refit with its weights varied from voxel to voxel, its fibres turned and sped up.

    A voxel's b0 signal, the sum of its weights, stays.
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
    """The unit signals of the dictionary's atoms: a fibre along each axis, grey, free water."""
    one, n = np.ones(len(axes)), len(axes)
    fibres = decay(Compartment(one, PARALLEL * one, ACROSS * one, axes), gradients)
    balls = decay(ball(np.ones(2), np.array([GREY, WATER])), gradients)
    return np.concatenate([fibres, balls]).T.reshape(len(gradients), n + 2)


def refit(scan: Scan, watch: Watch = silent) -> Refit:
    """Fit the dictionary to every voxel of the scan's mask (without one, Otsu's on the mean DWI).

    Non-negative least squares (Lawson & Hanson 1974, SciPy), with the fibres' summed weight
    faintly penalised, so that what is isotropic goes to the balls.

    Raises
    ------
    InputError
        For a scan without a b0.
    """
    if not scan.gradients.is_b0.any():
        raise InputError("The scan has no b0, so no model can be refitted to it: give one.")
    mask = _object(scan) if scan.mask is None else scan.mask
    axes = get_sphere(name=AXES).vertices
    axes = axes[(axes @ HALF) > 0]
    atoms = dictionary(scan.gradients, axes)
    penalty = PENALTY * np.sqrt(len(atoms)) * (np.arange(atoms.shape[1]) < len(axes))
    design = np.vstack([atoms, penalty])
    rows = np.pad(scan.data[mask].astype(float), ((0, 0), (0, 1)))
    weights = np.zeros((len(rows), atoms.shape[1]), np.float32)
    for i, row in enumerate(rows):
        weights[i] = nnls(design, row, maxiter=MOST_STEPS)[0]
        if i % REPORT_EVERY == 0:
            watch(Progress("refitting", i, len(rows)))
    watch(Progress("refitting", len(rows), len(rows)))
    left = rows[:, :-1] - weights @ atoms.T
    return Refit(mask, axes, weights, float(np.linalg.norm(left) / np.linalg.norm(rows)))


def _object(scan: Scan) -> Bool[np.ndarray, "x y z"]:
    """Otsu's mask of the mean DWI, where tissue stands out most evenly, with its holes filled."""
    shown = ~scan.gradients.is_b0 if not scan.gradients.is_b0.all() else scan.gradients.is_b0
    mean = scan.data[..., shown].mean(axis=3)
    inside = mean > threshold_otsu(mean.ravel())
    for z in range(inside.shape[2]):
        inside[..., z] = binary_fill_holes(inside[..., z])
    return inside


def anatomy_of(fitted: Refit) -> Anatomy:
    """Signal fractions of fibres, grey and free water as tissues; the strongest axes as truth."""
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
    return Anatomy(mask, mask.astype(np.float32), tissues, on_grid, axes_on_grid)


def _peaks(fitted: Refit) -> tuple[np.ndarray, np.ndarray]:
    """The heaviest axis and what lies near it, again and again: (n, 3) shares, (n, 3, 3) axes."""
    left = fitted.weights[:, :-2].copy()
    near = np.abs(fitted.axes @ fitted.axes.T) > np.cos(np.radians(PEAK_DEGREES))
    shares = np.zeros((len(left), FIBRES), np.float32)
    axes = np.zeros((len(left), FIBRES, 3), np.float32)
    for k in range(FIBRES):
        best = (left @ near).argmax(axis=1)
        taken = left * near[best]
        shares[:, k] = taken.sum(axis=1)
        signs = np.sign(fitted.axes[best] @ fitted.axes.T)
        middle = (taken * signs) @ fitted.axes
        length = np.linalg.norm(middle, axis=1, keepdims=True)
        axes[:, k] = middle / np.where(length > 0, length, 1)
        left -= taken
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
    seed: int = 0,
    watch: Watch = silent,
) -> Simulation:
    """A real scan's own anatomy as a phantom: refitted, re-synthesised, noised anew.

    Without ``shells`` the scan's own scheme is used. The noise in the scan becomes texture of
    the truth as far as a sum of non-negative kernels can follow it. ``texture`` and
    ``texture_correlation`` (FWHM, voxels) are those of `Texture`, laid over what was refitted.

    Raises
    ------
    InputError
        For a scan without a b0, and for settings that cannot be simulated.
    """
    model = NoiseModel(noise, snr, coils, sigma_map, Sampling(partial_fourier, zero_fill))
    rough = Texture(texture, texture_correlation)
    gradients = scan.gradients
    if shells is not None:
        gradients = scheme(shells, n_b0=n_b0, b0_place=b0_place, seed=seed)
    fitted = roughened(refit(scan, watch), rough, seed)
    settings = {
        "geometry": "refit",
        "model": f"{len(fitted.axes)} fibre axes (1.7e-3, {ACROSS:g} mm2/s), grey and free balls",
        "relative_misfit": fitted.misfit,
        "shells": None if shells is None else [[float(b), int(n)] for b, n in shells],
        "n_b0": int(gradients.is_b0.sum()),
        "b0_place": None if shells is None else b0_place,
        "texture": rough.record(),
    }
    return simulate(
        anatomy_of(fitted),
        fitted.signal,
        gradients,
        scan.affine,
        model,
        lesions=lesions,
        seed=seed,
        settings=settings,
        header=scan.header,
    )
