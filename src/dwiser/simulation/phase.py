"""The phase of a complex scan: what the field, eddy currents and motion leave in each shot.

A shot is one slice of one volume, as echo-planar imaging acquires it. A diffusion gradient of
wave number q = √(b/t) turns a displacement u along it into the phase q·u (t, the time between its
lobes): a head that turns by a hundredth of a degree has a ramp, tissue that pulsates has a bump.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex, Float

from dwiser.errors import Code, InputError
from dwiser.scan import Gradients
from dwiser.seeds import stream
from dwiser.simulation.acquire import NoiseModel
from dwiser.simulation.noise import complex_noise

ONE_COIL = ("rician", "none")  # kinds of noise of which the complex image is known
DIFFUSION_TIME = 0.040  # s between the gradient's lobes: usual on a clinical scanner
REFERENCE_B = 1000.0  # s/mm²: the eddy currents' sizes are those at this b-value


@dataclass(frozen=True)
class PhaseModel:
    """Sizes of the phase's parts, each a standard deviation.

    Parameters
    ----------
    field : radians at the rim of the field of view, of a smooth phase that all volumes share.
    eddy_ramp : turns across 100 mm of a volume's eddy-current phase at b = 1000 s/mm², linear in
        the gradient.
    eddy_bowl : radians at 100 mm from the middle, of its quadratic part.
    rotation : degrees that the head turns during a shot's diffusion gradient, about each axis.
    pulsation : mm that the middle of the brain moves meanwhile, mostly along z.
    pulsation_width : mm, sd of the Gaussian within which it does.

    Notes
    -----
    The sizes follow from the wave number (158 radians per mm at b = 1000 s/mm²) and displacements
    of a resting head; they were set by hand, and no complex scan was measured for them.
    """

    field: float | int = 2.0
    eddy_ramp: float | int = 0.2
    eddy_bowl: float | int = 1.0
    rotation: float | int = 0.02
    pulsation: float | int = 0.01
    pulsation_width: float | int = 25.0


@dataclass(frozen=True, eq=False)
class ShotPhase:
    """The phase of every shot of a scan, computed when asked for.

    Parameters
    ----------
    gradients : the table, b-vectors along the voxel axes.
    shape : (X, Y, Z) of the grid. voxel_size : edges of a voxel in mm.
    seed : of everything random.
    model : the sizes.
    """

    gradients: Gradients
    shape: tuple[int, int, int]
    voxel_size: tuple[float, float, float]
    seed: int
    model: PhaseModel = PhaseModel()

    @property
    def record(self) -> dict[str, Any]:
        """The settings, for the scan's record."""
        return asdict(self.model) | {"diffusion_time_s": DIFFUSION_TIME}

    def volume(self, v: int) -> Float[np.ndarray, "x y z"]:
        """The phase of one volume, not wrapped.

        Parameters
        ----------
        v : its place in the series.

        Returns
        -------
        (X, Y, Z) float32, radians
        """
        phase = self._field() + self._eddy_currents(v) + self._motion(v)
        return phase.astype(np.float32)

    def complex_volume(
        self,
        truth: Float[np.ndarray, "x y z"],
        v: int,
        sigma: Float[np.ndarray, "x y z"],
        noise: NoiseModel,
    ) -> Complex[np.ndarray, "x y z"]:
        """The noisy complex image of one volume: truth·e^{iφ} + σ (n₁ + i n₂).

        Parameters
        ----------
        truth : the volume without noise.
        v : its place in the series.
        sigma : sd of the noise in the real and in the imaginary part, in the units of ``truth``.
        noise : its sampling counts, and whether there is any.

        Returns
        -------
        (X, Y, Z) complex64
        """
        image = truth * np.exp(1j * self.volume(v))
        if noise.kind != "none":
            rng = stream(self.seed, "noise", v)
            image = image + sigma * complex_noise(truth.shape, rng, noise.sampling)
        return np.asarray(image, np.complex64)

    def _axes(self) -> list[Float[np.ndarray, "x y z"]]:
        """mm from the middle along each voxel axis, open for broadcasting."""
        lines = [
            (np.arange(n) - (n - 1) / 2) * edge
            for n, edge in zip(self.shape, self.voxel_size, strict=True)
        ]
        return list(np.ix_(*lines))

    def _field(self) -> Float[np.ndarray, "x y z"]:
        """Of the receiver and the main field's inhomogeneity: the same in all volumes."""
        rng, rim = stream(self.seed, "phase field"), [max(n - 1, 1) / 2 for n in self.shape]
        x, y, z = (
            a / (r * edge) for a, r, edge in zip(self._axes(), rim, self.voxel_size, strict=True)
        )
        size = self.model.field * rng.standard_normal(6)
        return (
            size[0] * x + size[1] * y + size[2] * z
            + size[3] * (x**2 - y**2) + size[4] * x * y + size[5] * (z**2 - (x**2 + y**2) / 2)
        )  # fmt: skip

    def _eddy_currents(self, v: int) -> Float[np.ndarray, "x y z"]:
        """Linear in the gradient, hence the same for the same direction and b-value."""
        rng = stream(self.seed, "phase eddy")
        x, y, z = (a / 100.0 for a in self._axes())
        ramp = 2 * np.pi * self.model.eddy_ramp * rng.standard_normal((3, 3))
        bowl = self.model.eddy_bowl * rng.standard_normal((5, 3))
        strength = np.sqrt(self.gradients.bvals[v] / REFERENCE_B) * self.gradients.bvecs[v]
        linear, quadratic = ramp @ strength, bowl @ strength
        terms = (x**2 - y**2, x * y, x * z, y * z, z**2 - (x**2 + y**2) / 2)
        bowls = sum(size * term for size, term in zip(quadratic, terms, strict=True))
        return linear[0] * x + linear[1] * y + linear[2] * z + bowls

    def _motion(self, v: int) -> Float[np.ndarray, "x y z"]:
        """Of each shot: a constant, the head's rotation, and the brain's pulsation."""
        rng, model = stream(self.seed, "phase motion", v), self.model
        depth = self.shape[2]
        x, y, z = self._axes()
        wave = np.sqrt(self.gradients.bvals[v] / DIFFUSION_TIME) * self.gradients.bvecs[v]
        constant = rng.uniform(-np.pi, np.pi, depth)
        turn = np.deg2rad(model.rotation) * rng.standard_normal((3, depth))
        beat = model.pulsation * rng.standard_normal(depth)
        ramp = np.cross(wave, turn, axisb=0)  # wave · (turn × r) = (wave × turn) · r, by slice
        near = np.exp(-(x**2 + y**2 + z**2) / (2 * model.pulsation_width**2))
        return constant + ramp[:, 0] * x + ramp[:, 1] * y + ramp[:, 2] * z + wave[2] * beat * near


def check_complex(noise: NoiseModel) -> None:
    """Refuse noise whose magnitude is not that of one complex image.

    Raises
    ------
    InputError
        For Gaussian noise, and for several coils.
    """
    if noise.kind not in ONE_COIL:
        raise InputError(
            f"A phase belongs to one complex image, which {noise.kind} noise is not of: take "
            "--noise rician or none.",
            code=Code.ARGUMENT_CONFLICT,
        )
